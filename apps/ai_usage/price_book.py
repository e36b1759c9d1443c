"""The price book: every rate row, indexed by what a call has in common with it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from apps.ai_usage.tariffs import (
    ANY_REGION,
    STANDARD_TIER,
    Mode,
    Rate,
    Tariff,
    TariffKey,
    Unpriced,
    compile_tariff,
)

# The instants at which something changes, and the tariff from each of them on.
_Timeline = tuple[list[datetime], list[Tariff | None]]


class PriceBook:
    """Rate rows, compiled so that finding a call's tariff is a dictionary look-up and a bisection.

    Immutable: a changed catalogue is a new book. Rows that overlap are refused here, as the database does.
    """

    def __init__(self, rates: Iterable[Rate]) -> None:
        by_key: dict[TariffKey, list[Rate]] = defaultdict(list)
        for row in rates:
            by_key[row.key].append(row)
        self._timelines: dict[tuple[str, str, str, Mode, str], _Timeline] = {
            key: _timeline(key, rows) for key, rows in by_key.items()
        }
        self._keys_of: dict[tuple[str, str], list[TariffKey]] = defaultdict(list)
        for key in by_key:
            self._keys_of[key.provider, key.model].append(key)

    def tariff(
        self,
        provider: str,
        model: str,
        at: datetime,
        *,
        service_tier: str = STANDARD_TIER,
        mode: Mode = Mode.REALTIME,
        region: str = ANY_REGION,
    ) -> Tariff:
        """The tariff in force at an instant, or `Unpriced`: nothing falls back to another tier or region."""
        found = self._at((provider, model, service_tier, mode, region), at)
        if found is None:
            place = f" in {region}" if region else ""
            raise Unpriced(provider, model, f"{service_tier} {mode} calls{place} on {at:%Y-%m-%d}")
        return found

    def tariffs(self, provider: str, model: str, at: datetime, *, mode: Mode | None = None) -> list[Tariff]:
        """Every tariff of a model in force at an instant, over all tiers and regions."""
        keys = self._keys_of.get((provider, model), ())
        found = (self._at(key, at) for key in keys if mode is None or key.mode is mode)
        return [tariff for tariff in found if tariff is not None]

    def tariff_served(
        self,
        provider: str,
        target_model: str,
        served_model: str | None,
        at: datetime,
        *,
        service_tier: str = STANDARD_TIER,
        mode: Mode = Mode.REALTIME,
        region: str = ANY_REGION,
    ) -> "Served":
        """The tariff for what the provider says it served, when the call can no longer be refused.

        The served name's own rows come first, then those of the name without its date, then the target's if
        it is the same model. What was served but has no rows takes the dearest tariff known, and is marked.
        """
        names = served_names(target_model, served_model)
        for name in names:
            found = self._at((provider, name, service_tier, mode, region), at)
            if found is not None:
                return Served(found, None)
        for candidates, anomaly in ((names, "unpriced_tier"), ((target_model,), "unpriced_model")):
            known = [one for name in candidates for one in self.tariffs(provider, name, at)]
            if known:
                return Served(max(known, key=_dearness), anomaly)
        raise Unpriced(provider, target_model, f"anything on {at:%Y-%m-%d}")

    def _at(self, key: tuple[str, str, str, Mode, str], at: datetime) -> Tariff | None:
        timeline = self._timelines.get(key)
        if timeline is None:
            return None
        starts, tariffs = timeline
        index = bisect_right(starts, at) - 1
        return tariffs[index] if index >= 0 else None


class Served(NamedTuple):
    """The tariff for a served call, and what was odd about finding it."""

    tariff: Tariff
    anomaly: str | None


# Few pairs come up, and each call asks for its own.
@lru_cache(maxsize=4096)
def served_names(target_model: str, served_model: str | None) -> tuple[str, ...]:
    """The names under which a served model may be priced, best first."""
    if not served_model or served_model == target_model:
        return tuple(dict.fromkeys((target_model, undated(target_model))))
    names = [served_model, undated(served_model)]
    if undated(served_model) == undated(target_model):
        names.append(target_model)
    return tuple(dict.fromkeys(names))


def undated(model: str) -> str:
    """A model name without the snapshot date that providers append: -2024-07-18 or -20250929."""
    for length in (11, 9):
        head, tail = model[:-length], model[-length:]
        digits = tail.replace("-", "")
        if head and tail[0] == "-" and len(digits) == 8 and digits.isdecimal() and digits[:2] == "20":
            return head
    return model


def _dearness(tariff: Tariff) -> tuple[int, int]:
    rows = [row for band in tariff.bands for row in band.by_class.values()]
    return max(row.price for row in rows), max(row.cost for row in rows)


def _timeline(key: TariffKey, rows: list[Rate]) -> _Timeline:
    ends = {row.valid_to for row in rows if row.valid_to is not None}
    starts = sorted(ends | {row.valid_from for row in rows})
    return starts, [compile_tariff(key, [row for row in rows if _in_force(row, start)]) for start in starts]


def _in_force(row: Rate, at: datetime) -> bool:
    return row.valid_from <= at and (row.valid_to is None or at < row.valid_to)
