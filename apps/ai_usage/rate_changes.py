"""Which rate rows end and which begin so that a catalogue's price entries hold, without rewriting the past.
Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from apps.ai_usage.catalogue_types import CatalogueProblem, PriceEntry, RateTerms, TariffName
from apps.ai_usage.quantities import QuantityClass


@dataclass(slots=True)
class RateRow:
    """One row as it is or will be. `id` None: not stored yet."""

    quantity_class: QuantityClass
    terms: RateTerms
    valid_from: datetime
    valid_to: datetime | None
    id: UUID | None = None
    source: str = ""

    def holds_at(self, at: datetime) -> bool:
        """Whether the row prices a call at this instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(slots=True)
class RateChanges:
    """What to do to the rows of one tariff."""

    tariff: TariffName
    begun: list[RateRow] = field(default_factory=list)
    ended: list[RateRow] = field(default_factory=list)  # stored rows with their new end
    withdrawn: list[RateRow] = field(default_factory=list)  # stored rows that had not begun
    problems: list[CatalogueProblem] = field(default_factory=list)


def plan_rate_changes(
    tariff: TariffName, stored: Iterable[RateRow], entries: Iterable[PriceEntry], *, now: datetime
) -> RateChanges:
    """The changes that make every entry hold from its moment on.

    An entry whose rates hold already changes nothing, whenever it is read again. What would change the rate
    of an instant that has passed, and had one, is a problem: calls were priced by it.
    """
    timeline = _Timeline(RateChanges(tariff), list(stored), now)
    for entry in sorted(entries, key=lambda entry: entry.valid_from):
        named = {*entry.rates, *timeline.classes_at(entry.valid_from)}
        for quantity_class in sorted(named):
            timeline.set(quantity_class, entry)
    return timeline.changes


class _Timeline:
    def __init__(self, changes: RateChanges, rows: list[RateRow], now: datetime) -> None:
        self.changes = changes
        self.rows = rows
        self.now = now

    def classes_at(self, at: datetime) -> set[QuantityClass]:
        return {row.quantity_class for row in self.rows if row.holds_at(at)}

    def set(self, quantity_class: QuantityClass, entry: PriceEntry) -> None:
        wanted, at = entry.rates.get(quantity_class), entry.valid_from
        same_class = [row for row in self.rows if row.quantity_class is quantity_class]
        holding = next((row for row in same_class if row.holds_at(at)), None)
        if holding is None:
            if wanted is not None:
                later = [row.valid_from for row in same_class if row.valid_from > at]
                self._begin(quantity_class, wanted, entry, min(later, default=None))
        elif holding.terms != wanted:
            # A row of this very file has priced nothing yet, so a file may tell the past of a new model.
            if at < self.now and holding.id is not None:
                self._refuse(quantity_class, entry, holding)
                return
            until = holding.valid_to
            if holding.valid_from == at and at == self.now:
                # `now` twice in one file, or a clock that stands still: the row began in this very apply.
                self._refuse(quantity_class, entry, holding)
                return
            if holding.valid_from == at:
                self._withdraw(holding)
            else:
                self._end(holding, at)
            if wanted is not None:
                self._begin(quantity_class, wanted, entry, until)

    def _begin(
        self, quantity_class: QuantityClass, terms: RateTerms, entry: PriceEntry, until: datetime | None
    ) -> None:
        row = RateRow(quantity_class, terms, entry.valid_from, until, source=entry.source)
        self.rows.append(row)
        self.changes.begun.append(row)

    def _end(self, row: RateRow, at: datetime) -> None:
        row.valid_to = at
        if row.id is not None and row not in self.changes.ended:
            self.changes.ended.append(row)

    def _withdraw(self, row: RateRow) -> None:
        self.rows.remove(row)
        if row.id is None:
            self.changes.begun.remove(row)
        else:
            self.changes.withdrawn.append(row)
            if row in self.changes.ended:
                self.changes.ended.remove(row)

    def _refuse(self, quantity_class: QuantityClass, entry: PriceEntry, holding: RateRow) -> None:
        wanted = entry.rates.get(quantity_class)
        says = f"says {wanted}" if wanted else "names no rate"
        self.changes.problems.append(
            CatalogueProblem(
                entry.line,
                f"prices, {entry.tariff}",
                f"{quantity_class} costs {holding.terms} since {holding.valid_from:%Y-%m-%dT%H:%M:%SZ} "
                "and the file "
                f"{says} from {entry.valid_from:%Y-%m-%dT%H:%M:%SZ} on, which would rewrite what calls "
                "were priced "
                "at. Give the changed price an entry of its own with `valid_from: now` or a later moment",
            )
        )
