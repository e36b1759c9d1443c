"""Valkey's time as seen from this process."""

import time
from collections.abc import Callable


class ServerClock:
    """Estimates Valkey's clock from its answers, or replaces it in tests (`override`, Unix milliseconds)."""

    def __init__(self, override: Callable[[], int] | None = None) -> None:
        self._override = override
        self._skew_ms = 0.0

    def now_ms(self) -> int:
        if self._override is not None:
            return self._override()
        return int(time.time() * 1000 + self._skew_ms)

    def word(self) -> str:
        """The time to give to scripts: in earnest none, so that they take Valkey's own."""
        return "" if self._override is None else str(self._override())

    def learn(self, server_ms: int) -> None:
        self._skew_ms = server_ms - time.time() * 1000
