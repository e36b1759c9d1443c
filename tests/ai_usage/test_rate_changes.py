"""What applying price entries does to rate rows, and what it refuses to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from apps.ai_usage.catalogue_types import PriceEntry, RateTerms, TariffName
from apps.ai_usage.quantities import QuantityClass
from apps.ai_usage.rate_changes import RateRow, plan_rate_changes

INPUT, OUTPUT, CACHE = QuantityClass.INPUT, QuantityClass.OUTPUT, QuantityClass.CACHE_READ
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
TARIFF = TariffName("north", "north-small-1")


def terms(cost: str) -> RateTerms:
    return RateTerms(Decimal(cost), None, "USD")


def entry(at: datetime, **costs: str) -> PriceEntry:
    return PriceEntry(TARIFF, at, {QuantityClass(name): terms(cost) for name, cost in costs.items()}, line=7)


def stored(name: QuantityClass, cost: str, start: datetime = JANUARY, end: datetime | None = None) -> RateRow:
    return RateRow(name, terms(cost), start, end, id=uuid4())


def test_a_first_price_may_begin_in_the_past_since_nothing_was_priced_there():
    changes = plan_rate_changes(TARIFF, [], [entry(JANUARY, input="0.15")], now=NOW)

    assert changes.problems == []
    assert changes.begun == [RateRow(INPUT, terms("0.15"), JANUARY, None)]


def test_the_same_entry_again_changes_nothing():
    rows = [stored(INPUT, "0.15"), stored(OUTPUT, "0.60")]

    changes = plan_rate_changes(TARIFF, rows, [entry(JANUARY, input="0.15", output="0.60")], now=NOW)

    assert (changes.begun, changes.ended, changes.withdrawn, changes.problems) == ([], [], [], [])


def test_a_price_from_a_coming_day_ends_the_one_before_it():
    before = stored(INPUT, "0.15")

    changes = plan_rate_changes(TARIFF, [before], [entry(DECEMBER, input="0.12")], now=NOW)

    assert [(row.id, row.valid_to) for row in changes.ended] == [(before.id, DECEMBER)]
    assert changes.begun == [RateRow(INPUT, terms("0.12"), DECEMBER, None)]


def test_another_price_since_a_past_day_is_refused_with_the_line_and_what_to_do():
    yesterday = NOW - timedelta(days=1)

    changes = plan_rate_changes(TARIFF, [stored(INPUT, "0.15")], [entry(yesterday, input="0.12")], now=NOW)

    assert (changes.begun, changes.ended) == ([], [])
    [problem] = changes.problems
    assert problem.line == 7
    assert problem.reason == (
        "input costs 0.15 USD since 2026-01-01T00:00:00Z and the file says 0.12 USD from "
        "2026-11-23T12:00:00Z on, "
        "which would rewrite what calls were priced at. Give the changed price an entry of its own with "
        "`valid_from: now` or a later moment"
    )


def test_a_price_that_has_not_begun_is_replaced_without_a_trace():
    rows = [stored(INPUT, "0.15", end=DECEMBER), stored(INPUT, "0.12", DECEMBER)]

    changes = plan_rate_changes(TARIFF, rows, [entry(DECEMBER, input="0.10")], now=NOW)

    assert changes.withdrawn == [rows[1]]
    assert changes.begun == [RateRow(INPUT, terms("0.10"), DECEMBER, None)]
    assert changes.ended == []


def test_a_class_that_a_later_entry_does_not_name_ends_with_it():
    cache = stored(CACHE, "0.075")

    changes = plan_rate_changes(
        TARIFF, [stored(INPUT, "0.15"), cache], [entry(DECEMBER, input="0.15")], now=NOW
    )

    assert [(row.id, row.valid_to) for row in changes.ended] == [(cache.id, DECEMBER)]
    assert changes.begun == []


def test_a_class_that_an_entry_in_force_no_longer_names_is_not_taken_away_behind_calls():
    changes = plan_rate_changes(
        TARIFF, [stored(INPUT, "0.15"), stored(CACHE, "0.075")], [entry(JANUARY, input="0.15")], now=NOW
    )

    assert [problem.where for problem in changes.problems] == ["prices, north north-small-1"]
    assert "cache_read costs 0.075 USD" in changes.problems[0].reason


def test_an_entry_between_two_rows_ends_where_the_later_one_begins():
    june = datetime(2027, 6, 1, tzinfo=UTC)
    rows = [stored(INPUT, "0.15", end=june), stored(INPUT, "0.10", june)]

    changes = plan_rate_changes(TARIFF, rows, [entry(DECEMBER, input="0.12")], now=NOW)

    assert [row.valid_to for row in changes.ended] == [DECEMBER]
    assert changes.begun == [RateRow(INPUT, terms("0.12"), DECEMBER, june)]


def test_an_entry_before_everything_known_fills_only_the_gap():
    changes = plan_rate_changes(
        TARIFF, [stored(INPUT, "0.15")], [entry(datetime(2025, 1, 1, tzinfo=UTC), input="0.20")], now=NOW
    )

    assert changes.begun == [RateRow(INPUT, terms("0.20"), datetime(2025, 1, 1, tzinfo=UTC), JANUARY)]
    assert changes.ended == []


_COSTS = st.sampled_from(["0.10", "0.15", "0.20"])
_MOMENTS = st.integers(-400, 400).map(lambda days: NOW + timedelta(days=days))
_ENTRIES = st.lists(
    st.builds(
        lambda at, costs: PriceEntry(TARIFF, at, {name: terms(cost) for name, cost in costs.items()}),
        _MOMENTS,
        st.dictionaries(st.sampled_from([INPUT, OUTPUT, CACHE]), _COSTS, max_size=3),
    ),
    max_size=6,
    unique_by=lambda one: one.valid_from,
)


@given(_ENTRIES, _ENTRIES)
def test_whatever_is_applied_the_past_stays_rows_never_overlap_and_again_is_nothing(first, second):
    rows = _after([], plan_rate_changes(TARIFF, [], first, now=NOW - timedelta(days=500)))
    past = {at: _holding(rows, at) for at in _instants(rows) if at < NOW}

    changes = plan_rate_changes(TARIFF, [replace(row) for row in rows], second, now=NOW)

    after = _after(rows, changes)
    for at, held in past.items():
        # A gap in which nothing was priced may be filled; what was priced stays what it was.
        assert held.items() <= _holding(after, at).items()
    for name in (INPUT, OUTPUT, CACHE):
        of_class = sorted(
            (row for row in after if row.quantity_class is name), key=lambda row: row.valid_from
        )
        for one, following in pairwise(of_class):
            assert one.valid_to is not None
            assert one.valid_from < one.valid_to <= following.valid_from
    if not changes.problems:
        again = plan_rate_changes(TARIFF, [replace(row) for row in after], second, now=NOW)
        assert (again.begun, again.ended, again.withdrawn, again.problems) == ([], [], [], [])


def _after(rows, changes):
    ended = {row.id: row.valid_to for row in changes.ended}
    gone = {row.id for row in changes.withdrawn}
    kept = [replace(row, valid_to=ended.get(row.id, row.valid_to)) for row in rows if row.id not in gone]
    return kept + [replace(row, id=uuid4()) for row in changes.begun]


def _instants(rows):
    return {row.valid_from for row in rows} | {
        row.valid_to - timedelta(seconds=1) for row in rows if row.valid_to
    }


def _holding(rows, at):
    return {row.quantity_class: row.terms for row in rows if row.holds_at(at)}
