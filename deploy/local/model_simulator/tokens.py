"""The simulator's tokenizer, and the text its "models" write.

One token is a run of at most twelve word characters or one other character, each with at most one whitespace
character in front; any further whitespace is one token. Joining the tokens gives the text back, and text the
simulator wrote has exactly as many tokens as it says it has, so a test can check a bill with `count`.
"""

import random
import re
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(r"\s?\w{1,12}|\s?[^\w\s]|\s+")

# Some words are outside ASCII so that a stream cut between two bytes is sometimes cut inside a character.
_PROSE: Final = """
    the a one every ledger token tenant call price exact stream answer model budget window key invoice month
    counts keeps moves holds reads writes adds meets grows follows small quiet steady whole clear early late
    naïve façade Übung größer déjà œuvre 東京 データ 🙂 with from into under after before and then so because
"""
_CORPUS_SIZE: Final = 4096
_CACHEABLE_LENGTH: Final = 16_384


def tokenize(text: str) -> list[str]:
    """Split a text into its tokens; `"".join` of them is the text."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """Return how many tokens a text has."""
    if len(text) > _CACHEABLE_LENGTH:
        return len(_TOKEN.findall(text))
    return _count_cached(text)


@lru_cache(maxsize=4096)
def _count_cached(text: str) -> int:
    return len(_TOKEN.findall(text))


def _write_corpus() -> list[str]:
    draw = random.Random("lockstep model simulator")  # noqa: S311 - reproducible prose, not a secret
    words = _PROSE.split()
    corpus: list[str] = []
    while len(corpus) < _CORPUS_SIZE:
        corpus += [f" {word}" for word in draw.choices(words, k=draw.randint(4, 11))]
        corpus.append(draw.choice([".", ".", ".", ",", ";", "?"]))
    return corpus[:_CORPUS_SIZE]


_CORPUS: Final = _write_corpus()


def write(seed: int, length: int) -> list[str]:
    """Return the `length` tokens that this seed always writes."""
    if length <= 0:
        return []
    start = seed % _CORPUS_SIZE
    tokens = _CORPUS[start : start + length]
    while len(tokens) < length:
        tokens += _CORPUS[: length - len(tokens)]
    # A text may begin with a word, not with the blank before it or with a stop.
    first = tokens[0].strip()
    tokens[0] = first if first.isalnum() else "So"
    return tokens
