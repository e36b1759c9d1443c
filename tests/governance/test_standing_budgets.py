"""A tenant's money limits as they stand: the tightest first, with what calls under way hold."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.governance.models import Budget
from apps.governance.standing_budgets import standing_budgets
from apps.tenancy.services import in_tenant

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    """acme, in force, with nothing left in Valkey afterwards."""
    with in_tenant(acme):
        yield acme
    redis.Redis.from_url(settings.VALKEY_URL).delete(
        f"lockstep:{{{acme.id.hex}}}:b:t:spend_per_month:2026-11"
    )


def test_the_plans_limit_stands_with_its_window_and_what_is_held(tenant):
    key = f"lockstep:{{{tenant.id.hex}}}:b:t:spend_per_month:2026-11"
    redis.Redis.from_url(settings.VALKEY_URL).hset(key, "r", "12000000")

    (budget,) = standing_budgets(NOW)

    assert (budget.name, budget.limit, budget.is_hard) == ("tenant.spend_per_month", Decimal(1000), True)
    assert budget.reserved == Decimal("0.012")
    assert (budget.starts_at, budget.ends_at) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
    )


def test_the_tenants_own_budgets_stand_beside_it_tightest_first(tenant):
    Budget.objects.create(level="tenant", window="month", amount=Decimal("40.5"))
    Budget.objects.create(level="tenant", window="day", amount=Decimal(2), hard=False)
    Budget.objects.create(level="key", subject_id=tenant.id, window="month", amount=Decimal(1))

    found = [(each.name, each.limit, each.is_hard, each.reserved) for each in standing_budgets(NOW)]

    assert found == [
        ("tenant.alert_per_day", Decimal(2), False, Decimal(0)),
        ("tenant.budget_per_month", Decimal("40.5"), True, Decimal(0)),
        ("tenant.spend_per_month", Decimal(1000), True, Decimal(0)),
    ]


def test_while_valkey_is_away_what_is_held_is_not_known(tenant, settings):
    settings.VALKEY_URL = "redis://127.0.0.1:1/0"

    assert [each.reserved for each in standing_budgets(NOW)] == [None]
