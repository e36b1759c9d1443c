"""The Lua scripts as loaded from their files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "scripts"


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the SHA-1 under which Valkey knows it."""

    name: str
    source: str
    sha: str


def load(name: str) -> Script:
    """Read `scripts/<name>.lua`, with the prelude that every script shares in front of it."""
    source = (_FOLDER / "prelude.lua").read_text() + (_FOLDER / f"{name}.lua").read_text()
    # Valkey names a script by its SHA-1; nothing is secured by it.
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def load_peek() -> Script:
    """The part of `admit.lua` that decides, with an end that holds nothing."""
    decides, mark, _ = (_FOLDER / "admit.lua").read_text().partition("-- Decided, and nothing is held yet")
    if not mark:
        raise ValueError("admit.lua no longer says where it has decided.")
    source = (_FOLDER / "prelude.lua").read_text() + decides + (_FOLDER / "peek.lua").read_text()
    return Script("peek", source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


ADMIT = load("admit")
PEEK = load_peek()
SETTLE = load("settle")
SEED = load("seed")
REGISTER = load("register")
EXTEND = load("extend")
CHANGE = load("change")
INVALIDATE = load("invalidate")
FORGET = load("forget")
BEAT = load("beat")

ALL = (ADMIT, PEEK, SETTLE, SEED, REGISTER, EXTEND, CHANGE, INVALIDATE, FORGET, BEAT)
