"""The provider's own tools: their fees are held with the call, and a tool without a price is not used."""

from decimal import Decimal

import pytest

from apps.ai_usage.models import Provider
from tests.factories.catalogue import add_route
from tests.planes import control_plane

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
# 0.012 a search with the test price list's 20 %.
RATES = {"input": "3", "output": "15", "requests": "10000"}


@pytest.fixture(scope="module", autouse=True)
def searching_model(simulator, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), control_plane():
        provider = Provider.objects.get(name="anthropic")
        add_route(provider, "claude-searching", RATES, served_as="claude-s+sim-websearch-2")


def ask(caller, **tool):
    return caller.post(
        "/v1/messages",
        {
            "model": "claude-searching",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "Look it up."}],
            "tools": [SEARCH | tool],
        },
    )


def test_a_budget_without_room_for_the_searches_asked_for_refuses_before_the_provider_is_asked(
    new_caller, simulator
):
    caller = new_caller(spend_per_month="0.05")
    since = simulator.last_seq()

    unlimited, five, two = ask(caller), ask(caller, max_uses=5), ask(caller, max_uses=2)

    assert [answer.status_code for answer in (unlimited, five, two)] == [402, 402, 200]
    assert len(simulator.settled(since=since)) == 1


def test_searches_made_are_charged_each(caller):
    assert ask(caller, max_uses=3).status_code == 200

    (event,) = caller.events()
    (fee,) = [line for line in event.lines if line["class"] == "requests"]
    assert (fee["quantity"], Decimal(fee["price"])) == (2, Decimal("0.024"))
    assert event.anomaly == ""


def test_a_search_that_has_no_price_is_refused_and_the_model_alone_is_not(caller, simulator):
    since = simulator.last_seq()
    body = {"model": "gpt-4o", "input": "Look it up.", "tools": [{"type": "web_search"}]}

    refused = caller.post("/v1/responses", body)
    without = caller.post("/v1/responses", body | {"tools": []})

    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "tool_not_priced"
    assert refused.json()["error"]["param"] == "tools"
    assert without.status_code == 200
    assert len(simulator.settled(since=since)) == 1
