"""Budgets that a tenant set, on calls: they refuse, tell once, or only try out what they would refuse."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.core import mail
from django.utils import timezone

from apps.governance import selectors as governance
from apps.governance import services
from apps.governance.budget_alerts import standing_alerts
from apps.governance.budgeting import BudgetTerms
from apps.governance.models import BudgetAlert
from apps.governance.types import Actor
from apps.jobs.models import WorkTicket
from apps.keys import services as keys
from apps.keys import telling
from apps.keys.types import KeyLimits
from apps.tenancy.services import in_public, in_tenant
from tests.factories.people import make_member
from tests.system import running_web, wait_for

ADMIN = Actor.system("tests")


def set_budget(caller, amount, *, unit="money", level="tenant", subject_id=None, window="month", **terms):
    with in_tenant(caller.tenant):
        return services.create_budget(
            actor=ADMIN,
            level=level,
            subject_id=subject_id,
            unit=unit,
            window=window,
            terms=BudgetTerms(Decimal(amount), **terms),
        )


def told(caller):
    with in_tenant(caller.tenant):
        return sorted(BudgetAlert.objects.values_list("limit", "percent"))


def test_a_budget_in_tokens_refuses_on_the_next_call_with_what_is_left(caller):
    assert caller.chat(max_tokens=20).status_code == 200
    (event,) = caller.events()
    used = event.input_tokens + event.output_tokens

    set_budget(caller, used + 1, unit="tokens", alert_at=())
    refused = caller.chat(max_tokens=20)

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-lockstep-limit"] == "tenant.token_budget_per_month"
    assert f"of {used + 1} tokens has 1 left" in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) > 0


def test_the_tokens_that_a_budget_counts_are_those_of_the_ledger(caller):
    set_budget(caller, 1_000_000, unit="tokens", alert_at=())
    for _ in range(3):
        assert caller.chat(max_tokens=20).status_code == 200
    used = sum(event.input_tokens + event.output_tokens for event in caller.events())

    limits = caller.calls()[-1].explanation["limits"]

    (name, unit, limit, left) = next(each for each in limits if each[1] == "tokens" and "budget" in each[0])
    assert (name, unit, limit) == ("tenant.token_budget_per_month", "tokens", 1_000_000)
    last = caller.events()[-1]
    # The last call's own hold is still in it: its bound, in place of what it came to.
    assert left <= limit - (used - last.input_tokens - last.output_tokens)


def test_thresholds_are_told_once_by_two_processes_at_once(caller, services: object):
    make_people(caller)
    assert caller.chat(max_tokens=5).status_code == 200
    (event,) = caller.events()
    set_budget(caller, round(event.price * 4, 9), hard=False, alert_at=(50, 100))

    with running_web(services) as second, ThreadPoolExecutor(8) as threads:
        calls = [
            threads.submit(type(caller)(caller.tenant, caller.secret, caller.key_id, web).chat, max_tokens=5)
            for web in (caller.web, second) * 8
        ]
        assert {call.result().status_code for call in calls} == {200}
        wait_for(lambda: len(told(caller)) == 2)

    assert told(caller) == [("tenant.alert_per_month", 50), ("tenant.alert_per_month", 100)]
    with in_tenant(caller.tenant):
        entries = governance.audit_log(action="budget.alerted")
        assert sorted(entry.details["percent"] for entry in entries) == [50, 100]
        alert = BudgetAlert.objects.get(percent=100)
    with in_public():
        tickets = WorkTicket.objects.filter(kind="keys.tell_of_budget", tenant_id=caller.tenant.id)
        assert tickets.count() == 2

    mail.outbox.clear()
    with in_tenant(caller.tenant):
        telling.tell_of_budget(alert.pk)
    assert sorted(address for each in mail.outbox for address in each.to) == [
        "admin@example.com",
        "billing@example.com",
        "owner@example.com",
    ]
    assert "has reached 100%" in mail.outbox[0].body


def make_people(caller):
    with in_tenant(caller.tenant):
        for role in ("owner", "admin", "billing", "developer"):
            make_member(role=role, email=f"{role}@example.com")


def test_a_refusal_of_a_hard_budget_is_told_once_in_its_window(caller):
    set_budget(caller, "0.000001", alert_at=())

    assert [caller.chat(max_tokens=500).status_code for _ in range(3)] == [429, 429, 429]

    wait_for(lambda: told(caller) == [("tenant.budget_per_month", 0)])
    with in_tenant(caller.tenant):
        (standing,) = standing_alerts(timezone.now())
    assert standing.said == "calls are refused."


def test_a_budget_in_shadow_refuses_nothing_and_counts_what_it_would_have(caller):
    set_budget(caller, "0.000001", shadow=True, alert_at=())

    assert [caller.chat(max_tokens=5).status_code for _ in range(2)] == [200, 200]

    wait_for(lambda: len(caller.calls()) == 2)
    assert [call.explanation["tried_out"] for call in caller.calls()] == [
        ["tenant.shadow_budget_per_month"]
    ] * 2
    metrics = caller.get("/metrics").text
    assert 'lockstep_shadow_refusals_total{limit="tenant.shadow_budget_per_month"}' in metrics


def test_limits_of_a_key_in_shadow_let_through_what_they_would_have_refused(new_caller):
    caller = new_caller(key={"limits": KeyLimits(requests_per_minute=1, shadow_limits=True)})

    assert [caller.chat(max_tokens=5).status_code for _ in range(2)] == [200, 200]

    wait_for(lambda: len(caller.calls()) == 2)
    assert [call.explanation.get("tried_out") for call in caller.calls()] == [
        None,
        ["key.requests_per_minute"],
    ]
    with in_tenant(caller.tenant):
        keys.restrict_key(caller.key_id, actor=ADMIN, limits=KeyLimits(requests_per_minute=1))
    assert caller.chat(max_tokens=5).status_code == 429


@pytest.mark.parametrize("unit", ["money", "tokens"])
def test_a_keys_budget_binds_that_key_and_its_children_alone(caller, unit):
    with in_tenant(caller.tenant):
        other = keys.issue_key(
            actor=ADMIN, name="other", scopes=["inference:write"], service_account_id=_account(caller)
        )
        child = keys.issue_child_key(caller.key_id, actor=ADMIN, name="agent")
    set_budget(caller, 0, unit=unit, level="key", subject_id=caller.key_id, alert_at=())

    def ask(secret):
        return type(caller)(caller.tenant, secret, caller.key_id, caller.web).chat(max_tokens=5)

    assert (ask(caller.secret).status_code, ask(child.secret).status_code) == (429, 429)
    assert ask(other.secret).status_code == 200
    name = "token_budget_per_month" if unit == "tokens" else "budget_per_month"
    assert ask(caller.secret).headers["x-lockstep-limit"] == f"key.{name}"
    assert ask(child.secret).headers["x-lockstep-limit"] == f"parent.{name}"


def _account(caller):
    from apps.keys import selectors

    return selectors.key(caller.key_id).owner.id
