"""What the person at the terminal sees: lines of many processes, each with its name."""

import contextlib
import queue
import sys
import threading
from typing import TextIO

_COLOURS = ("36", "35", "33", "32", "34", "96", "95", "93", "92", "94")
_LIMIT = 10_000


class Console:
    """Writes whole lines from a thread of its own.

    Whoever started us may have stopped reading our output. A blocked write in the event loop would then
    stop the supervision of everything; here lines beyond the limit are dropped (each is in a log file).
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty()
        self._colour_of: dict[str, str] = {}
        self._width = 10
        self._lines: queue.Queue[str | None] = queue.Queue(_LIMIT)
        self._thread = threading.Thread(target=self._write_all, name="console", daemon=True)
        self._thread.start()

    def show(self, text: str) -> None:
        """Show our own words as they are."""
        for line in text.split("\n"):
            self._put(line)

    def show_from(self, name: str, line: str) -> None:
        """Show a line that process `name` wrote."""
        self._width = max(self._width, len(name))
        prefix = f"{name:<{self._width}} | "
        if self._coloured:
            colour = self._colour_of.setdefault(name, _COLOURS[len(self._colour_of) % len(_COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._put(prefix + line)

    def close(self) -> None:
        """Write what is left, for at most two seconds."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(timeout=2)

    def _put(self, line: str) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line)

    def _write_all(self) -> None:
        readable = True
        while (line := self._lines.get()) is not None:
            # When nobody reads any more (`make up | head`) the system goes on, and its log files with it.
            if readable:
                readable = self._write(line)

    def _write(self, line: str) -> bool:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True
