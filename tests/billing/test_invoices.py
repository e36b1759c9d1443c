"""From the ledger to the invoice, to the last digit, and then never again changed."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.ai_usage.models import TenantDaily, UsageEvent, UsageHourly
from apps.billing import selectors, services
from apps.billing.allocation import from_minor
from apps.billing.errors import BooksDoNotBalance, CreditTooSmall, InvoiceNotFound, PeriodNotOver
from apps.billing.models import BillingPeriod, CreditEntry, Invoice, InvoiceLine, LateUsage, Statement
from apps.billing.sealing import lines_hash, statement_hash
from apps.billing.services import closing
from apps.billing.types import InvoiceState, LineKind, PeriodState
from apps.billing.verifying import statement_problems
from apps.tenancy.services import in_tenant
from tests.factories import usage
from tests.factories.selling import NOW, OPERATOR

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
CLOSING = DECEMBER + timedelta(hours=30)


def use(tenant, at, *lines):
    with in_tenant(tenant):
        return usage.answered(at, lines)


def invoice_of(tenant, month):
    return Invoice.objects.get(tenant_id=tenant.id, period__starts_at=month)


def lines_of(tenant, month, kind=None):
    with in_tenant(tenant):
        found = list(selectors.lines_of(invoice_of(tenant, month).pk))
    return [line for line in found if kind is None or line.kind is kind]


def close(tenant, month, now=None):
    period = BillingPeriod.objects.get(tenant_id=tenant.id, starts_at=month)
    return services.close_period(tenant, period.pk, now=now or period.ends_at + timedelta(hours=30))


def test_the_draft_follows_the_ledger_with_each_roll_up(customer):
    use(customer, NOW, usage.line("input", 1_000_000, "0.165"), usage.line("output", 3, "0.66"))

    services.roll_up_tenant(customer, now=NOW)

    found = [
        (line.kind.value, line.description, line.quantity, f"{line.amount:f}", line.amount_minor)
        for line in lines_of(customer, NOVEMBER)
    ]
    assert found == [
        ("fee", "Plan team", None, "500.000000000000", 50000),
        ("usage", "gpt-4o-mini: input tokens", 1_000_000, "0.165000000000", 17),
        ("usage", "gpt-4o-mini: output tokens", 3, "0.000001980000", 0),
    ]
    draft = invoice_of(customer, NOVEMBER)
    assert (draft.state, draft.number, draft.total_minor) == ("draft", None, 50017)
    assert draft.subtotal == Decimal("500.16500198")
    assert draft.carried_out == Decimal("-0.00499802")


def test_a_first_month_is_charged_from_the_moment_it_was_bought(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOVEMBER + timedelta(days=20))

    [line] = lines_of(acme, NOVEMBER)
    assert line.description == "Plan solo, 21 Nov 00:00 to 1 Dec 00:00 UTC"
    assert (line.amount, line.amount_minor) == (Decimal("6.666666666667"), 667)


def test_a_change_of_plan_shows_as_two_fees(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOVEMBER)
    services.set_plan(acme, plan="team", actor=OPERATOR, now=NOVEMBER + timedelta(days=15))

    assert [(line.description, line.amount_minor) for line in lines_of(acme, NOVEMBER)] == [
        ("Plan solo, 1 Nov 00:00 to 16 Nov 00:00 UTC", 1000),
        ("Plan team, 16 Nov 00:00 to 1 Dec 00:00 UTC", 25000),
    ]


def test_the_same_usage_at_two_prices_is_two_lines(customer):
    use(customer, NOW, usage.line("input", 10, "0.165"))
    use(customer, NOW, usage.line("input", 10, "0.18"))

    services.roll_up_tenant(customer, now=NOW)

    assert len(lines_of(customer, NOVEMBER, LineKind.USAGE)) == 2


def test_closing_seals_a_statement_and_numbers_the_invoice_without_gaps(customer, globex):
    services.subscribe(globex, plan="solo", actor=OPERATOR, now=OCTOBER)
    use(customer, OCTOBER + timedelta(days=3), usage.line("input", 1_000_000, "0.165"))

    statement = close(customer, OCTOBER)
    close(globex, OCTOBER)
    close(customer, NOVEMBER, CLOSING)

    numbers = [
        invoice_of(customer, OCTOBER).number,
        invoice_of(globex, OCTOBER).number,
        invoice_of(customer, NOVEMBER).number,
    ]
    first = int(numbers[0].removeprefix("LS-"))
    assert numbers == [f"LS-{first + step:06d}" for step in range(3)]
    assert (statement.event_count, statement.usage_price) == (1, Decimal("0.165"))
    assert bytes(statement.previous_hash) == bytes(32)
    following = Statement.objects.get(tenant_id=customer.id, period__starts_at=NOVEMBER)
    assert bytes(following.previous_hash) == bytes(statement.hash)
    stored = Statement.objects.select_related("period").get(pk=statement.pk)
    assert statement_hash(stored) == bytes(statement.hash)
    assert lines_hash(lines_of(customer, OCTOBER)) == bytes(statement.lines_hash)
    assert invoice_of(customer, OCTOBER).state == InvoiceState.FINALIZING


def test_closing_twice_gives_the_same_statement_and_number(customer):
    once, number = close(customer, OCTOBER), invoice_of(customer, OCTOBER).number

    assert close(customer, OCTOBER).pk == once.pk
    assert invoice_of(customer, OCTOBER).number == number


def test_a_period_closes_neither_before_its_end_nor_before_the_one_before_it(customer):
    services.roll_up_tenant(customer, now=NOW)

    with pytest.raises(PeriodNotOver):
        close(customer, NOVEMBER, DECEMBER - timedelta(microseconds=1))
    with pytest.raises(PeriodNotOver):
        close(customer, NOVEMBER, CLOSING)

    assert invoice_of(customer, NOVEMBER).number is None


def test_what_goes_wrong_while_closing_leaves_no_number_no_statement_and_an_open_period(
    customer, monkeypatch
):
    use(customer, OCTOBER, usage.line("input", 5, "1"))

    def fail(*_, **__):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(closing, "_finalise", fail)
        with pytest.raises(RuntimeError):
            close(customer, OCTOBER)

    assert not Statement.objects.filter(tenant_id=customer.id).exists()
    assert BillingPeriod.objects.get(tenant_id=customer.id, starts_at=OCTOBER).state == PeriodState.OPEN
    close(customer, OCTOBER)
    assert invoice_of(customer, OCTOBER).number is not None


def test_a_ledger_that_the_lines_do_not_match_is_not_invoiced(customer):
    use(customer, OCTOBER, usage.line("input", 5, "1"))
    services.roll_up_tenant(customer, now=NOW)
    with in_tenant(customer):
        UsageHourly.objects.update(price=Decimal("0.000004"))

    with pytest.raises(BooksDoNotBalance):
        close(customer, OCTOBER)

    assert invoice_of(customer, OCTOBER).number is None
    assert services.rebuild_month(customer, OCTOBER, now=NOW)
    assert close(customer, OCTOBER).usage_price == Decimal("0.000005")


def test_usage_that_comes_after_its_month_was_closed_is_on_the_next_invoice_at_its_own_price(customer):
    use(customer, OCTOBER, usage.line("input", 1_000_000, "0.165"))
    close(customer, OCTOBER)
    late = use(customer, OCTOBER + timedelta(days=30), usage.line("input", 2_000_000, "0.18"))
    use(customer, NOVEMBER, usage.line("input", 1_000_000, "0.165"))

    services.roll_up_tenant(customer, now=NOW)

    assert [line.amount for line in lines_of(customer, OCTOBER, LineKind.USAGE)] == [Decimal("0.165")]
    [adjustment] = lines_of(customer, NOVEMBER, LineKind.ADJUSTMENT)
    assert adjustment.description == "gpt-4o-mini: input tokens, late usage of October 2026"
    assert (adjustment.quantity, adjustment.amount) == (2_000_000, Decimal("0.36"))
    assert (adjustment.starts_at, adjustment.ends_at) == (OCTOBER, NOVEMBER)
    with in_tenant(customer):
        assert [row.event_id for row in LateUsage.objects.all()] == [late.events[0]["id"]]
    statement = close(customer, NOVEMBER, CLOSING)
    assert (statement.event_count, statement.usage_price) == (2, Decimal("0.525"))


def test_a_void_of_a_closed_months_event_is_a_credit_on_the_next_invoice(customer):
    use(customer, OCTOBER, usage.line("input", 1_000_000, "0.165"))
    close(customer, OCTOBER)
    with in_tenant(customer):
        call = usage.call_row(OCTOBER)
        taken_back = usage.event(
            call, [usage.line("input", -1_000_000, "0.165")], kind="void", input_tokens=0, output_tokens=0
        )
        usage.store_records([usage.Record(customer, call, [], [taken_back])])

    services.roll_up_tenant(customer, now=NOW)

    [credit] = lines_of(customer, NOVEMBER, LineKind.ADJUSTMENT)
    assert (credit.amount, credit.amount_minor) == (Decimal("-0.165"), -16)


def test_what_is_below_a_cent_goes_on_to_the_next_invoice_and_adds_up_over_the_months(customer):
    for month in (OCTOBER, NOVEMBER):
        use(customer, month, usage.line("input", 4_000, "1"))
    close(customer, OCTOBER)
    close(customer, NOVEMBER, CLOSING)
    services.roll_up_tenant(customer, now=CLOSING)

    first, second = invoice_of(customer, OCTOBER), invoice_of(customer, NOVEMBER)
    assert (first.total_minor, first.carried_out) == (50000, Decimal("0.004"))
    [carry] = lines_of(customer, NOVEMBER, LineKind.CARRY)
    assert (carry.description, carry.amount) == ("Carried from the invoice before", Decimal("0.004"))
    assert (second.total_minor, second.carried_out) == (50001, Decimal("-0.002"))


def test_more_credit_than_charges_asks_for_nothing_and_goes_on(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=OCTOBER)
    with in_tenant(acme):
        call = usage.call_row(OCTOBER)
        taken_back = usage.event(
            call, [usage.line("input", -30_000_000, "1")], kind="void", input_tokens=0, output_tokens=0
        )
        usage.store_records([usage.Record(acme, call, [], [taken_back])])

    close(acme, OCTOBER)

    invoice = invoice_of(acme, OCTOBER)
    assert (invoice.total_minor, invoice.state, invoice.carried_out) == (0, InvoiceState.PAID, Decimal("-10"))
    assert sum(line.amount for line in lines_of(acme, OCTOBER)) == invoice.subtotal == 0
    services.roll_up_tenant(acme, now=NOW)
    assert invoice_of(acme, NOVEMBER).total_minor == 1000


def test_granted_credit_is_spent_before_anything_is_asked_for(customer):
    services.change_credit(customer, amount_minor=60_000, reason="sorry", actor=OPERATOR, now=NOW)

    close(customer, OCTOBER)
    services.roll_up_tenant(customer, now=NOW)

    october, november = invoice_of(customer, OCTOBER), invoice_of(customer, NOVEMBER)
    assert (october.total_minor, october.state) == (0, InvoiceState.PAID)
    assert november.total_minor == 40_000
    assert selectors.credit_balance(tenant_id=customer.id) == 10_000
    with pytest.raises(CreditTooSmall):
        services.change_credit(customer, amount_minor=-10_001, reason="back", actor=OPERATOR, now=NOW)


def test_due_periods_close_after_their_time_of_grace_and_the_next_ones_are_there_before(customer, settings):
    settings.BILLING_GRACE_HOURS = 24

    services.close_due_periods(now=NOVEMBER)
    services.close_due_periods(now=NOVEMBER + timedelta(hours=23))
    before = (
        invoice_of(customer, OCTOBER).state,
        BillingPeriod.objects.get(tenant_id=customer.id, starts_at=OCTOBER).state,
    )
    closed = services.close_due_periods(now=NOVEMBER + timedelta(hours=24))

    assert before == (InvoiceState.DRAFT, PeriodState.CLOSING)
    period = BillingPeriod.objects.get(tenant_id=customer.id, starts_at=OCTOBER)
    assert (period.state, period.pk in closed) == (PeriodState.CLOSED, True)
    assert invoice_of(customer, NOVEMBER).state == InvoiceState.DRAFT


@pytest.mark.parametrize(
    "change",
    [
        lambda tenant: invoice_of(tenant, OCTOBER).delete(),
        lambda tenant: Invoice.objects.filter(tenant_id=tenant.id).exclude(number=None).update(total_minor=1),
        lambda tenant: (
            Invoice.objects.filter(tenant_id=tenant.id)
            .exclude(number=None)
            .update(state="draft", number=None, finalized_at=None)
        ),
        lambda tenant: Statement.objects.update(event_count=0),
        lambda tenant: Statement.objects.all().delete(),
        lambda tenant: BillingPeriod.objects.filter(state="closed").update(state="open", closed_at=None),
        lambda tenant: BillingPeriod.objects.filter(state="closed").update(ends_at=DECEMBER),
        lambda tenant: InvoiceLine.objects.filter(frozen=True).update(amount=0),
        lambda tenant: InvoiceLine.objects.filter(frozen=True).delete(),
        lambda tenant: CreditEntry.objects.update(amount_minor=10**9),
    ],
)
def test_closed_books_are_kept_closed_by_the_database(customer, change):
    services.change_credit(customer, amount_minor=100, reason="x", actor=OPERATOR, now=NOW)
    close(customer, OCTOBER)

    with in_tenant(customer), pytest.raises(DatabaseError), transaction.atomic():
        change(customer)


def test_the_databases_own_rules_hold_against_periods_that_overlap_and_second_invoices(customer):
    period = BillingPeriod.objects.get(tenant_id=customer.id, starts_at=OCTOBER)

    with pytest.raises(DatabaseError), transaction.atomic():
        BillingPeriod.objects.create(
            tenant_id=customer.id, starts_at=OCTOBER + timedelta(days=9), ends_at=DECEMBER
        )
    with pytest.raises(DatabaseError), transaction.atomic():
        Invoice.objects.create(tenant_id=customer.id, period=period, currency="USD")


def test_an_invoice_of_another_tenant_is_not_found(customer, globex):
    with in_tenant(globex), pytest.raises(InvoiceNotFound):
        selectors.invoice(invoice_of(customer, OCTOBER).pk, tenant_id=globex.id)


USES = st.lists(
    st.tuples(
        st.integers(0, 1),  # which tenant
        st.integers(0, 75 * 24 * 60),  # minutes since the first of October
        st.sampled_from(["input", "cache_read", "output"]),
        st.integers(0, 10**8),
        st.sampled_from(["0.000001", "0.165", "0.18", "22.5"]),
        st.integers(0, 3),  # what happens next
    ),
    max_size=20,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(USES)
def test_events_hours_days_statements_and_lines_are_one_sum_for_each_tenant(selling, acme, globex, uses):
    point = transaction.savepoint()
    tenants = (acme, globex)
    for tenant, plan in zip(tenants, ("team", "solo"), strict=True):
        services.subscribe(tenant, plan=plan, actor=OPERATOR, now=OCTOBER)

    for which, minutes, name, quantity, price, follows in uses:
        use(tenants[which], OCTOBER + timedelta(minutes=minutes), usage.line(name, quantity, price))
        if follows == 1:
            services.roll_up_tenant(tenants[which], now=NOW)
        if follows == 2:
            services.close_due_periods(now=NOVEMBER + timedelta(hours=24))
        if follows == 3:
            services.close_due_periods(now=CLOSING)
    for tenant in tenants:
        services.roll_up_tenant(tenant, now=CLOSING)
    services.close_due_periods(now=CLOSING)

    for tenant in tenants:
        with in_tenant(tenant):
            events = _sum(UsageEvent.objects)
            lines = InvoiceLine.objects.filter(kind__in=["usage", "adjustment"])
            by_class = defaultdict(Decimal)
            for line in lines:
                by_class[line.quantity_class, line.price_id] += line.quantity
            hourly = defaultdict(int)
            for row in UsageHourly.objects.all():
                hourly[row.quantity_class, row.price_id] += row.quantity
            assert events == _sum(UsageHourly.objects) == _sum(lines, "amount")
            assert {key: value for key, value in by_class.items() if value} == {
                key: value for key, value in hourly.items() if value
            }
        assert events == _sum(TenantDaily.objects.filter(tenant_id=tenant.id))
        _check_invoices(tenant)
    transaction.savepoint_rollback(point)


def _check_invoices(tenant):
    billed = exact = Decimal(0)
    invoices = Invoice.objects.filter(tenant_id=tenant.id).order_by("period__starts_at")
    for invoice in invoices:
        with in_tenant(tenant):
            lines = list(selectors.lines_of(invoice.pk))
        assert sum(line.amount for line in lines) == invoice.subtotal
        assert sum(line.amount_minor for line in lines) == invoice.total_minor
        for line in lines:
            assert abs(from_minor(line.amount_minor, "USD") - line.amount) < Decimal("0.01")
        billed += from_minor(invoice.total_minor, "USD")
        exact += sum(line.amount for line in lines if line.kind is not LineKind.CARRY)
    assert abs(billed - exact) * 2 <= Decimal("0.01")
    counted = Statement.objects.filter(tenant_id=tenant.id).aggregate(sum=Sum("event_count"))["sum"] or 0
    with in_tenant(tenant):
        open_period = invoices.filter(state="draft")
        still_open = UsageEvent.objects.filter(occurred_at__gte=open_period.last().period.starts_at).count()
        late_here = LateUsage.objects.filter(billed_in__in=open_period.values("period_id")).count()
        assert counted + still_open + late_here == UsageEvent.objects.count()


def _sum(rows, field="price"):
    return rows.aggregate(sum=Sum(field))["sum"] or Decimal(0)


def test_sealed_statements_hold_and_tampering_behind_the_databases_back_is_found(customer):
    use(customer, OCTOBER, usage.line("input", 1_000_000, "0.165"))
    close(customer, OCTOBER)
    use(customer, OCTOBER, usage.line("input", 5, "1"))
    close(customer, NOVEMBER, CLOSING)
    with in_tenant(customer):
        before = list(statement_problems(tenant_id=customer.id))
        found = [_after(customer, sql) for sql in TAMPERING]

    assert before == []
    assert found == [
        [(OCTOBER, "the lines of its invoice are not those that were sealed")],
        [(OCTOBER, "the usage events behind it are not those that were sealed")],
        [(NOVEMBER, "the usage events behind it are not those that were sealed")],
        [(OCTOBER, "its content was changed")],
        [(NOVEMBER, "it does not follow the statement before it")],
    ]


# What somebody with the owner's rights could do after switching our triggers off.
TAMPERING = [
    "UPDATE billing_invoiceline SET amount = amount + 1 WHERE kind = 'usage' AND quantity = 1000000",
    "UPDATE ai_usage_usageevent SET price = 0 WHERE input_tokens = 1000000",
    "DELETE FROM ai_usage_usageevent WHERE input_tokens = 5",
    "UPDATE public.billing_statement SET subtotal = 0 WHERE usage_price = 0.165",
    "DELETE FROM public.billing_statement WHERE usage_price = 0.165",
]
GUARDED = {"billing_invoiceline": "frozen_never_changes", "public.billing_statement": "never_changes"}


def _after(tenant, sql):
    point = transaction.savepoint()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, trigger in GUARDED.items():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        cursor.execute(sql)
    found = list(statement_problems(tenant_id=tenant.id))
    transaction.savepoint_rollback(point)
    return found
