"""Sums of usage, equal to the ledger to the last digit at any moment and quick at any size.

What is read are the hours that a roll-up has counted and the events that none has counted yet, in one
statement and so at one moment: an event is in exactly one of the two.
"""

# ruff: noqa: S608  (what is put into the SQL are the names of our own tables and columns)

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

from apps.ai_usage.errors import InvalidPeriod, UsageTooFine
from apps.ai_usage.insight.types import Consumed, Grouping, Period, UsageFilter, UsageReport, UsageRow
from apps.ai_usage.models import UsageEvent, UsageHourly, UsagePending

MOST_ROWS = 10_000
_MOST_LINES = MOST_ROWS * 10  # a row has a line per class
_LONGEST_BY_HOUR = 32
_LONGEST = 400
_EVERYTHING = UsageFilter()

_COLUMNS = {
    Grouping.MODEL: "model",
    Grouping.KEY: "key_id",
    Grouping.OWNER: "owner_id",
    Grouping.CLASS: "quantity_class",
    Grouping.HOUR: "hour",
    # A day in UTC has 24 hours; date_trunc would look up the zone for each row.
    Grouping.DAY: "date_bin('1 day', hour, '2000-01-01T00:00:00Z')",
    Grouping.MONTH: "date_trunc('month', hour, 'UTC')",
}


def usage(
    period: Period,
    *,
    group_by: Sequence[Grouping] = (),
    only: UsageFilter = _EVERYTHING,
    most_groups: int | None = None,
) -> UsageReport:
    """What was consumed in a period, split by time and by whom or what; without a grouping, in one sum.

    Rows come by time and then dearest first. With `most_groups` only so many models, keys, owners or classes,
    the dearest, have rows of their own, and the rest is one row. UsageTooFine beyond `MOST_ROWS`.
    """
    _check(period, group_by)
    rows: dict[tuple[Any, ...], UsageRow] = {}
    for *group, is_rest, currency, quantity_class, quantity, price, calls in _read(
        period, group_by, only, most_groups
    ):
        place = (*group, is_rest, currency)
        row = rows.get(place)
        if row is None:
            names = dict(zip(map(str, group_by), group, strict=True))
            row = rows[place] = UsageRow(names, Consumed(currency), is_rest)
        row.consumed.add(quantity_class, quantity, price, calls)
    if len(rows) > MOST_ROWS:
        raise UsageTooFine(MOST_ROWS)
    return UsageReport(
        period, tuple(group_by), tuple(_sorted(rows.values(), group_by)), _totals(rows.values())
    )


def _check(period: Period, group_by: Sequence[Grouping]) -> None:
    longest = _LONGEST_BY_HOUR if Grouping.HOUR in group_by else _LONGEST
    if period.length.days > longest:
        by = " by the hour" if Grouping.HOUR in group_by else ""
        raise InvalidPeriod(
            f"Usage{by} is given for at most {longest} days at once. Ask for a shorter period."
        )
    if len({*group_by}) != len(group_by) or sum(each.is_time for each in group_by) > 1:
        raise InvalidPeriod("Group by each thing once, and by one of hour, day and month.")


def _read(
    period: Period, group_by: Sequence[Grouping], only: UsageFilter, most_groups: int | None
) -> list[tuple[Any, ...]]:
    columns = {each: f"g{place}" for place, each in enumerate(group_by)}
    names = list(columns.values())
    ranked = [name for each, name in columns.items() if not each.is_time]
    statement = f"WITH summed AS ({_sums(columns, only)})"
    if most_groups is None or not ranked:
        shown = ", ".join([*names, "false"])
        statement += f"""
SELECT {shown}, currency, quantity_class, sum(quantity)::bigint, sum(price), sum(calls)::bigint
  FROM summed GROUP BY {_first(len(names) + 3)}"""
    else:
        whole = ", ".join(ranked)
        matches = " AND ".join(f"s.{name} IS NOT DISTINCT FROM r.{name}" for name in ranked)
        shown = ", ".join(
            f"CASE WHEN r.place <= %(most)s THEN s.{name} END" if name in ranked else f"s.{name}"
            for name in names
        )
        statement += f""", ranked AS (
  SELECT {whole}, row_number() OVER (ORDER BY sum(price) DESC, sum(quantity) DESC, {whole}) AS place
    FROM summed GROUP BY {whole})
SELECT {shown}, r.place > %(most)s, currency, quantity_class,
       sum(quantity)::bigint, sum(price), sum(calls)::bigint
  FROM summed s JOIN ranked r ON {matches} GROUP BY {_first(len(names) + 3)}"""
    parameters = {
        "starts": period.starts_at,
        "ends": period.ends_at,
        "most": most_groups,
        "model": only.model,
        "key": only.key_id,
        "keys": list(only.key_ids),
        "owner": only.owner_id,
        "lines": _MOST_LINES + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} LIMIT %(lines)s", parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    if len(found) > _MOST_LINES:
        raise UsageTooFine(MOST_ROWS)
    return found


def _sums(columns: Mapping[Grouping, str], only: UsageFilter) -> str:
    """Sums of the hours and sums of the events, one below the other: each is small, whatever it was made of."""
    grouped = "".join(f"{_COLUMNS[each]} AS {name}, " for each, name in columns.items())
    sums = "sum(quantity) AS quantity, sum(price) AS price, sum(calls) AS calls"
    places = _first(len(columns) + 2)
    wanted = ""
    if only.model:
        wanted += " AND u.model = %(model)s"
    if only.key_id:
        wanted += " AND u.key_id = %(key)s"
    if only.key_ids:
        wanted += " AND u.key_id = ANY(%(keys)s)"
    if only.owner_id:
        wanted += " AND u.owner_id = %(owner)s"
    return f"""
SELECT {grouped}currency, quantity_class, {sums.replace("calls)", "events)")}
  FROM {_table(UsageHourly)} u WHERE hour >= %(starts)s AND hour < %(ends)s{wanted} GROUP BY {places}
UNION ALL
SELECT {grouped}currency, quantity_class, {sums}
  FROM (SELECT date_trunc('hour', u.occurred_at, 'UTC') AS hour, u.key_id, u.owner_id, u.model,
               l.quantity_class, u.currency, l.quantity, l.price,
               (l.place = 1 AND u.kind = 'usage' AND NOT starts_with(u.anomaly, 'lost:'))::int AS calls
          FROM {_table(UsagePending)} p JOIN {_table(UsageEvent)} u ON u.id = p.event_id
         CROSS JOIN LATERAL
               ROWS FROM (jsonb_to_recordset(u.lines) AS ("class" text, quantity bigint, price numeric))
               WITH ORDINALITY AS l(quantity_class, quantity, price, place)
         WHERE u.occurred_at >= %(starts)s AND u.occurred_at < %(ends)s{wanted}) AS line
 GROUP BY {places}"""


def _first(count: int) -> str:
    """The first columns of a SELECT, for its GROUP BY."""
    return ", ".join(map(str, range(1, count + 1)))


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _sorted(rows: Any, group_by: Sequence[Grouping]) -> list[UsageRow]:
    times = [str(each) for each in group_by if each.is_time]

    def order(row: UsageRow) -> tuple[Any, ...]:
        return (*(row.group[name] for name in times), row.is_rest, -row.consumed.price, str(row.group))

    return sorted(rows, key=order)


def _totals(rows: Any) -> tuple[Consumed, ...]:
    totals: dict[str, Consumed] = {}
    for row in rows:
        currency = row.consumed.currency
        totals.setdefault(currency, Consumed(currency)).add_all(row.consumed)
    return tuple(sorted(totals.values(), key=lambda total: total.currency))
