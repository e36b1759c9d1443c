"""Whether all books agree after a run. Each check answers with sentences about what does not hold."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from tests.faults.books import Books, hard_budgets, spent_by_subject
from tests.faults.load import Told

_EXPECTED = {200, 400, 402, 409, 429, 502, 503, 504, 529}
# Clocks of two threads and a signal on its way.
_SLACK = 0.3


class Ending(Protocol):
    """A process that ended or stood still."""

    how: str
    web: int
    life: int
    began: float
    ended: float


def _met(told: Told, endings: Iterable[Ending], how: str) -> Ending | None:
    """The ending that a call under way ran into, if there was one."""
    for ending in endings:
        if (ending.how, ending.web, ending.life) == (how, told.web, told.life) and (
            told.began <= ending.ended + _SLACK
            # A call goes on when its client has left, for how long the client cannot know.
            and (told.left or told.ended >= ending.began - _SLACK)
        ):
            return ending
    return None


def check_answers(told: Iterable[Told], endings: Sequence[Ending]) -> list[str]:
    """Every client got an answer in the surface's words, except of processes that were killed or had been stopped."""
    problems = []
    for one in told:
        if one.status is not None and one.status not in _EXPECTED:
            problems.append(f"{one.user} was answered {one.status} {one.code}")
        if not one.error or one.left:
            continue
        # Until the next process is there, clients go on calling the address of the one that went.
        ends = [
            ending
            for ending in endings
            if (ending.web, ending.life) == (one.web, one.life)
            and ending.how != "paused"
            and one.ended >= ending.began - _SLACK
        ]
        if not ends:
            problems.append(f"{one.user} was not answered by a process that lived: {one.error}")
        elif ends[0].how == "drained" and one.began < ends[0].began - _SLACK:
            problems.append(
                f"{one.user} was under way when its process was asked to stop, and lost: {one.error}"
            )
    return problems


def check_provider(
    told: Sequence[Told], endings: Sequence[Ending], served: Iterable[dict[str, Any]], books: Books
) -> list[str]:
    """The provider's log against the ledger, both ways.

    What a client got whole has exactly one event that is charged for. What the provider billed has an event,
    unless its attempt was under way in a process when that was killed and nobody was told that it succeeded.
    """
    problems = []
    by_user: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        by_user[one.user].append(one)
    charged: dict[UUID, list[Any]] = defaultdict(list)
    events: dict[UUID, Any] = {}
    attempts: dict[UUID, Any] = {}
    for tenant in books.tenants:
        for event in books.events(tenant):
            events[event.id] = event
            if not event.anomaly.startswith("lost:"):
                charged[event.call_id].append(event)
        attempts |= {attempt.id: attempt for attempt in books.rows(tenant, "ai_usage_attempt")}

    billed_attempts = set()
    for entry in served:
        attempt_id = UUID(entry["client_request_id"]) if entry["client_request_id"] else None
        if not entry["billed"] or attempt_id is None:
            continue
        billed_attempts.add(attempt_id)
        event = events.get(attempt_id)
        if event is None and attempt_id in attempts:
            # A call with an Idempotency-Key has an event under its claim's id.
            found = charged.get(attempts[attempt_id].call_id, [])
            event = found[0] if found and attempts[attempt_id].outcome != "lost" else None
        if event is None:
            callers = by_user.get(entry["user"] or "", [])
            if not any(not one.whole and _met(one, endings, "killed") for one in callers):
                problems.append(
                    f"the provider billed attempt {attempt_id} of {entry['user']} ({entry['ended']}), "
                    "which no event knows and no killed process had under way"
                )
        elif event.usage_source in ("provider", "drained") and not event.anomaly:
            problems += _differences(entry, event)

    for event in events.values():
        attempt = event.id if event.id in attempts else None
        if attempt is not None and attempt not in billed_attempts:
            problems.append(
                f"event {event.id} of call {event.call_id} is of an attempt that no provider billed"
            )
    for call_id, found in charged.items():
        if len(found) > 1:
            problems.append(f"call {call_id} was charged {len(found)} times")
    for one in told:
        if one.whole and one.status == 200 and not charged.get(UUID(one.call_id)):
            problems.append(f"{one.user} was answered, and call {one.call_id} has no event")
    return problems


def _differences(entry: dict[str, Any], event: Any) -> list[str]:
    usage = entry["usage"]
    billed_input = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    billed_input += usage.get("cache_creation_input_tokens", 0) + usage.get("cache_read_input_tokens", 0)
    billed = (billed_input, usage.get("completion_tokens", usage.get("output_tokens", 0)))
    if billed != (event.input_tokens, event.output_tokens):
        return [
            f"the provider billed {billed} tokens for {entry['user']}, "
            f"event {event.id} has {(event.input_tokens, event.output_tokens)}"
        ]
    return []


def check_repetitions(told: Iterable[Told], books: Books) -> list[str]:
    """An Idempotency-Key was charged once, and everybody who asked under it got the same bytes."""
    problems = []
    charged: dict[UUID, int] = defaultdict(int)
    for tenant in books.tenants:
        for event in books.events(tenant):
            if not event.anomaly.startswith("lost:"):
                charged[event.call_id] += 1
    groups: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        if one.planned.idempotency_key and one.status == 200 and one.whole:
            groups[one.planned.idempotency_key].append(one)
    for key, answers in groups.items():
        if len({one.digest for one in answers}) > 1 or len({one.call_id for one in answers}) > 1:
            problems.append(f"Idempotency-Key {key} got different answers")
        if sum(charged[UUID(call_id)] for call_id in {one.call_id for one in answers}) != 1:
            problems.append(f"Idempotency-Key {key} was not charged exactly once")
    return problems


def check_budgets(told: Iterable[Told], endings: Sequence[Ending], books: Books) -> list[str]:
    """No hard budget was overshot, and each counter says what the ledger says.

    What a process had under way while it stood still beyond its lease is beyond a budget's power: its money was
    given to others meanwhile. That much, and no more, may be over (docs/decisions/0017).
    """
    problems = []
    stood_still = {one.call_id for one in told if one.call_id and _met(one, endings, "paused")}
    for tenant in books.tenants:
        events = books.events(tenant)
        spent = spent_by_subject(events)
        excused = spent_by_subject([event for event in events if str(event.call_id) in stood_still])
        for subject, budget in hard_budgets(tenant).items():
            total, over = sum(spent[subject]), sum(excused[subject])
            if total - over > int(budget * 10**9):
                problems.append(
                    f"{tenant['plan']}'s budget {subject} of {budget} was overshot: {total} nano-units"
                )
    for counter in books.counters():
        level, _, rest = counter.subject.partition(":")
        subject = "t" if level == "t" else f"{level}:{rest.partition(':')[0]}"
        expected = sum(spent_by_subject(books.events(counter.tenant))[subject])
        # A counter that was read from the ledger is rounded up once, one that was settled is at each call.
        exact = sum(
            event.price * 10**9
            for event in books.events(counter.tenant)
            if subject in ("t", f"o:{event.owner_id.hex}", f"k:{event.key_id.hex}")
        )
        if not exact <= counter.spent <= expected:
            problems.append(
                f"{counter.tenant['plan']}'s counter {counter.name} has {counter.spent}, the ledger {expected}"
            )
    return problems


def check_sums(books: Books) -> list[str]:
    """Lines make events, events make hours and days, and those make the draft invoice, to the last digit."""
    problems = []
    for tenant in books.tenants:
        schema = tenant["schema"]
        plan = tenant["plan"]
        (lines,) = books.ask(
            f"""
SELECT count(*) AS wrong FROM "{schema}".ai_usage_usageevent e
 WHERE e.price <> (SELECT coalesce(sum((l->>'price')::numeric), 0) FROM jsonb_array_elements(e.lines) l)
    OR e.cost <> (SELECT coalesce(sum((l->>'cost')::numeric), 0) FROM jsonb_array_elements(e.lines) l)
    OR e.price < 0 OR e.cost < 0"""
        )
        if lines.wrong:
            problems.append(f"{lines.wrong} events of {plan} are not the sum of their lines")
        if books.ask(f'SELECT 1 FROM "{schema}".ai_usage_usagepending'):
            problems.append(f"events of {plan} still wait for the roll-up")
        by_event = books.ask(
            f"""
SELECT date_trunc('hour', e.occurred_at) AS hour, e.key_id, e.model, l->>'class' AS quantity_class,
       sum((l->>'quantity')::bigint) AS quantity, sum((l->>'cost')::numeric) AS cost,
       sum((l->>'price')::numeric) AS price
  FROM "{schema}".ai_usage_usageevent e, jsonb_array_elements(e.lines) l GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        )
        by_hour = books.ask(
            f"""
SELECT hour, key_id, model, quantity_class, sum(quantity) AS quantity, sum(cost) AS cost, sum(price) AS price
  FROM "{schema}".ai_usage_usagehourly GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        )
        if by_event != by_hour:
            problems.append(f"the hours of {plan} are not the sums of its events")
        total = sum((event.price for event in books.events(tenant)), Decimal(0))
        (days,) = books.ask(
            "SELECT coalesce(sum(price), 0) AS price FROM ai_usage_tenantdaily WHERE tenant_id = %s",
            (tenant["id"],),
        )
        if days.price != total:
            problems.append(f"the days of {plan} come to {days.price}, its events to {total}")
        (invoice,) = books.ask(
            f"SELECT coalesce(sum(amount), 0) AS amount FROM \"{schema}\".billing_invoiceline WHERE kind = 'usage'"
        )
        if invoice.amount != total:
            problems.append(
                f"the invoice of {plan} has usage of {invoice.amount}, its events come to {total}"
            )
    return problems
