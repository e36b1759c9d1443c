"""The tenant's rule for answers from memory: by API and portal, within the operator's bound, audited."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.governance import selectors, services
from apps.governance.errors import InvalidAnswerCache
from apps.governance.types import Actor
from apps.keys.types import KEY_SCOPES
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import PASSWORD, make_key, make_member, new_address

OWNER = Actor.system("tests")


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    with in_tenant(acme):
        yield acme


def browser_of(role: str) -> Client:
    member = make_member(role)
    client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address())
    assert client.post("/accounts/login/", {"login": member.email, "password": PASSWORD}).status_code == 302
    return client


def test_it_is_off_at_first_and_a_change_is_kept_and_audited(tenant: Any, globex: Any) -> None:
    before = selectors.answer_cache()

    services.set_answer_cache(actor=OWNER, enabled=True, seconds=60, models=["gpt-4o", "gpt-4o"])

    rule = selectors.answer_cache()
    assert (before.enabled, before.seconds) == (False, 3600)
    assert (rule.enabled, rule.seconds, rule.models) == (True, 60, ("gpt-4o",))
    (entry,) = selectors.audit_log(action="answer_cache.")
    assert entry.details == {"enabled": True, "seconds": 60, "models": ["gpt-4o"]}
    with in_tenant(globex):
        assert not selectors.answer_cache().enabled


@pytest.mark.parametrize(
    "wish",
    [
        {"seconds": 0},
        {"seconds": 86_401},
        {"models": ["two words"]},
        {"models": [f"m{number}" for number in range(101)]},
        {"models": [""]},
    ],
)
def test_what_is_outside_the_bounds_is_refused_and_changes_nothing(tenant: Any, wish: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswerCache):
        services.set_answer_cache(actor=OWNER, **{"enabled": True, "seconds": 60, "models": [], **wish})

    assert not selectors.answer_cache().enabled
    assert selectors.audit_log(action="answer_cache.") == []


def test_an_operator_that_does_not_offer_it_lets_nobody_switch_it_on(tenant: Any, settings: Any) -> None:
    settings.ANSWER_CACHE_LONGEST_SECONDS = 0

    with pytest.raises(InvalidAnswerCache):
        services.set_answer_cache(actor=OWNER, enabled=True, seconds=1, models=[])

    assert "does not offer" in browser_of("owner").get("/governance/answer-cache/").content.decode()


def test_the_api_reads_and_sets_it(tenant: Any) -> None:
    api = Api(make_key(name="admin", scopes=sorted(KEY_SCOPES)).secret)

    before = api.get("/answer-cache")
    changed = api.put("/answer-cache", {"enabled": True, "seconds": 120, "models": ["gpt-4o"]})
    wrong = api.put("/answer-cache", {"enabled": True, "seconds": 10**9})

    assert before.json() == {"enabled": False, "seconds": 3600, "models": [], "price_percent": 0}
    assert changed.status_code == 200
    assert changed.json() == {"enabled": True, "seconds": 120, "models": ["gpt-4o"], "price_percent": 0}
    assert api.get("/answer-cache").json() == changed.json()
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_answer_cache")


@pytest.mark.parametrize("scopes, status", [(["settings:read"], 403), (["inference:write"], 403)])
def test_a_key_without_the_scope_may_not_set_it(tenant: Any, scopes: list[str], status: int) -> None:
    answer = Api(make_key(scopes=scopes).secret).put("/answer-cache", {"enabled": True, "seconds": 60})

    assert answer.status_code == status
    assert not selectors.answer_cache().enabled


def test_an_admin_switches_it_on_in_the_portal(tenant: Any) -> None:
    browser = browser_of("admin")
    page = browser.get("/governance/answer-cache/")

    saved = browser.post(
        "/governance/answer-cache/", {"enabled": "on", "seconds": "90", "models": "gpt-4o\ngpt-4o-mini"}
    )
    wrong = browser.post("/governance/answer-cache/", {"enabled": "on", "seconds": "86401", "models": ""})

    assert page.status_code == 200
    assert "Repeat answers" in page.content.decode()
    assert saved.status_code == 302
    assert wrong.status_code == 400
    assert "1 to 86400 seconds" in wrong.content.decode()
    rule = selectors.answer_cache()
    assert (rule.enabled, rule.seconds, rule.models) == (True, 90, ("gpt-4o", "gpt-4o-mini"))


def test_a_viewer_reads_it_and_changes_nothing(tenant: Any) -> None:
    browser = browser_of("viewer")

    page = browser.get("/governance/answer-cache/")
    refused = browser.post("/governance/answer-cache/", {"enabled": "on", "seconds": "90", "models": ""})

    assert page.status_code == 200
    assert "disabled" in page.content.decode()
    assert ">Save<" not in page.content.decode()
    assert refused.status_code == 403
    assert not selectors.answer_cache().enabled
