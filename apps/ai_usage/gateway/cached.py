"""What one call has to do with the tenant's answer cache, while it is being made."""

from dataclasses import dataclass, field

_EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(slots=True)
class CacheUse:
    """Whether the call may read and write the cache, and what of its answer is to be kept."""

    # Names the request among its tenant's; empty where the call keeps away from the cache.
    name: str
    reads: bool
    writes: bool
    seconds: int
    largest: int
    # What `x-lockstep-cache` says: hit, miss or bypass.
    state: bytes = b"bypass"
    content_type: str = "application/json"
    # Of a hit: the call that was answered first, and how long ago.
    origin: str = ""
    age: int = 0
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0

    def add(self, piece: bytes) -> None:
        """Take a part of the answer as the client sees it; nothing is kept of one that grows too large."""
        if not self.writes:
            return
        self._size += len(piece)
        if self._size > self.largest:
            self.writes = False
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def add_end_of_stream(self, piece: bytes) -> None:
        """Take the last of a stream."""
        self.content_type = _EVENT_STREAM
        self.add(piece)

    def answer(self) -> bytes:
        """The whole answer."""
        return b"".join(self._pieces)
