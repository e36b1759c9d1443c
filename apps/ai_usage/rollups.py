"""From usage events to hours and days: each event counted exactly once, and every sum repeatable from the
events.

The caller serialises the roll-ups of one tenant (billing holds its lock), works in one transaction under the
control plane, and has the tenant in force.
"""

# ruff: noqa: S608  (what is put into the SQL are the names of our own tables)

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Exists, OuterRef

from apps import money
from apps.ai_usage.models import PriceRate, TenantDaily, UsageEvent, UsageHourly, UsagePending
from apps.ai_usage.quantities import INPUT_CLASSES, OUTPUT_SIDE
from apps.tenancy.selectors import current_tenant

BATCH = 20_000


class UsageLost(RuntimeError):
    """A pending mark without its event. Both are written in one commit, so this is never a matter of time."""


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event that a roll-up has just counted."""

    id: UUID
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Usage of one class of one model at one price, summed over some stretch of time or set of events."""

    model: str
    quantity_class: str
    price_id: UUID
    rate_id: UUID
    currency: str
    quantity: int
    cost: Decimal
    price: Decimal


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


# One row per line of an event. The line's own price row: a cost row sells at different prices on different
# plans.
# An answered call is counted on its event's first line, so that a sum over any of the rows counts it once.
_LINES = """
SELECT date_trunc('hour', e.occurred_at, 'UTC') AS hour, e.key_id, e.owner_id, e.model, e.provider,
e.served_model,
       l."class" AS quantity_class, l.rate_id, coalesce(l.price_id, l.rate_id) AS price_id, e.currency,
       l.quantity, l.cost, l.price,
       (l.place = 1 AND e.kind = 'usage' AND NOT starts_with(e.anomaly, 'lost:'))::int AS calls
  FROM {events} e
  CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(e.lines)
       AS ("class" text, quantity bigint, rate_id uuid, price_id uuid, cost numeric, price numeric))
       WITH ORDINALITY AS l("class", quantity, rate_id, price_id, cost, price, place)
"""
_ADD = """
INSERT INTO {hourly} AS h (hour, key_id, owner_id, model, provider, served_model, quantity_class, rate_id,
price_id,
                           currency, quantity, cost, price, events)
SELECT hour, key_id, owner_id, model, provider, served_model, quantity_class, rate_id, price_id, currency,
       sum(quantity), sum(cost), sum(price), sum(calls)
  FROM ({lines} WHERE {which}) AS line
 GROUP BY hour, key_id, owner_id, model, provider, served_model, quantity_class, rate_id, price_id, currency
ON CONFLICT (hour, key_id, owner_id, model, provider, served_model, quantity_class, rate_id, price_id,
currency) DO UPDATE SET quantity = h.quantity + excluded.quantity, cost = h.cost + excluded.cost,
              price = h.price + excluded.price, events = h.events + excluded.events
"""


def count_pending() -> list[CountedEvent]:
    """Add every event that waits to its hours and days, and take its mark away, in the caller's transaction.

    Returns what was counted. A crash before the caller's commit leaves marks and sums as they were; there
    is no watermark that an event committed late could fall behind.
    """
    counted: list[CountedEvent] = []
    with transaction.atomic(), connection.cursor() as cursor:
        while batch := _take_marks(cursor):
            cursor.execute(
                f"SELECT id, occurred_at FROM {_table(UsageEvent)} WHERE id = ANY(%s)",
                (batch,),
            )
            found = [CountedEvent(*row) for row in cursor.fetchall()]
            if len(found) != len(batch):
                missing = set(batch) - {event.id for event in found}
                raise UsageLost(
                    f"{len(missing)} usage events are marked but missing, among them {min(missing)}."
                )
            cursor.execute(_add("e.id = ANY(%s)"), (batch,))
            counted += found
        _derive_days(cursor, {event.occurred_at.date() for event in counted})
    return counted


def _take_marks(cursor: CursorWrapper) -> list[UUID]:
    marks = _table(UsagePending)
    cursor.execute(
        f"DELETE FROM {marks} WHERE event_id IN (SELECT event_id FROM {marks} ORDER BY event_id LIMIT %s "
        "FOR UPDATE SKIP LOCKED) RETURNING event_id",
        (BATCH,),
    )
    return [event_id for (event_id,) in cursor.fetchall()]


def rebuild(starts_at: datetime, ends_at: datetime) -> None:
    """Throw the hours and days of a stretch of time away and make them again from the events, bit for bit.

    The bounds are whole UTC days. Events that no roll-up has counted yet stay uncounted.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        UsageHourly.objects.filter(hour__gte=starts_at, hour__lt=ends_at).delete()
        cursor.execute(
            _add(
                "e.occurred_at >= %s AND e.occurred_at < %s "
                f"AND NOT EXISTS (SELECT FROM {_table(UsagePending)} p WHERE p.event_id = e.id)"
            ),
            (starts_at, ends_at),
        )
        cursor.execute(
            f"SELECT DISTINCT day FROM {_table(TenantDaily)} "
            "WHERE tenant_id = %(tenant)s AND day >= %(from)s AND day < %(to)s "
            f"UNION SELECT DISTINCT (hour AT TIME ZONE 'UTC')::date FROM {_table(UsageHourly)} "
            "WHERE hour >= %(start)s AND hour < %(end)s",
            {
                "tenant": current_tenant().id,
                "from": starts_at.date(),
                "to": ends_at.date(),
                "start": starts_at,
                "end": ends_at,
            },
        )
        _derive_days(cursor, {day for (day,) in cursor.fetchall()})


def _add(which: str) -> str:
    lines = _LINES.format(events=_table(UsageEvent))
    return _ADD.format(hourly=_table(UsageHourly), lines=lines, which=which)


def _derive_days(cursor: CursorWrapper, days: set[date]) -> None:
    if not days:
        return
    daily, hourly = _table(TenantDaily), _table(UsageHourly)
    parameters: dict[str, Any] = {
        "tenant": current_tenant().id,
        "days": sorted(days),
        "first": min(days),
        "last": max(days),
        "input": [str(name) for name in INPUT_CLASSES],
        "output": [str(name) for name in OUTPUT_SIDE],
    }
    cursor.execute(f"DELETE FROM {daily} WHERE tenant_id = %(tenant)s AND day = ANY(%(days)s)", parameters)
    cursor.execute(
        f"""
        INSERT INTO {daily} (tenant_id, day, model, currency, calls, input_tokens, output_tokens,
                             cost, price)
        SELECT %(tenant)s, (hour AT TIME ZONE 'UTC')::date AS day, model, currency, sum(events),
               coalesce(sum(quantity) FILTER (WHERE quantity_class = ANY(%(input)s)), 0),
               coalesce(sum(quantity) FILTER (WHERE quantity_class = ANY(%(output)s)), 0),
               sum(cost), sum(price)
          FROM {hourly}
         WHERE hour >= %(first)s::timestamp AT TIME ZONE 'UTC'
           AND hour < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
           AND (hour AT TIME ZONE 'UTC')::date = ANY(%(days)s)
         GROUP BY 2, model, currency
        """,
        parameters,
    )


_SUMS = """
SELECT model, quantity_class, price_id, rate_id, currency, sum(quantity)::bigint, sum(cost), sum(price)
  FROM {source} AS line GROUP BY model, quantity_class, price_id, rate_id, currency
 ORDER BY model, quantity_class, price_id, rate_id, currency
"""


def usage_sums(
    starts_at: datetime, ends_at: datetime, *, except_events: Sequence[UUID] = ()
) -> list[UsageSum]:
    """What was counted in a half-open stretch of whole hours, without some events that belong elsewhere."""
    source = (
        "(SELECT model, quantity_class, price_id, rate_id, currency, quantity, cost, price "
        f"FROM {_table(UsageHourly)} WHERE hour >= %s AND hour < %s"
    )
    parameters: list[Any] = [starts_at, ends_at]
    if except_events:
        source += (
            " UNION ALL SELECT model, quantity_class, price_id, rate_id, currency, -quantity, -cost, -price "
            f"FROM ({_LINES.format(events=_table(UsageEvent))} WHERE e.id = ANY(%s)) AS late"
        )
        parameters.append(list(except_events))
    return _read_sums(source + ")", parameters)


def event_sums(event_ids: Sequence[UUID]) -> list[UsageSum]:
    """The same sums over a set of events."""
    if not event_ids:
        return []
    return _read_sums(f"({_LINES.format(events=_table(UsageEvent))} WHERE e.id = ANY(%s))", [list(event_ids)])


def _read_sums(source: str, parameters: list[Any]) -> list[UsageSum]:
    with connection.cursor() as cursor:
        cursor.execute(_SUMS.format(source=source), parameters)
        sums = [UsageSum(*row) for row in cursor.fetchall()]
    return [one for one in sums if one.quantity or one.price or one.cost]


@dataclass(frozen=True, slots=True)
class EventDigest:
    """A set of counted events: how many, what they come to, and a hash over each one's id, cost and price."""

    count: int
    cost: Decimal
    price: Decimal
    hash: bytes


def event_digest(
    starts_at: datetime, ends_at: datetime, *, without: Sequence[UUID], and_also: Sequence[UUID]
) -> EventDigest:
    """The counted events of a half-open stretch of time, less some, and some from elsewhere, in the order
    of ids."""
    digest, count, cost, price = hashlib.sha256(), 0, money.ZERO, money.ZERO
    waiting = UsagePending.objects.filter(event_id=OuterRef("pk"))
    own = UsageEvent.objects.filter(occurred_at__gte=starts_at, occurred_at__lt=ends_at).exclude(
        pk__in=list(without)
    )
    rows = own.filter(~Exists(waiting)) | UsageEvent.objects.filter(pk__in=list(and_also))
    for event_id, event_cost, event_price in (
        rows.order_by("pk").values_list("pk", "cost", "price").iterator(5000)
    ):
        digest.update(f"{event_id} {event_cost:f} {event_price:f}\n".encode())
        count, cost, price = count + 1, money.EXACT.add(cost, event_cost), money.EXACT.add(price, event_price)
    return EventDigest(count, cost, price, digest.digest())


def prices_per_million(price_ids: Iterable[UUID]) -> dict[UUID, Decimal]:
    """What each of these price rows sells a million units for."""
    return dict(PriceRate.objects.filter(pk__in=list(price_ids)).values_list("pk", "price_per_million"))


def hourly_digest(starts_at: datetime, ends_at: datetime) -> bytes:
    """A hash over every stored sum of a stretch of time, in an order of their own, so that two can be
    compared."""
    digest = hashlib.sha256()
    rows = UsageHourly.objects.filter(hour__gte=starts_at, hour__lt=ends_at).order_by(
        "hour",
        "key_id",
        "owner_id",
        "model",
        "provider",
        "served_model",
        "quantity_class",
        "price_id",
        "rate_id",
        "currency",
    )
    columns = [field.attname for field in UsageHourly._meta.concrete_fields if field.attname != "id"]
    for row in rows.values_list(*columns).iterator(chunk_size=5000):
        digest.update(repr(row).encode())
    return digest.digest()
