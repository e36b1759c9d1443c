"""What the simulator served and would bill: the provider's side of a reconciliation."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from deploy.local.model_simulator.usage import Usage, overridden

CAPACITY = 100_000

IN_PROGRESS = "in_progress"
COMPLETED = "completed"
CUT = "cut"  # the simulator broke off, as it was told to
CLIENT_GONE = "client_gone"
FAILED = "failed"  # the simulator itself failed
REFUSED = "refused"  # an error status: nothing was served and nothing is billed

_OUTPUT_FIELDS = ("completion_tokens", "output_tokens", "total_tokens")


@lru_cache(maxsize=4096)
def digest_of(api_key: str) -> str:
    """Return what stands for a key in the log; the key itself is never kept."""
    return sha256(api_key.encode()).hexdigest()[:16]


@dataclass(slots=True, eq=False)
class Entry:
    """One request to a model endpoint. `produced` counts the output tokens up to now."""

    seq: int
    request_id: str
    response_id: str | None
    at: float
    dialect: str
    endpoint: str
    model: str
    served_model: str
    api_key: str
    user: str | None
    client_request_id: str | None
    idempotency_key: str | None
    stream: bool
    service_tier: str
    rule: str | None = None
    status: int = 200
    billed: bool = False
    ended: str = IN_PROGRESS
    usage: Usage | None = None
    override: dict[str, Any] | None = None
    reported: dict[str, Any] | None = None
    produced: int = 0
    chunks: int = 0

    def end(self, how: str) -> None:
        """Say how the request ended; the first word counts."""
        if self.ended == IN_PROGRESS:
            self.ended = how

    def complete(self) -> None:
        """Say that the whole answer was produced."""
        if self.usage is not None:
            self.produced = self.usage.output
        self.end(COMPLETED)

    def billed_usage(self) -> dict[str, Any] | None:
        """Return what is billed, in the provider's own form; up to the cut if the answer was cut."""
        if not self.billed or self.usage is None:
            return None
        raw = self.usage.produced(self.produced).raw(self.endpoint, self.service_tier)
        if self.override is None:
            return raw
        complete = self.produced == self.usage.output
        return overridden(
            raw,
            {name: value for name, value in self.override.items() if complete or name not in _OUTPUT_FIELDS},
        )

    def described(self) -> dict[str, Any]:
        """Return the entry as `GET /_served` shows it."""
        return {
            "seq": self.seq,
            "request_id": self.request_id,
            "response_id": self.response_id,
            "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds"),
            "dialect": self.dialect,
            "endpoint": self.endpoint,
            "model": self.model,
            "served_model": self.served_model,
            "api_key_digest": digest_of(self.api_key),
            "api_key_last4": self.api_key[-4:],
            "user": self.user,
            "client_request_id": self.client_request_id,
            "idempotency_key": self.idempotency_key,
            "stream": self.stream,
            "service_tier": self.service_tier,
            "rule": self.rule,
            "status": self.status,
            "billed": self.billed,
            "ended": self.ended,
            "completed": self.ended == COMPLETED,
            "output_tokens_produced": self.produced,
            "chunks": self.chunks,
            "usage": self.billed_usage(),
            "reported_usage": self.reported,
        }


class ServedLog:
    """The last requests in memory, in the order in which they came."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._seq = 0

    def next_seq(self) -> int:
        """Return the number of the next entry; numbers are never reused."""
        self._seq += 1
        return self._seq

    def add(self, entry: Entry) -> Entry:
        """Keep an entry, forgetting the oldest when full."""
        self._entries.append(entry)
        return entry

    def clear(self) -> int:
        """Forget every entry and return how many there were."""
        forgotten = len(self._entries)
        self._entries.clear()
        return forgotten

    def select(
        self,
        *,
        since: str | None = None,
        billed: str = "true",
        ended: str | None = None,
        limit: int | None = None,
        **wanted: str,
    ) -> list[Entry]:
        """Return entries after `since` (a seq, an RFC 3339 time or epoch seconds) with the wanted fields."""
        chosen: Iterator[Entry] = iter(tuple(self._entries))
        if since:
            chosen = _after(chosen, since)
        if billed != "any":
            chosen = (entry for entry in chosen if entry.billed is (billed == "true"))
        if ended:
            chosen = (entry for entry in chosen if entry.ended == ended)
        found = [
            entry for entry in chosen if all(getattr(entry, name) == value for name, value in wanted.items())
        ]
        return found if limit is None else found[:limit]

    def in_progress(self) -> int:
        """Return how many requests are still being answered; zero says that the log has settled."""
        return sum(entry.ended == IN_PROGRESS for entry in self._entries)

    @property
    def last_seq(self) -> int:
        """The number of the newest entry, to be given as `since` later."""
        return self._seq


def _after(entries: Iterator[Entry], since: str) -> Iterator[Entry]:
    try:
        number = float(since)
    except ValueError:
        moment = datetime.fromisoformat(since).timestamp()
        return (entry for entry in entries if entry.at >= moment)
    if number >= 1e9:
        return (entry for entry in entries if entry.at >= number)
    return (entry for entry in entries if entry.seq > number)
