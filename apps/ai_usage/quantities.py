"""What a call consumed, as disjoint counts that can be priced one by one."""

from enum import StrEnum
from typing import Final, NamedTuple, Self


class QuantityClass(StrEnum):
    """A kind of unit with a rate of its own. The classes are disjoint: no unit is counted in two of them."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    AUDIO_INPUT = "audio_input"
    IMAGE_INPUT = "image_input"
    OUTPUT = "output"
    AUDIO_OUTPUT = "audio_output"
    # Billable calls of the provider's own tools, such as web search; not tokens.
    REQUESTS = "requests"
    # Part of OUTPUT, so only a line of its own where a price row gives it a rate of its own.
    REASONING = "reasoning"


INPUT_CLASSES: Final = (
    QuantityClass.INPUT,
    QuantityClass.CACHE_READ,
    QuantityClass.CACHE_WRITE_5M,
    QuantityClass.CACHE_WRITE_1H,
    QuantityClass.AUDIO_INPUT,
    QuantityClass.IMAGE_INPUT,
)
OUTPUT_CLASSES: Final = (QuantityClass.OUTPUT, QuantityClass.AUDIO_OUTPUT)
# What output may be priced as: reasoning is output, and may have a rate of its own.
OUTPUT_SIDE: Final = (*OUTPUT_CLASSES, QuantityClass.REASONING)
DISJOINT_CLASSES: Final = (*INPUT_CLASSES, *OUTPUT_CLASSES, QuantityClass.REQUESTS)

# What a catalogue may call a class besides its name.
CLASS_ALIASES: Final = {"cache_write": QuantityClass.CACHE_WRITE_5M}


def quantity_class(name: str) -> QuantityClass:
    """The class a catalogue means by a name; ValueError if there is none."""
    return CLASS_ALIASES.get(name) or QuantityClass(name)


class _Counts(NamedTuple):
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    image_input: int = 0
    output: int = 0
    audio_output: int = 0
    requests: int = 0
    reasoning: int = 0


class Quantities(_Counts):
    """Integer counts ≥ 0, one per disjoint class, plus the reasoning tokens that OUTPUT already contains.

    A tuple in the order of `DISJOINT_CLASSES` with the reasoning at its end; several are made for each call.
    """

    __slots__ = ()

    def __new__(cls, *counts: int, **named: int) -> Self:
        """Checked: ValueError for a count that cannot be, TypeError for one that is no integer."""
        made = super().__new__(cls, *counts, **named)
        # `type is int` so that True is not a token.
        if {*map(type, made)} != _INTEGERS:
            raise TypeError(f"Quantities are integers: {made}.")
        if min(made) < 0:
            raise ValueError(f"Quantities cannot be negative: {made}.")
        if made.reasoning > made.output:
            raise ValueError(f"Reasoning is part of the output and cannot exceed it: {made}.")
        return made

    @property
    def total_input(self) -> int:
        """Every token of the prompt, cached or not, in whatever medium."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            + self.image_input
        )

    @property
    def total_output(self) -> int:
        """Every token generated, reasoning included."""
        return self.output + self.audio_output

    @property
    def total_tokens(self) -> int:
        """Input and output together: what a tokens-per-minute limit counts."""
        return self.total_input + self.total_output

    def __add__(self, other: tuple[int, ...]) -> "Quantities":  # type: ignore[override]  # a sum, no longer tuple
        return Quantities(*map(int.__add__, self, other))

    def disjoint(self) -> tuple[int, ...]:
        """The counts in the order of `DISJOINT_CLASSES`."""
        return self[:-1]

    def as_dict(self) -> dict[str, int]:
        """The counts that are not zero, by class name: the form in which they are stored and shown."""
        return {name: count for name, count in zip(self._fields, self, strict=True) if count}


_INTEGERS: Final = {int}
NOTHING: Final = Quantities()
