"""Numbers that identify people, cards and accounts. Everything starts at a digit, so prose costs next to nothing."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from stdnum import iban, luhn
from stdnum.be import nn as be_nn
from stdnum.br import cpf as br_cpf
from stdnum.ca import sin as ca_sin
from stdnum.ch import ssn as ch_ssn
from stdnum.ch import vat as ch_vat
from stdnum.cn import ric as cn_ric
from stdnum.de import idnr as de_idnr
from stdnum.dk import cpr as dk_cpr
from stdnum.es import dni as es_dni
from stdnum.es import nie as es_nie
from stdnum.eu import vat as eu_vat
from stdnum.fi import hetu as fi_hetu
from stdnum.fr import nir as fr_nir
from stdnum.gb import nhs as gb_nhs
from stdnum.gb import vat as gb_vat
from stdnum.ie import pps as ie_pps
from stdnum.in_ import aadhaar as in_aadhaar
from stdnum.in_ import pan as in_pan
from stdnum.it import codicefiscale as it_codicefiscale
from stdnum.kr import rrn as kr_rrn
from stdnum.mx import curp as mx_curp
from stdnum.nl import bsn as nl_bsn
from stdnum.no import fodselsnummer as no_fodselsnummer
from stdnum.no import mva as no_mva
from stdnum.pl import pesel as pl_pesel
from stdnum.se import personnummer as se_personnummer
from stdnum.tr import tckimlik as tr_tckimlik
from stdnum.us import ssn as us_ssn
from stdnum.za import idnr as za_idnr

from apps.governance.data_boundary.classes import DataClass, Finding
from apps.governance.data_boundary.errors import OutOfTime
from apps.governance.data_boundary.phones import Phones

Check = Callable[[str], bool]

# Digits and what people put between them; two in a row for "(030) 123".
_CLUSTER: Final = re.compile(
    r"[0-9](?:(?<=[A-Za-z][0-9])[0-9]*(?:[ \u00a0./()\-]{1,2}[0-9]+)*"
    r"|(?:[0-9]|[ \u00a0./()\-]{1,2}(?=[0-9])){6,}|[0-9]{5}(?=[A-FU-Y][0-9]))"
)
_GROUP: Final = re.compile(r"[0-9]+")
_IBAN: Final = re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[ \u00a0]?[A-Za-z0-9]){11,30}")
_IPV4: Final = re.compile(
    r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
)
_VAT: Final = re.compile(r"[A-Z]{2,3}[ \-]?[0-9A-Z+*](?:[ .\-]?[0-9A-Z+*]){5,13}")
_SPACED_NINO: Final = re.compile(r"[A-CEGHJ-PR-TW-Z]{2} [0-9]{2} [0-9]{2} [0-9]{2} [A-D](?![A-Za-z0-9])")
_CONTEXT_CHARACTERS: Final = 48
# How a card is printed; anything else with spaces is a row of numbers.
_CARD_SHAPES: Final = frozenset(
    {(4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 1), (4, 4, 5)}
)
_CARD: Final = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12,15}"
    r"|35[0-9]{14}|62[0-9]{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{8,15}"
)


class Numbers:
    """Finds the classes that are made of digits."""

    def __init__(self, classes: frozenset[DataClass], regions: tuple[str, ...]) -> None:
        self._cards = DataClass.CREDIT_CARD in classes
        self._ibans = DataClass.IBAN in classes
        self._people = DataClass.NATIONAL_ID in classes
        self._vat = DataClass.VAT_NUMBER in classes
        self._addresses = DataClass.IP_ADDRESS in classes
        self._phones = Phones(regions) if DataClass.PHONE in classes else None
        self._lettered = self._ibans or self._people or self._vat

    def scan(self, text: str, before: str, deadline: float | None) -> Iterator[Finding]:
        """What stands in a text; `before` is what came before it, for words such as "SSN"."""
        done = 0
        for number, cluster in enumerate(_CLUSTER.finditer(text)):
            if deadline is not None and not number & 31 and time.monotonic() > deadline:
                raise OutOfTime
            start, end = cluster.span()
            if start < done:
                continue
            for found in self._cluster(text, start, end, before, deadline):
                done = max(done, found.end)
                yield found

    def _cluster(
        self, text: str, start: int, end: int, before: str, deadline: float | None
    ) -> Iterator[Finding]:
        previous = text[start - 1] if start else " "
        if self._lettered:
            lettered = previous.isalpha() or (end < len(text) and text[end].isalpha())
            if lettered or (start >= 3 and previous in " -" and text[start - 3 : start - 1].isupper()):
                found = self._with_letters(text, start, before)
                if found is not None:
                    yield found
                    return
        if end - start < 7 or previous.isalnum() or previous == "_":
            return
        if self._addresses and text.count(".", start, end) == 3:
            address = _IPV4.search(text, start, end)
            if address is not None and _stands_alone(text, *address.span()):
                if not address.group().startswith("127.") and address.group() != "0.0.0.0":  # noqa: S104
                    yield Finding(*address.span(), DataClass.IP_ADDRESS)
                return
        yield from self._digits(text, start, end, before, deadline)

    def _with_letters(self, text: str, start: int, before: str) -> Finding | None:
        first, lowest = start, max(0, start - 7)
        while first > lowest and text[first - 1].isalnum():
            first -= 1
        letters = start - first
        run = _GROUP.match(text, start)
        length = run.end() - start if run else 0
        if not letters and (0, length) not in _LETTERED and not text[max(0, start - 3) : start - 1].isupper():
            return None
        if letters > 6 or (first and text[first - 1] == "_"):
            return None
        if self._ibans and letters == 2 and (match := _IBAN.match(text, first)) is not None:
            last = _longest(match.group(), iban.is_valid)
            if last:
                return Finding(first, first + last, DataClass.IBAN)
        if self._vat and letters in (0, 2, 3, 4):
            begin = first if letters else max(0, start - 3)
            if text[begin : begin + 2].isupper() and not (begin and text[begin - 1].isalnum()):
                match = _VAT.match(text, begin)
                last = _longest(match.group(), _is_vat) if match else 0
                if last:
                    return Finding(begin, begin + last, DataClass.VAT_NUMBER)
        if self._people:
            if not letters and start >= 3 and text[start - 1] == " ":
                match = _SPACED_NINO.match(text, start - 3)
                if (
                    match is not None
                    and _is_nino(match.group())
                    and not text[start - 4 : start - 3].isalnum()
                ):
                    return Finding(*match.span(), DataClass.NATIONAL_ID)
            for pattern, check, words in _LETTERED.get((letters, length), ()):
                match = pattern.match(text, first)
                if match is None or (match.end() < len(text) and text[match.end()].isalnum()):
                    continue
                if check(match.group()) and (not words or _said(words, text, first, before)):
                    return Finding(*match.span(), DataClass.NATIONAL_ID)
        return None

    def _digits(
        self, text: str, start: int, end: int, before: str, deadline: float | None
    ) -> Iterator[Finding]:
        groups = [match.span() for match in _GROUP.finditer(text, start, end)]
        sizes = [last - first for first, last in groups]
        if sum(sizes) < 9 and text[start] != "0" and (not start or text[start - 1] not in "+("):
            # Too few for anything: dates, sums, versions.
            return
        index = 0
        while index < len(groups):
            if deadline is not None and not index & 63 and time.monotonic() > deadline:
                raise OutOfTime
            found = self._at(text, groups, sizes, index, before)
            if found is None:
                index += 1
                continue
            yield found
            while index < len(groups) and groups[index][0] < found.end:
                index += 1

    def _at(
        self, text: str, groups: list[tuple[int, int]], sizes: list[int], index: int, before: str
    ) -> Finding | None:
        start, last = groups[index]
        size = sizes[index]
        if not (start and text[start - 1] == "+"):
            if size >= 9:
                kind = self._whole(text[start:last], (size,), text, start, before)
                if kind is not None and not (last < len(text) and text[last].isalnum()):
                    return Finding(start, last, kind)
            for shape in _SHAPES.get(size, ()):
                if tuple(sizes[index : index + len(shape)]) == shape:
                    last = groups[index + len(shape) - 1][1]
                    digits = "".join([text[a:b] for a, b in groups[index : index + len(shape)]])
                    kind = self._whole(digits, shape, text, start, before)
                    if kind is not None and not (last < len(text) and text[last].isalnum()):
                        return Finding(start, last, kind)
        if self._phones is not None:
            return self._phones.at(text, groups, sizes, index)
        return None

    def _whole(
        self, digits: str, sizes: tuple[int, ...], text: str, start: int, before: str
    ) -> DataClass | None:
        if self._cards and len(digits) >= 12 and (len(sizes) == 1 or sizes in _CARD_SHAPES):
            is_card = _CARD.fullmatch(digits) is not None and luhn.is_valid(digits)
            if is_card:
                return DataClass.CREDIT_CARD
        if self._people:
            for shapes, check, words, always in _NUMERIC.get(len(digits), ()):
                shaped = sizes in shapes
                if not shaped and (len(sizes) > 1 or not words):
                    continue
                if (always or not shaped) and not _said(words, text, start, before):
                    continue
                if check(digits):
                    return DataClass.NATIONAL_ID
        return None


def _stands_alone(text: str, start: int, end: int) -> bool:
    if start and text[start - 1] in "0123456789.":
        return False
    after = text[end : end + 2]
    return not (after[:1].isdigit() or (after[:1] == "." and after[1:].isdigit()))


def _longest(written: str, check: Check) -> int:
    """The length of the longest beginning that passes, ending where a word ends; 0 if none."""
    for last in range(len(written), 7, -1):
        if not written[last - 1].isalnum() or (last < len(written) and written[last].isalnum()):
            continue
        if check(written[:last]):
            return last
    return 0


def _is_vat(written: str) -> bool:
    if sum(map(str.isdigit, written)) < 5:
        return False
    if written.startswith("GB"):
        return bool(gb_vat.is_valid(written))
    if written.startswith("CHE"):
        return bool(ch_vat.is_valid(written))
    if written.startswith("NO"):
        return bool(no_mva.is_valid(written))
    return bool(eu_vat.is_valid(written))


def _said(words: str, text: str, start: int, before: str) -> bool:
    """Whether one of these words stands shortly before."""
    near = text[max(0, start - _CONTEXT_CHARACTERS) : start]
    if start < _CONTEXT_CHARACTERS:
        near = before[-(_CONTEXT_CHARACTERS - start) :] + near
    return _word(words).search(near) is not None


_words: dict[str, re.Pattern[str]] = {}


def _word(words: str) -> re.Pattern[str]:
    pattern = _words.get(words)
    if pattern is None:
        pattern = _words[words] = re.compile(rf"\b(?:{words})", re.IGNORECASE)
    return pattern


def _is_nino(written: str) -> bool:
    return written.replace(" ", "")[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _valid(module: Any) -> Check:
    return lambda written: bool(module.is_valid(written))


# By number of digits: how people group them, the check, and words that must stand before where the digits are in
# one piece; with an exclamation mark, always, because the checksum alone says too little.
_Numeric = tuple[frozenset[tuple[int, ...]], Check, str, bool]


def _table(*rows: tuple[int, set[tuple[int, ...]], Check, str]) -> dict[int, tuple[_Numeric, ...]]:
    table: dict[int, tuple[_Numeric, ...]] = {}
    for length, shapes, check, words in rows:
        row = (frozenset(shapes), check, words.lstrip("!"), words.startswith("!"))
        table[length] = (*table.get(length, ()), row)
    return table


_NUMERIC: Final = _table(
    (9, {(3, 2, 4)}, _valid(us_ssn), "ssn|social.security"),
    (9, {(3, 3, 3)}, _valid(ca_sin), "!sin\\b|social.insurance|n\\.?a\\.?s\\b"),
    (9, set(), _valid(nl_bsn), "!bsn|burgerservice|sofi"),
    (10, {(6, 4)}, _valid(se_personnummer), "personnummer|personal.(?:identity|number)"),
    (12, {(8, 4)}, _valid(se_personnummer), "personnummer|personal.(?:identity|number)"),
    (10, {(6, 4)}, _valid(dk_cpr), "cpr"),
    (10, {(3, 3, 4)}, _valid(gb_nhs), "!nhs"),
    (11, {(3, 3, 3, 2)}, _valid(br_cpf), "cpf"),
    (11, {(2, 2, 2, 3, 2)}, _valid(be_nn), "rijksregister|registre.national|national.(?:number|register)"),
    (11, {(2, 3, 3, 3)}, _valid(de_idnr), "steuer|idnr|identifikationsnummer|tax.id"),
    (11, {(6, 5)}, _valid(no_fodselsnummer), "f.dselsnummer|fnr|personnummer"),
    (11, set(), _valid(pl_pesel), "!pesel"),
    (11, set(), _valid(tr_tckimlik), "!t\\.?c\\.?|kimlik"),
    (12, {(4, 4, 4)}, _valid(in_aadhaar), "a+dha+r|uid"),
    (13, {(3, 4, 4, 2), (13,)}, _valid(ch_ssn), ""),
    (13, {(6, 7)}, _valid(kr_rrn), "rrn|resident"),
    (13, set(), _valid(za_idnr), "!(?:south.african )?id\\b|identity"),
    (15, {(1, 2, 2, 2, 3, 3, 2), (13, 2), (15,)}, _valid(fr_nir), ""),
    (18, {(18,)}, _valid(cn_ric), ""),
)
# How the digits of cards and people are grouped, by the size of the first group, the longest first.
_SHAPES: Final[dict[int, list[tuple[int, ...]]]] = {}
for _shape in sorted(
    {
        *_CARD_SHAPES,
        *(shape for rows in _NUMERIC.values() for row in rows for shape in row[0] if len(shape) > 1),
    },
    key=len,
    reverse=True,
):
    _SHAPES.setdefault(_shape[0], []).append(_shape)

# By how many letters come before the first digits, and how many digits those are.
_LETTERED: Final[dict[tuple[int, int], tuple[tuple[re.Pattern[str], Check, str], ...]]] = {
    (6, 2): (
        (
            re.compile(r"[A-Za-z]{6}[0-9]{2}[A-Za-z][0-9]{2}[A-Za-z][0-9]{3}[A-Za-z]"),
            _valid(it_codicefiscale),
            "",
        ),
    ),
    (4, 6): ((re.compile(r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]"), _valid(mx_curp), ""),),
    (5, 4): ((re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]"), _valid(in_pan), ""),),
    (2, 2): ((re.compile(r"[A-CEGHJ-PR-TW-Z]{2} ?[0-9]{2} [0-9]{2} [0-9]{2} ?[A-D]"), _is_nino, ""),),
    (2, 6): ((re.compile(r"[A-CEGHJ-PR-TW-Z]{2}[0-9]{6} ?[A-D]"), _is_nino, ""),),
    (1, 7): ((re.compile(r"[XYZxyz][0-9]{7}-?[A-Za-z]"), _valid(es_nie), ""),),
    (0, 8): ((re.compile(r"[0-9]{8}[- ]?[A-Za-z]"), _valid(es_dni), ""),),
    (0, 6): (
        (
            re.compile(r"[0-9]{6}[A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]|[0-9]{6}[-+][0-9]{3}[A-FHJ-NPR-Y]"),
            _valid(fi_hetu),
            "",
        ),
        (re.compile(r"[12][0-9]{4}2[AB][0-9]{8}"), _valid(fr_nir), ""),
    ),
    (0, 7): ((re.compile(r"[0-9]{7}[A-W][A-IW]?"), _valid(ie_pps), "pps"),),
    (0, 17): ((re.compile(r"[0-9]{17}[Xx]"), _valid(cn_ric), ""),),
}
