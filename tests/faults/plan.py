"""What happens in a run, all of it drawn from the seed: which calls are made, and which accidents happen when."""

import random
from dataclasses import dataclass

# How a provider behaves towards a call, by the last part of the name that the call gives as its user.
BEHAVIOURS = {
    "plain": {},
    "slow": {"latency_ms": 250, "between_chunks_ms": 20},
    "late": {"first_byte_ms": 300},
    "cut": {"cut_after_chunks": 2},
    "close": {"close_after_chunks": 2},
    "error": {"mid_stream_error": 2},
    "untold": {"no_usage": True},
    "refuses": {"status": 400, "error_message": "No."},
}
# These happen to some attempts and not to others, so that a call gets through at its second or third.
NOW_AND_THEN = {
    "busy": {"status": 503},
    "limits": {"status": 429, "retry_after_ms": 40},
    "resets": {"abort": True},
}


@dataclass(frozen=True)
class Planned:
    """One call: who makes it, through which web process, what is asked, and how its client behaves."""

    number: int
    tenant: int
    key: int
    web: int
    kind: str
    model: str
    stream: bool
    behaviour: str
    max_tokens: int
    leaves_after: int | None  # pieces of a stream; 0: of a whole answer, before it can have come
    idempotency_key: str | None
    # The same call again through the other process while the first is under way.
    repeated: bool

    def user(self, seed: int) -> str:
        """The name under which the provider's log has it."""
        return f"s{seed}-{self.number}.{self.behaviour}"


def calls(seed: int, count: int) -> list[Planned]:
    """The load of a run."""
    draw = random.Random(f"calls {seed}")
    planned = []
    for number in range(count):
        kind = draw.choices(
            ["chat", "messages", "responses", "embeddings", "translated", "fallback"], [8, 4, 2, 1, 2, 3]
        )[0]
        stream = kind != "embeddings" and draw.random() < 0.5
        behaviours = ["plain", "slow", "late", "untold", "busy", "limits", "resets", "refuses"]
        weights = [10, 6, 2, 1, 2, 1, 1, 1]
        if kind != "embeddings":
            behaviours += ["cut", "close"]
            weights += [1, 1]
        if stream:
            behaviours.append("error")
            weights.append(1)
        behaviour = draw.choices(behaviours, weights)[0]
        leaves = draw.random() < 0.15
        named = draw.random() < 0.2
        planned.append(
            Planned(
                number=number,
                tenant=draw.choices([0, 1, 2], [5, 3, 1])[0],
                key=draw.randrange(2),
                web=draw.randrange(2),
                kind=kind,
                model={
                    "chat": "small",
                    "messages": "claude",
                    "responses": "small",
                    "embeddings": "embed",
                }.get(kind, "claude" if kind == "translated" else "steady"),
                stream=stream,
                behaviour=behaviour,
                max_tokens=draw.randint(5, 80),
                leaves_after=(draw.randint(1, 5) if stream else 0) if leaves else None,
                idempotency_key=f"s{seed}-{number}" if named else None,
                repeated=named and draw.random() < 0.7,
            )
        )
    return planned


@dataclass(frozen=True)
class Accident:
    """Something that happens to the system, after a pause; `web` says to which process where that matters."""

    pause: float
    kind: str
    web: int
    lasts: float


KINDS = (
    "kill_web",
    "drain_web",
    "pause_web",
    "stop_postgres",
    "kill_postgres",
    "stop_valkey",
    "kill_valkey",
    "flush_valkey",
    # Usage is in the spool of a process that dies, and the counters have to be read from a ledger without it.
    "kill_web_with_a_full_spool",
)


def accidents(seed: int, count: int) -> list[Accident]:
    """The accidents of a run, in order. Any nine seeds in a row see every kind several times."""
    draw = random.Random(f"accidents {seed}")
    kinds = [KINDS[seed % len(KINDS)]]
    kinds += draw.sample([kind for kind in KINDS if kind != kinds[0]], min(count, len(KINDS)) - 1)
    draw.shuffle(kinds)
    return [
        Accident(draw.uniform(0.6, 1.8), kind, draw.randrange(2), draw.uniform(0.5, 2.0)) for kind in kinds
    ]
