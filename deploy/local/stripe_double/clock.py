"""The double's time: the machine's, moved by whoever tests."""

import time


class Clock:
    """Seconds since 1970 as Stripe counts them; `advance` moves them, never back."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> int:
        """This second."""
        return int(time.time() + self._ahead)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("The clock does not go back.")
        self._ahead += seconds

    def reset(self) -> None:
        """Go with the machine again."""
        self._ahead = 0.0
