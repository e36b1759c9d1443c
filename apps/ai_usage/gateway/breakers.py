"""A circuit breaker per target, shared through Valkey: what one process finds broken, the others stop trying."""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from apps.ai_usage.types import Target
from apps.governance.admission.errors import ValkeyError, ValkeyUnavailable
from apps.governance.admission.valkey import Valkey

log = logging.getLogger(__name__)

_FAILURES_TO_OPEN = 5
_WITHIN_SECONDS = 30.0
_OPEN_SECONDS = 10.0
_LOOK_EVERY = 1.0
_PREFIX = "lockstep:breaker:"


@dataclass(slots=True)
class _State:
    failures: list[float] = field(default_factory=list)
    open_until: float = 0.0
    trying: bool = False


class Breakers:
    """Closed: calls pass. Five failures in a row within half a minute open it for ten seconds; then one call tries.

    Open breakers are keys in Valkey that expire by themselves; each process looks at those of its targets once
    a second. With Valkey away every process decides for itself.
    """

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._states: dict[str, _State] = {}
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin looking at what other processes found."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()

    def allows(self, target: Target) -> bool:
        """Whether to try a target now. When its time is up, exactly one caller is let through to find out."""
        state = self._states.get(target.name)
        if state is None or not state.open_until:
            return True
        if time.monotonic() < state.open_until or state.trying:
            return False
        state.trying = True
        return True

    def succeeded(self, target: Target) -> None:
        """The target answered as it should."""
        state = self._states.get(target.name)
        if state is not None and (state.failures or state.open_until):
            if state.open_until:
                self._tell("DEL", _PREFIX + target.name)
            self._states[target.name] = _State()

    def failed(self, target: Target) -> None:
        """The target did not answer, or said that it cannot."""
        state = self._states.setdefault(target.name, _State())
        now = time.monotonic()
        state.failures = [at for at in state.failures[-_FAILURES_TO_OPEN:] if at > now - _WITHIN_SECONDS]
        state.failures.append(now)
        if state.trying or len(state.failures) >= _FAILURES_TO_OPEN:
            state.trying = False
            state.open_until = now + _OPEN_SECONDS
            log.warning("target %s keeps failing; it is left alone for %d s", target.name, _OPEN_SECONDS)
            self._tell("SET", _PREFIX + target.name, "open", "PX", str(int(_OPEN_SECONDS * 1000)))

    def open_targets(self) -> list[str]:
        """Which targets are left alone now, for metrics."""
        now = time.monotonic()
        return [name for name, state in self._states.items() if state.open_until > now]

    def _tell(self, *command: str) -> None:
        task = asyncio.get_running_loop().create_task(self._send(*command))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _send(self, *command: str) -> None:
        try:
            await self._valkey.execute(*command)
        except (ValkeyUnavailable, ValkeyError):
            return

    def know(self, names: list[str]) -> None:
        """Watch these targets too, though this process has not seen them fail."""
        for name in names:
            self._states.setdefault(name, _State())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            names = list(self._states)
            if not names:
                continue
            try:
                left = await asyncio.gather(*(self._valkey.execute("PTTL", _PREFIX + name) for name in names))
            except (ValkeyUnavailable, ValkeyError):
                continue
            now = time.monotonic()
            for name, milliseconds in zip(names, left, strict=True):
                state = self._states[name]
                if milliseconds > 0 and not state.trying and state.open_until < now:
                    state.open_until = now + milliseconds / 1000
