"""Commands as bytes, in the protocol that Valkey speaks."""

from collections.abc import Callable
from typing import Any, cast

import hiredis

# hiredis's own annotation allows a tuple of one word only.
pack = cast(Callable[[tuple[Any, ...]], bytes], hiredis.pack_command)


def pack_inner(words: tuple[Any, ...]) -> bytes:
    """Words as they stand inside a command, without the count that it begins with."""
    packed = pack(words)
    return packed[packed.index(b"\r\n") + 2 :]
