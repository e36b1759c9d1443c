"""The portal's pages about budgets and the plan."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from apps.governance import selectors as governance
from apps.governance.budget_alerts import Reached, note_budgets
from apps.keys import selectors as keys
from apps.tenancy.services import in_tenant
from tests.factories.keys import as_member, make_key, make_member
from tests.factories.tenants import entitle
from tests.keys.test_portal import SECRET, browser_of
from tests.planes import control_plane


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    with in_tenant(acme):
        yield acme


def wish(**more: Any) -> dict[str, Any]:
    return {
        "subject": "tenant", "unit": "money", "window": "month", "amount": "100", "kind": "hard",
        "alert_at": "50, 90",
    } | more  # fmt: skip


def test_an_admin_sets_changes_and_removes_a_budget(tenant: Any) -> None:
    browser = browser_of(make_member("admin"))
    assert "No budgets yet" in browser.get("/governance/budgets/").content.decode()

    assert browser.post("/governance/budgets/", wish()).status_code == 302

    (made,) = governance.budgets()
    assert (made.level, made.amount, made.alert_at, made.hard) == ("tenant", 100, (50, 90), True)
    shown = browser.get("/governance/budgets/").content.decode()
    assert "The whole tenant" in shown
    assert "Tells at 50%, 90%" in shown
    page = f"/governance/budgets/{made.id}/"
    assert browser.post(page, {"amount": "7", "kind": "shadow", "alert_at": ""}).status_code == 302
    (changed,) = governance.budgets()
    assert (changed.amount, changed.shadow, changed.alert_at) == (7, True, ())
    assert "Would have refused 0 calls" in browser.get("/governance/budgets/").content.decode()
    assert browser.post(f"{page}remove/").status_code == 302
    assert governance.budgets() == []


def test_what_cannot_be_is_said_in_the_form(tenant: Any) -> None:
    browser = browser_of(make_member("admin"))

    for wrong in (
        wish(amount="-1"),
        wish(alert_at="soon"),
        wish(subject="planet"),
        wish(unit="tokens", amount="1.5"),
    ):
        assert browser.post("/governance/budgets/", wrong).status_code == 400

    assert governance.budgets() == []


def test_a_developer_sets_budgets_on_keys_of_theirs_alone_and_a_viewer_none(tenant: Any) -> None:
    developer = make_member("developer")
    own = make_key(as_member(developer)).key
    others = make_key(as_member(make_member("owner")), name="boss").key
    browser = browser_of(developer)

    assert browser.post("/governance/budgets/", wish(subject=f"key:{own.id}")).status_code == 302
    assert browser.post("/governance/budgets/", wish(subject=f"key:{others.id}")).status_code == 400
    assert browser.post("/governance/budgets/", wish()).status_code == 400
    assert [budget.subject_id for budget in governance.budgets()] == [own.id]
    assert "Each month" in browser.get(f"/keys/{own.id}/").content.decode()
    viewer = browser_of(make_member("viewer"))
    assert "Set a budget" not in viewer.get("/governance/budgets/").content.decode()
    made = governance.budgets()[0]
    assert viewer.post(f"/governance/budgets/{made.id}/remove/").status_code == 403
    assert browser_of(make_member("billing")).get("/governance/budgets/").status_code == 200


def test_a_plan_without_budgets_shows_those_there_and_sets_none(tenant: Any) -> None:
    browser = browser_of(make_member("admin"))
    browser.post("/governance/budgets/", wish())
    with control_plane(), in_tenant(tenant):
        entitle(features={"budgets": False})

    assert browser.get("/governance/budgets/").status_code == 200
    assert browser.post("/governance/budgets/", wish(window="day")).status_code == 403
    assert browser.post(f"/governance/budgets/{governance.budgets()[0].id}/remove/").status_code == 302


def test_a_threshold_is_a_banner_until_its_window_ends(tenant: Any) -> None:
    browser = browser_of(make_member("admin"))
    now = timezone.now()
    seen = Reached(
        "tenant.budget_per_month", "", "money", "month", now, now + timedelta(days=3), 80,
        Decimal(100), Decimal(81), True,
    )  # fmt: skip

    assert [note_budgets([seen]), note_budgets([seen])] == [1, 0]

    assert "Tenant: budget of a month: 80% is used." in browser.get("/governance/plan/").content.decode()


def test_the_page_of_the_plan_says_where_each_value_is_from(tenant: Any) -> None:
    with control_plane(), in_tenant(tenant):
        entitle(
            features={"sso": True},
            limits={"keys": 9},
            origins={"features.sso": "override", "limits.keys": "plan"},
        )

    shown = browser_of(make_member("viewer")).get("/governance/plan/").content.decode()

    assert "Given by your provider" in shown
    assert "From your plan" in shown
    assert "signing in with the tenant&#x27;s own identity provider" in shown


def test_a_child_key_is_made_from_its_parents_page_and_listed_there(tenant: Any) -> None:
    developer = make_member("developer")
    parent = make_key(as_member(developer)).key
    browser = browser_of(developer)

    made = browser.post(f"/keys/{parent.id}/child/", {"name": "agent 7", "hours": "8"})

    assert made.status_code == 200
    assert SECRET.search(made.content.decode())
    assert made["Cache-Control"] == "no-store"
    (child,) = keys.keys(parent_id=parent.id)
    assert child.name == "agent 7"
    assert "agent 7" in browser.get(f"/keys/{parent.id}/").content.decode()
    assert browser.post(f"/keys/{parent.id}/child/", {"name": "", "hours": "8"}).status_code == 302
    with control_plane(), in_tenant(tenant):
        entitle(features={"child_keys": False})
    assert browser.post(f"/keys/{parent.id}/child/", {"name": "x", "hours": "8"}).status_code == 403
    assert "Child key</button>" not in browser.get(f"/keys/{parent.id}/").content.decode()
