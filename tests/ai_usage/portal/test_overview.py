"""The first page: how to begin, then what was spent, exactly."""

from datetime import timedelta
from decimal import Decimal

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key
from tests.factories.usage import answered, line, refused, roll_up


def test_before_the_first_call_the_page_says_how_to_make_one(browser):
    page = browser().get("/")

    first_run = page.context["first_run"]
    assert page.status_code == 200
    assert [(step["title"], step["done"]) for step in first_run["steps"]][1:3] == [
        ("Create an API key", False),
        ("Make a call", False),
    ]
    assert first_run["steps"][1]["url"] == "/keys/create/"
    curl = first_run["snippets"][0]["code"]
    assert curl.startswith("curl http://acme.localhost/v1/chat/completions")
    assert "lk_live_…" in page.content.decode()


def test_a_key_that_exists_is_a_step_done(browser):
    make_key()

    steps = browser().get("/").context["first_run"]["steps"]

    assert [step["done"] for step in steps] == [True, True, False, False]
    assert [step["now"] for step in steps] == [False, False, True, False]


def test_the_month_is_summed_to_the_last_digit(browser):
    now = timezone.now()
    answered(now)
    roll_up()
    answered(now, model="gpt-4o", lines=[line("output", 7, "10.123457")])

    context = browser().get("/").context

    assert context["spend"]["amount"] == Decimal("0.000394864199")
    assert (context["spend"]["limit"], context["spend"]["reserved"]) == (Decimal(1000), Decimal(0))
    assert [(model["name"], model["price"], model["calls"]) for model in context["top_models"]] == [
        ("gpt-4o-mini", Decimal("0.000324"), 1),
        ("gpt-4o", Decimal("0.000070864199"), 1),
    ]
    assert context["month"].tokens == 1207
    charted = [value for point in context["spend_chart"]["points"] for value in point["values"]]
    assert sum(charted) == context["spend"]["amount"]


def test_health_and_recent_calls_tell_how_it_goes(browser):
    now = timezone.now()
    answered(now - timedelta(seconds=2), duration_ms=100)
    answered(now - timedelta(seconds=1), outcome="failed", status=502, duration_ms=900)
    refused(now)

    context = browser().get("/").context

    health = context["health"]
    assert (health.calls, health.failed, health.refused, health.p50_ms) == (3, 1, 1, 100)
    assert [(call["status"], call["status_label"]) for call in context["recent_calls"]] == [
        ("refused", "Refused"),
        ("failed", "Failed"),
        ("ok", "OK"),
    ]


def test_the_last_day_is_shown_by_the_hour(browser):
    answered(timezone.now())

    chart = browser().get("/", {"period": "24h"}).context["spend_chart"]

    assert len(chart["points"]) == 24
    assert sum(chart["points"][-1]["values"]) + sum(chart["points"][-2]["values"]) == Decimal("0.000324")


def test_somebody_who_may_not_see_calls_sees_spend_alone(browser):
    answered(timezone.now())

    page = browser("billing").get("/")

    assert page.context["recent_calls"] is None
    assert page.context["spend"]["amount"] == Decimal("0.000324")
    assert "Recent calls" not in page.content.decode()


def test_the_operators_cost_is_not_on_the_page(browser):
    answered(timezone.now(), [line("output", 10**6, "3", cost_per_million="1.771")])

    page = browser("owner").get("/").content.decode()

    assert "1.771" not in page
    assert "margin" not in page.lower()


def test_a_page_takes_few_queries_however_many_calls_there_are(browser):
    client = browser()
    for place in range(12):
        answered(timezone.now() - timedelta(minutes=place), model=f"model-{place}")

    with CaptureQueriesContext(
        connection,
    ) as taken:
        client.get("/")

    asked = [
        query["sql"]
        for query in taken
        if not query["sql"].startswith(("SELECT set_config", "SAVEPOINT", "RELEASE"))
    ]
    assert len(asked) <= 17, "\n".join(asked)


def test_nobody_sees_another_tenants_page(browser, globex):
    with in_tenant(globex):
        answered(timezone.now())

    assert browser().get("/").context["first_run"] is not None
    away = Client(HTTP_HOST="globex.localhost").get("/")
    assert (away.status_code, away["Location"]) == (302, "/accounts/login/?next=%2F")
