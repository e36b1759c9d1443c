"""Looking for all the classes of a policy in one text, within bounds of size and time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from apps.governance.data_boundary import addresses, secrets
from apps.governance.data_boundary.classes import DataClass, Finding
from apps.governance.data_boundary.errors import OutOfTime
from apps.governance.data_boundary.numbers import Numbers

Detector = Callable[[str, str], Iterable[Finding]]

_WINDOW: Final = 16_384
# No value but a private key is longer, and that one is looked for in the whole text.
_OVERLAP: Final = 4_096
_BEFORE: Final = 64
_NUMERIC: Final = frozenset(
    {
        DataClass.CREDIT_CARD,
        DataClass.IBAN,
        DataClass.NATIONAL_ID,
        DataClass.VAT_NUMBER,
        DataClass.IP_ADDRESS,
        DataClass.PHONE,
    }
)
_OTHERS: Final[dict[DataClass, Detector]] = {
    DataClass.API_KEY: secrets.api_keys,
    DataClass.JWT: secrets.web_tokens,
    DataClass.LOCKSTEP_KEY: secrets.lockstep_keys,
    DataClass.URL_PASSWORD: secrets.url_passwords,
    DataClass.EMAIL: addresses.emails,
    DataClass.IP_ADDRESS: addresses.ipv6,
}
# Which of two that overlap names both: the strictest, and among equals the one that says most.
_SPECIFIC: Final = (
    DataClass.PRIVATE_KEY,
    DataClass.LOCKSTEP_KEY,
    DataClass.API_KEY,
    DataClass.JWT,
    DataClass.URL_PASSWORD,
    DataClass.IBAN,
    DataClass.EMAIL,
    DataClass.VAT_NUMBER,
    DataClass.NATIONAL_ID,
    DataClass.CREDIT_CARD,
    DataClass.IP_ADDRESS,
    DataClass.PHONE,
)


class Scanner:
    """Finds the classes that it is given, each with how strict the policy is about it. Pure, and safe to share."""

    def __init__(self, classes: Mapping[DataClass, int], regions: tuple[str, ...] = ()) -> None:
        looked_for = frozenset(classes)
        self._rank = {kind: (-classes[kind], _SPECIFIC.index(kind)) for kind in looked_for}
        self._detectors: list[Detector] = [detect for kind, detect in _OTHERS.items() if kind in looked_for]
        self._numbers = Numbers(looked_for, regions) if looked_for & _NUMERIC else None
        self._blocks = DataClass.PRIVATE_KEY in looked_for

    def scan(self, text: str, *, before: str = "", deadline: float | None = None) -> list[Finding]:
        """What stands in a text, in order and without overlaps; OutOfTime past the deadline (time.monotonic)."""
        found: list[Finding] = []
        if self._blocks:
            found += secrets.private_keys(text, before)
        if len(text) <= _WINDOW + _OVERLAP:
            found += self._window(text, before, deadline)
        else:
            found += self._by_windows(text, before, deadline)
        return self._apart(found) if len(found) > 1 else found

    def _window(self, text: str, before: str, deadline: float | None) -> list[Finding]:
        found: list[Finding] = []
        for detect in self._detectors:
            found += detect(text, before)
            if deadline is not None and time.monotonic() > deadline:
                raise OutOfTime
        if self._numbers is not None:
            found += self._numbers.scan(text, before, deadline)
        return found

    def _by_windows(self, text: str, before: str, deadline: float | None) -> Iterator[Finding]:
        for start in range(0, len(text), _WINDOW):
            # What begins in front of a window and ends in it was found by the one before.
            context = text[max(0, start - _BEFORE) : start] if start else before
            for found in self._window(text[start : start + _WINDOW + _OVERLAP], context, deadline):
                if found.start < _WINDOW:
                    yield found._replace(start=found.start + start, end=found.end + start)

    def _apart(self, found: list[Finding]) -> list[Finding]:
        """In order; those that overlap become one that covers them all."""
        found.sort(key=lambda each: each.start)
        kept = [found[0]]
        for each in found[1:]:
            last = kept[-1]
            if each.start >= last.end:
                kept.append(each)
                continue
            kind = min(each.kind, last.kind, key=self._rank.__getitem__)
            kept[-1] = Finding(last.start, max(last.end, each.end), kind, last.open or each.open)
        return kept
