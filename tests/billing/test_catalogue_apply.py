"""Applying a catalogue: whole, idempotent, without rewriting what was."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import DatabaseError, transaction

from apps.ai_usage import selectors as tables
from apps.ai_usage.credentials import provider_secret
from apps.ai_usage.models import CostRate, Credential, PriceRate, Provider, Route
from apps.billing import selectors, services
from apps.billing.catalogue.reading import read_catalogue
from apps.billing.catalogue.writing import write_catalogue
from apps.billing.errors import InvalidCatalogue
from apps.governance.models import OperatorAuditEntry
from tests.factories.selling import CATALOGUE, NOW, OPERATOR, SECRETS, apply

NORTH = {"provider__name": "north"}


def rates(**more):
    rows = CostRate.objects.filter(**NORTH, **more).order_by("quantity_class", "valid_from")
    return [(row.quantity_class, str(row.cost_per_million), row.valid_from, row.valid_to) for row in rows]


def prices(plan):
    rows = PriceRate.objects.filter(
        price_list=selectors.newest_plan(plan).price_list, cost_rate__provider__name="north"
    )
    return {
        (row.cost_rate.quantity_class, row.cost_rate.valid_from): row.price_per_million
        for row in rows.select_related("cost_rate")
    }


def test_a_first_catalogue_makes_everything_and_shows_it(selling):
    shown = [str(change) for change in selling.changes]

    assert shown == [
        "+ provider north: openai at https://north.example/v1",
        "~ credential of north: from env:NORTH_KEY",
        "+ route north-small: north/north-small-1",
        "+ price north north-small-1 cache_read: 0.075 USD from 2026-01-01",
        "+ price north north-small-1 input: 0.15 USD from 2026-01-01",
        "+ price north north-small-1 output: 0.60 USD from 2026-01-01",
        "+ plan solo: 20.00 USD a month, 20 % markup",
        "+ plan team: 500.00 USD a month, 10 % markup",
    ]
    january = NOW.replace(month=1, day=1, hour=0)
    assert prices("solo") == {
        ("cache_read", january): Decimal("0.09"),
        ("input", january): Decimal("0.18"),
        ("output", january): Decimal("0.72"),
    }
    assert prices("team") == {
        ("cache_read", january): Decimal("0.0825"),
        ("input", january): Decimal("0.165"),
        ("output", january): Decimal("0.66"),
    }


def test_a_plans_price_list_sells_everything_that_has_a_cost_also_other_providers(selling):
    plan = selectors.newest_plan("solo")

    assert PriceRate.objects.filter(price_list=plan.price_list).count() == CostRate.objects.count()


def test_the_same_catalogue_again_changes_nothing(selling):
    before = OperatorAuditEntry.objects.count()

    again = apply(now=NOW + timedelta(hours=1))

    assert again.changes == ()
    assert OperatorAuditEntry.objects.count() == before
    assert Credential.objects.filter(provider__name="north").count() == 1


def test_the_credential_is_stored_encrypted_and_a_changed_one_is_stored_beside_it(selling, monkeypatch):
    stored = Credential.objects.get(provider__name="north")
    assert provider_secret(stored.provider_id, stored.ciphertext) == "sk-north-1"
    assert b"sk-north" not in bytes(stored.ciphertext)

    monkeypatch.setitem(SECRETS, "env:NORTH_KEY", "sk-north-2")
    changed = apply(now=NOW + timedelta(hours=1))

    assert [str(change) for change in changed.changes] == ["~ credential of north: from env:NORTH_KEY"]
    newest = Provider.objects.get(name="north").credentials.first()
    assert provider_secret(newest.provider_id, newest.ciphertext) == "sk-north-2"


def test_a_dry_run_shows_the_same_and_keeps_nothing(control):
    shown = apply(dry_run=True)

    assert len(shown.changes) == 8
    assert not Provider.objects.filter(name="north").exists()
    assert [plan.terms.name for plan in selectors.newest_plans()] == []


def test_a_new_price_is_a_new_row_after_the_old_one_and_every_plan_sells_it(selling):
    december = NOW.replace(month=12, day=1, hour=0)
    text = CATALOGUE.replace("valid_from: 2026-01-01", "valid_from: 2026-12-01").replace('"0.15"', '"0.10"')

    changed = apply(text)

    assert [str(change) for change in changed.changes] == [
        "~ price north north-small-1 input: 0.150000 USD ends 2026-12-01",
        "+ price north north-small-1 input: 0.10 USD from 2026-12-01",
    ]
    january = NOW.replace(month=1, day=1, hour=0)
    assert rates(quantity_class="input") == [
        ("input", "0.150000", january, december),
        ("input", "0.100000", december, None),
    ]
    assert prices("solo")["input", december] == Decimal("0.12")
    assert prices("team")["input", december] == Decimal("0.11")
    assert prices("solo")["input", january] == Decimal("0.18")


def test_a_price_that_would_rewrite_used_history_refuses_the_whole_file(selling):
    text = CATALOGUE.replace('"0.15"', '"0.10"').replace("20.00", "30.00")

    with pytest.raises(InvalidCatalogue) as refused:
        apply(text)

    [problem] = refused.value.problems
    assert (problem.line, problem.where) == (15, "prices, north north-small-1")
    assert problem.reason.startswith(
        "input costs 0.150000 USD since 2026-01-01T00:00:00Z and the file says 0.10 USD"
    )
    assert selectors.newest_plan("solo").terms.price_per_month == Decimal("20")


def test_a_fixed_price_holds_on_every_plan_whatever_its_markup(control):
    apply(CATALOGUE.replace('output: "0.60"}', 'output: "0.60"}\n    price_per_million: {output: "0.75"}'))

    january = NOW.replace(month=1, day=1, hour=0)
    assert prices("solo")["output", january] == prices("team")["output", january] == Decimal("0.75")


@pytest.mark.parametrize(
    ("before", "after", "line", "reason"),
    [
        (
            "{provider: north, model: north-small-1,",
            "{provider: south, model: north-small-1,",
            11,
            "there is no provider south",
        ),
        ("  - provider: north\n", "  - provider: south\n", 15, "there is no provider south"),
        ("models: [north-small]", "models: [north-large]", 24, "there is no route north-large"),
        (
            'currency: USD\n    markup_percent: "20"',
            'currency: EUR\n    markup_percent: "20"',
            20,
            "sells in EUR what is priced in USD; nothing converts money here",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_line(control, before, after, line, reason):
    assert before in CATALOGUE

    with pytest.raises(InvalidCatalogue) as refused:
        apply(CATALOGUE.replace(before, after, 1))

    assert (line, reason) in [(problem.line, problem.reason) for problem in refused.value.problems]
    assert not Provider.objects.filter(name="north").exists()


def test_a_target_without_a_price_is_pointed_out_since_its_calls_are_refused(control):
    applied = apply(
        CATALOGUE.replace(
            "    model: north-small-1\n    valid_from", "    model: north-other\n    valid_from"
        )
    )

    assert (
        "north/north-small-1 behind north-small has no price yet: calls to it are refused."
        in applied.warnings
    )


def test_changed_targets_and_bounds_of_a_route_are_shown_and_made(selling):
    text = CATALOGUE.replace("total: 600", "total: 300").replace(
        "priority: 1, weight: 1", "priority: 2, weight: 5"
    )

    changed = apply(text)

    assert [str(change) for change in changed.changes] == [
        "~ route north-small: total_timeout 600.0 → 300.0",
        "~ route north-small: targets north/north-small-1 (1, 1) → north/north-small-1 (2, 5)",
    ]
    route = Route.objects.get(model="north-small")
    assert route.total_timeout == 300.0
    assert [(target.priority, target.weight) for target in route.targets.all()] == [(2, 5)]


def test_what_is_written_out_says_the_same_when_it_is_read_again(selling):
    apply(CATALOGUE.replace("valid_from: 2026-01-01", "valid_from: 2026-12-01").replace('"0.15"', '"0.10"'))
    written = write_catalogue(tables.read_entries(), selectors.newest_plans())
    given = SECRETS | {"env:TEST": "sk-test"}

    file = read_catalogue(written, resolve=given.get, now=NOW)
    again = apply_file(file)

    assert [str(change) for change in again.changes] == []
    assert write_catalogue(tables.read_entries(), selectors.newest_plans()) == written


def apply_file(file):
    return services.apply_catalogue(file, actor=OPERATOR, now=NOW)


def test_the_database_itself_keeps_rates_as_they_were(selling):
    row = CostRate.objects.filter(**NORTH, quantity_class="input").get()

    for rewrite in (
        partial(CostRate.objects.filter(pk=row.pk).update, cost_per_million=Decimal("0.01")),
        partial(CostRate.objects.filter(pk=row.pk).update, valid_to=NOW.replace(month=2)),
        partial(CostRate.objects.filter(pk=row.pk).delete),
        partial(PriceRate.objects.filter(cost_rate=row).update, price_per_million=Decimal("0.01")),
        partial(PriceRate.objects.filter(cost_rate=row).delete),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            rewrite()

    assert CostRate.objects.get(pk=row.pk).cost_per_million == Decimal("0.15")
