"""Phone numbers, as Google's libphonenumber knows them: international ones, and national ones of chosen regions."""

from typing import Final

import phonenumbers

from apps.governance.data_boundary.classes import DataClass, Finding

_LONGEST: Final = 15
_SHORTEST: Final = 7
_MOST_GROUPS: Final = 7
# How national numbers without a leading zero are written; ids, dates and sums are not.
_SHAPES: Final = ((1, 3, 3, 4), (3, 3, 4), (3, 2, 2, 2), (3, 3, 3))
_CODES: Final = {
    code: frozenset(regions) for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
}


class Phones:
    """Tries digit groups as phone numbers."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        known: list[tuple[int, str]] = []
        for region in regions:
            metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
            if metadata is not None:
                known.append((metadata.country_code or 0, metadata.national_prefix or ""))
        # Regions of one plan, such as the US and Canada, are one.
        self._national = tuple(dict.fromkeys(known))

    def at(self, text: str, groups: list[tuple[int, int]], sizes: list[int], index: int) -> Finding | None:
        """The number that begins with this group, the longest first."""
        start = groups[index][0]
        previous = text[start - 1] if start else ""
        if previous == "+":
            return self._international(text, groups, index, start - 1, 0)
        if previous == "(" and start > 1 and text[start - 2] == "+":
            return None
        if text.startswith("00", start) and sizes[index] > 2:
            return self._international(text, groups, index, start, 2)
        if not self._national:
            return None
        if previous == "(":
            end = groups[index][1]
            if text[end : end + 1] == ")":
                return self._longest(text, groups, index, start - 1, least=2)
        if text[start] == "0":
            return self._longest(text, groups, index, start, least=2) if sizes[index] > 1 else None
        for shape in _SHAPES:
            if tuple(sizes[index : index + len(shape)]) == shape:
                end = groups[index + len(shape) - 1][1]
                between = text[start:end].translate(_NO_DIGITS)
                if len(set(between)) == 1 or between in ("(", ") -", ")-", " () -"):
                    found = self._checked(text, groups[index : index + len(shape)], start)
                    if found is not None:
                        return found
        return None

    def _international(
        self, text: str, groups: list[tuple[int, int]], index: int, begin: int, skipped: int
    ) -> Finding | None:
        rest = groups[index : index + _MOST_GROUPS]
        for last in range(len(rest), 0, -1):
            end = rest[last - 1][1]
            digits = "".join([text[a:b] for a, b in rest[:last]])[skipped:]
            if not _SHORTEST <= len(digits) <= _LONGEST or (end < len(text) and text[end].isalnum()):
                continue
            for size in (1, 2, 3):
                code = int(digits[:size])
                if code in _CODES and _is_valid(code, digits[size:]):
                    return Finding(begin, end, DataClass.PHONE)
        return None

    def _longest(
        self, text: str, groups: list[tuple[int, int]], index: int, begin: int, *, least: int
    ) -> Finding | None:
        rest = groups[index : index + _MOST_GROUPS]
        for last in range(len(rest), least - 1, -1):
            found = self._checked(text, rest[:last], begin)
            if found is not None:
                return found
        return None

    def _checked(self, text: str, groups: list[tuple[int, int]], begin: int) -> Finding | None:
        end = groups[-1][1]
        digits = "".join([text[a:b] for a, b in groups])
        if not 8 <= len(digits) <= _LONGEST or (end < len(text) and text[end].isalnum()):
            return None
        for code, prefix in self._national:
            national = digits.removeprefix(prefix) if prefix else digits
            if prefix == "0" and national == digits:
                continue
            if _is_valid(code, national):
                return Finding(begin, end, DataClass.PHONE)
        return None


_NO_DIGITS: Final = dict.fromkeys(map(ord, "0123456789"))


def _is_valid(code: int, national: str) -> bool:
    if not 4 <= len(national) <= 14:
        return False
    number = phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    if national.startswith("0"):
        number.italian_leading_zero = True
        number.number_of_leading_zeros = len(national) - len(national.lstrip("0"))
    return bool(phonenumbers.is_valid_number(number))


def known_regions() -> frozenset[str]:
    """The regions whose national numbers can be recognised, as ISO 3166 codes."""
    return frozenset(phonenumbers.SUPPORTED_REGIONS)
