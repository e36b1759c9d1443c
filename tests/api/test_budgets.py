"""Budgets over the REST API: who sets which, what is refused, and how each stands."""

from typing import Any
from uuid import uuid4

import pytest

from apps.governance import selectors as governance
from apps.governance.types import Actor, ActorKind
from apps.keys import services as keys
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import make_key, make_member
from tests.factories.tenants import entitle
from tests.planes import control_plane


def caller(*scopes: str, **more: Any) -> tuple[Api, Any]:
    issued = make_key(scopes=list(scopes), **more)
    return Api(issued.secret), issued.key


@pytest.fixture
def admin(tenant: Any) -> Api:
    return caller("settings:read", "settings:write", "keys:read")[0]


def test_a_budget_is_set_changed_listed_and_removed(admin: Api) -> None:
    made = admin.post(
        "/budgets", {"level": "tenant", "window": "month", "amount": "100", "alert_at": [90, 50]}
    )

    assert made.status_code == 201, made.content
    shown = made.json()
    assert made.headers["Location"] == f"/api/v1/budgets/{shown['id']}"
    told = ("unit", "amount", "hard", "shadow", "alert_at", "limit", "spent", "left")
    assert {name: shown[name] for name in told} == {
        "unit": "money", "amount": "100", "hard": True, "shadow": False, "alert_at": [50, 90],
        "limit": "tenant.budget_per_month", "spent": "0", "left": "100",
    }  # fmt: skip
    assert shown["resets_at"].endswith("-01T00:00:00Z")

    changed = admin.patch(f"/budgets/{shown['id']}", {"amount": "7.5"})
    assert (changed.status_code, changed.json()["amount"], changed.json()["alert_at"]) == (
        200,
        "7.5",
        [50, 90],
    )
    assert [each["id"] for each in admin.get("/budgets").json()["data"]] == [shown["id"]]
    assert admin.send("DELETE", f"/budgets/{shown['id']}").status_code == 204
    assert admin.get(f"/budgets/{shown['id']}").json()["code"] == "budget_not_found"
    assert [entry.action for entry in governance.audit_log(action="budget.")] == [
        "budget.removed",
        "budget.changed",
        "budget.created",
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": "-1"}, "invalid_request"),
        ({"amount": "NaN"}, "invalid_request"),
        ({"amount": "1e400"}, "invalid_request"),
        ({"amount": "99999999"}, "invalid_budget"),
        ({"amount": "0.0000000001"}, "invalid_budget"),
        ({"unit": "tokens", "amount": "1.5"}, "invalid_budget"),
        ({"window": "year"}, "invalid_request"),
        ({"level": "planet"}, "invalid_request"),
        ({"level": "key"}, "invalid_budget"),
        ({"level": "tenant", "subject_id": str(uuid4())}, "invalid_budget"),
        ({"level": "key", "subject_id": str(uuid4())}, "invalid_budget"),
        ({"level": "member", "subject_id": str(uuid4())}, "invalid_budget"),
        ({"shadow": True, "hard": False}, "invalid_budget"),
        ({"alert_at": [0]}, "invalid_request"),
        ({"alert_at": list(range(1, 12))}, "invalid_request"),
        ({"ammount": "5"}, "invalid_request"),
    ],
)
def test_what_makes_no_budget_is_refused_with_a_reason(admin: Api, body: dict[str, Any], code: str) -> None:
    answer = admin.post("/budgets", {"level": "tenant", "window": "day", "amount": "5"} | body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert governance.budgets() == []


def test_there_is_one_of_each_sort(admin: Api) -> None:
    wanted = {"level": "tenant", "window": "day", "amount": "5"}
    sorts = [wanted, wanted | {"hard": False}, wanted | {"shadow": True}, wanted | {"unit": "tokens"}]
    assert [admin.post("/budgets", body).status_code for body in sorts] == [201] * 4

    again = admin.post("/budgets", wanted | {"amount": "6"})

    assert (again.status_code, again.json()["code"]) == (409, "budget_exists")


def test_who_may_write_keys_sets_budgets_on_those_only(tenant: Any) -> None:
    api, own = caller("keys:read", "keys:write", "settings:read")
    other = make_key(name="other").key
    theirs = make_key(
        actor=Actor(
            ActorKind.MEMBER,
            id=str(make_member("owner").id),
            scopes=frozenset({"keys:write", "inference:write"}),
        )
    ).key
    body = {"window": "day", "amount": "5"}

    assert api.post("/budgets", body | {"level": "key", "subject_id": str(other.id)}).status_code == 201
    for refused in (
        {"level": "tenant"},
        {"level": "key", "subject_id": str(own.id)},
        {"level": "key", "subject_id": str(theirs.id)},
        {"level": "service_account", "subject_id": str(other.owner.id)},
    ):
        answer = api.post("/budgets", body | refused)
        assert (answer.status_code, answer.json()["code"]) == (403, "budget_not_yours"), refused


def test_who_only_reads_sets_nothing(tenant: Any) -> None:
    api, _ = caller("settings:read")

    answer = api.post("/budgets", {"level": "tenant", "window": "day", "amount": "5"})

    assert (answer.status_code, answer.json()["code"]) == (403, "budget_not_yours")
    assert caller("inference:write")[0].get("/budgets").json()["code"] == "scope_missing"


def test_budgets_of_another_tenant_are_not_there(admin: Api, globex: Any) -> None:
    made = admin.post("/budgets", {"level": "tenant", "window": "day", "amount": "5"}).json()
    with in_tenant(globex):
        stranger = caller("settings:read", "settings:write")[0]

        assert stranger.get("/budgets").json()["data"] == []
        assert stranger.get(f"/budgets/{made['id']}").status_code == 404
        assert stranger.send("DELETE", f"/budgets/{made['id']}").status_code == 404


def test_a_plan_without_budgets_lets_none_be_set_and_those_there_be_removed(admin: Api, tenant: Any) -> None:
    made = admin.post("/budgets", {"level": "tenant", "window": "day", "amount": "5"}).json()

    with control_plane(), in_tenant(tenant):
        entitle(features={"budgets": False})

    assert admin.patch(f"/budgets/{made['id']}", {"amount": "9"}).json()["code"] == "feature_not_included"
    assert admin.get(f"/budgets/{made['id']}").status_code == 200
    assert admin.send("DELETE", f"/budgets/{made['id']}").status_code == 204


def test_a_rotation_takes_the_keys_budgets_along(admin: Api) -> None:
    old = make_key().key
    admin.post("/budgets", {"level": "key", "subject_id": str(old.id), "window": "day", "amount": "5"})

    new = keys.rotate_key(old.id, actor=Actor.system("tests")).key

    (copied,) = governance.budgets(subject_id=new.id)
    assert (copied.level, copied.amount, copied.hard, copied.alert_at) == ("key", 5, True, (80, 100))
