"""Policies in the portal: making one, trying it, its versions, and asking why."""

from typing import Any

import pytest
from django.test import Client

from apps.governance.policies.records import PolicyMode
from apps.governance.selectors import policy_versions, standing_policy
from apps.tenancy.services import in_tenant
from tests.factories.keys import PASSWORD, make_key, make_member, new_address
from tests.factories.policies import bound, save

FORM = {"based_on": "0", "note": "", "do": "save"}


@pytest.fixture
def tenant(acme):
    with in_tenant(acme):
        yield acme


def browser(role: str = "admin") -> Client:
    member = make_member(role)
    client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address())
    assert client.post("/accounts/login/", {"login": member.email, "password": PASSWORD}).status_code == 302
    return client


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_a_policy_is_made_changed_rolled_back_and_taken_away(tenant):
    client = browser()
    at = "/governance/policies/tenant/self/"

    assert "No policies yet" in text(client.get("/governance/policies/"))
    assert client.get("/governance/policies/new/?subject=tenant/self").headers["Location"] == f"{at}edit/"
    rules = {
        "models_allow": "gpt-4o*\n\nclaude-*",
        "no_tools": "on",
        "max_retention_days": "0",
        "hours_windows": "fri-mon 08:00-18:30\ntue 22:00 - 02:00",
        "hours_zone": "Europe/Berlin",
    }
    made = client.post(f"{at}edit/", FORM | rules)
    form = client.get(f"{at}edit/")
    again = client.post(f"{at}edit/", FORM | {"max_output_tokens": "100", "based_on": "1", "do": "shadow"})

    assert (made.status_code, again.status_code) == (302, 302)
    standing = standing_policy("tenant")
    assert standing is not None and standing.enforced is not None and standing.shadow is not None
    assert standing.enforced.rules.to_json() == {
        "models": {"allow": ["gpt-4o*", "claude-*"]},
        "tools": {"allow": []},
        "data_handling": {"max_retention_days": 0},
        "hours": {
            "zone": "Europe/Berlin",
            "windows": [
                {"days": ["mon", "fri", "sat", "sun"], "from": "08:00", "to": "18:30"},
                {"days": ["tue"], "from": "22:00", "to": "02:00"},
            ],
        },
    }
    assert "mon,fri-sun 08:00-18:30\ntue 22:00-02:00" in form.content.decode()
    page = text(client.get(at))
    assert "Version 2 refuses nothing and watches." in page
    assert "only gpt-4o*, claude-*" in page

    client.post(f"{at}restore/", {"version": "1"})
    client.post(f"{at}remove/")

    assert [each.mode for each in policy_versions("tenant")] == [
        PolicyMode.OFF, PolicyMode.ENFORCED, PolicyMode.SHADOW, PolicyMode.ENFORCED,
    ]  # fmt: skip
    assert "Taken away" in text(client.get(at))
    assert "No policies yet" in text(client.get("/governance/policies/"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"hours_windows": "whenever"}, "Must be a list of some of mon"),
        ({"hours_windows": "mon 08:00-18:00", "hours_zone": "Mars"}, "Must be a time zone"),
        ({"models_allow": "x" * 121}, "more than 120 characters"),
        ({"max_output_tokens": "0"}, "greater than or equal to 1"),
        ({"max_output_tokens": "900"}, "the operator&#x27;s bounds (version 1) ask: at most 500 tokens"),
        ({"based_on": "7"}, "This policy was changed meanwhile"),
    ],
)
def test_what_cannot_be_saved_is_told_on_the_form(tenant, typed, said):
    bound(tenant, {"max_output_tokens": 500})

    answer = browser().post("/governance/policies/tenant/self/edit/", FORM | typed)

    assert answer.status_code in (200, 400)
    assert said in text(answer)
    assert standing_policy("tenant") is None


def test_trying_saves_nothing(tenant):
    client = browser()

    tried = client.post("/governance/policies/tenant/self/edit/", FORM | {"do": "try", "models_deny": "*"})

    assert "There are no recent calls to try it on." in text(tried)
    assert standing_policy("tenant") is None


def test_who_may_only_read_cannot_change(tenant):
    save({"max_output_tokens": 5})
    client = browser("viewer")

    assert "at most 5 tokens an answer" in text(client.get("/governance/policies/"))
    assert "Edit rules" not in text(client.get("/governance/policies/tenant/self/"))
    for path in ("edit/", "remove/", "restore/"):
        assert client.post(f"/governance/policies/tenant/self/{path}", FORM).status_code == 403
    assert len(policy_versions("tenant")) == 1


@pytest.mark.parametrize(
    "subject", ["tenant/x", "key/self", "key/01a1f0b2-0000-7000-8000-000000000000", "who/self"]
)
def test_a_policy_of_nobody_is_not_found(tenant, subject):
    client = browser()

    assert client.get(f"/governance/policies/{subject}/").status_code == 404
    assert client.get(f"/governance/policies/{subject}/edit/").status_code == 404


def test_asking_why_shows_every_rule_and_the_answer(fresh_tenant):
    made = fresh_tenant()
    from apps.tenancy.models import Domain
    from tests.planes import control_plane

    host = f"{made.slug}.localhost"
    with control_plane():
        Domain.objects.get_or_create(tenant_id=made.id, domain=host)
    with in_tenant(made):
        member = make_member("viewer")
        key = make_key().key
        save({"tools": {"allow": ["g"]}}, "key", key.id)
        client = Client(HTTP_HOST=host, REMOTE_ADDR=new_address())
        client.post("/accounts/login/", {"login": member.email, "password": PASSWORD})

    refused = client.get(f"/governance/policies/explain/?key={key.id}&model=gpt-4o&tools=f")
    allowed = client.get(f"/governance/policies/explain/?key={key.id}&model=gpt-4o&max_output_tokens=9")
    empty = client.get("/governance/policies/explain/")

    assert "It would be refused" in text(refused) and "tool_not_allowed_by_policy" in text(refused)
    assert "key, version 1" in text(refused)
    assert "It would be let through" in text(allowed) and "with at most 9 output tokens" in text(allowed)
    assert "tenant.spend_per_month" in text(allowed)
    assert "Ask the gateway" in text(empty)
