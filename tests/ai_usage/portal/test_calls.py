"""The list of calls and the page of one, for who may see them."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key
from tests.factories.usage import answered, attempt, event, line, refused, store_records


def ago(**delta):
    return timezone.now() - timedelta(**delta)


def ids(page):
    return [UUID(call["url"].split("/")[2]) for call in page.context["calls"]]


def test_pages_lead_forth_and_back(browser):
    made = [answered(ago(minutes=minute)).call["id"] for minute in range(120)]
    client = browser()

    first = client.get("/calls/")
    second = client.get("/calls/", {"cursor": first.context["page"]["next_cursor"]})
    third = client.get("/calls/", {"cursor": second.context["page"]["next_cursor"]})
    back = client.get("/calls/", {"cursor": third.context["page"]["previous_cursor"]})

    assert ids(first) + ids(second) + ids(third) == made
    assert ids(back) == ids(second)
    assert "previous_cursor" not in first.context["page"]
    assert "next_cursor" not in third.context["page"]


@pytest.mark.parametrize("cursor", ["x", "", "a:b:c", "WyJzdGFydGVkX2F0Il0:1aaaaa:zzz"])
def test_a_cursor_that_is_not_ours_shows_the_first_page(browser, cursor):
    call_id = answered(ago(minutes=1)).call["id"]

    assert ids(browser().get("/calls/", {"cursor": cursor})) == [call_id]


def test_the_dearest_calls_can_be_first(browser):
    cheap = answered(ago(minutes=1)).call["id"]
    dear = answered(ago(minutes=2), [line("output", 10**6, "9")]).call["id"]

    page = browser().get("/calls/", {"sort": "-price"})

    assert ids(page) == [dear, cheap]
    assert page.context["sort"] == "-price"


def test_filters_narrow_the_list_and_can_be_cleared(browser):
    key = make_key(name="checkout key")
    answered(ago(minutes=1))
    wanted = refused(ago(minutes=2), key_id=key.key.id, model="gpt-4o").call["id"]

    page = browser().get("/calls/", {"outcome": "refused", "key": str(key.key.id), "model": "gpt-4o"})

    assert ids(page) == [wanted]
    assert page.context["calls"][0]["key_name"] == "checkout key"
    assert page.context["reset_url"] == "/calls/"


@pytest.mark.parametrize(
    "query",
    [
        {"key": "nothing"},
        {"outcome": "splendid"},
        {"period": "ever"},
        {"from": "1", "to": "2"},
        {"sort": "id; drop"},
    ],
)
def test_a_filter_that_makes_no_sense_is_left_out(browser, query):
    call_id = answered(ago(minutes=1)).call["id"]

    page = browser().get("/calls/", query)

    assert (page.status_code, ids(page)) == (200, [call_id])


def test_calls_before_the_period_are_not_shown(browser):
    answered(ago(days=8))

    page = browser().get("/calls/")
    longer = browser("owner").get("/calls/", {"period": "30d"})

    assert (page.context["calls"], page.context["any_calls"]) == ([], True)
    assert len(longer.context["calls"]) == 1


def test_a_whole_id_in_the_search_leads_to_the_call(browser):
    call_id = answered(ago(days=300)).call["id"]
    client = browser()

    led = client.get("/calls/", {"id": f" {call_id} "})
    within = client.get("/calls/", {"id": str(call_id)}, headers={"HX-Request": "true"})
    nothing = client.get("/calls/", {"id": "abc"})

    assert (led.status_code, led["Location"]) == (302, f"/calls/{call_id}/")
    assert (within.status_code, within["HX-Redirect"]) == (204, f"/calls/{call_id}/")
    assert (nothing.status_code, nothing.context["calls"]) == (200, [])


def test_without_calls_the_page_shows_how_to_make_one(browser):
    page = browser().get("/calls/")

    assert page.context["any_calls"] is False
    assert "curl http://acme.localhost/v1/chat/completions" in page.content.decode()


def test_one_call_shows_its_attempts_its_arithmetic_and_its_limits(browser):
    key = make_key(name="checkout key")
    at = ago(minutes=5)
    record = answered(
        at,
        store=False,
        key_id=key.key.id,
        owner_id=key.key.owner.id,
        duration_ms=1500,
        tags={"team": "payments"},
        explanation={
            "targets": ["azure/gpt-4o-mini", "openai/gpt-4o-mini"],
            "limits": [["tenant.requests_per_minute", "requests", 6000, 5999]],
            "asked": 4096,
            "granted": 812,
        },
    )
    record.attempts = [
        attempt(record.call, 1, provider="azure", status=429, outcome="rate_limited", duration_ms=200),
        attempt(record.call, 2, started_at=at + timedelta(milliseconds=700), waited_ms=500, duration_ms=800),
    ]
    store_records([record])

    page = browser().get(f"/calls/{record.call['id']}/")

    context, body = page.context, page.content.decode()
    assert [
        (each["target"], each["failed"], each["offset_ms"], each["ended"]) for each in context["attempts"]
    ] == [
        ("azure/gpt-4o-mini", True, 0, "The provider limited our rate."),
        ("openai/gpt-4o-mini", False, 700, "Tried after a pause of 0.5 s. Answered."),
    ]
    assert [
        (each["label"], each["quantity"], each["rate_per_million"], each["amount"])
        for each in context["quantities"]
    ] == [
        ("Input", 1000, Decimal("0.18"), Decimal("0.00018")),
        ("Output", 200, Decimal("0.72"), Decimal("0.000144")),
    ]
    assert sum(each["amount"] for each in context["quantities"]) == context["call"]["price"]
    assert context["rules"][:2] == [
        {"name": "Tenant: requests a minute", "answer": "allowed", "detail": "5,999 of 6,000 left."},
        {
            "name": "Output",
            "answer": "clamped",
            "detail": "812 tokens instead of 4,096, the most that a budget had room for.",
        },
    ]
    assert context["call"]["owner"] == "checkout"
    for said in ("checkout key", f"/keys/{key.key.id}/", "team: payments", str(record.call["id"])):
        assert said in body


def test_a_refusal_says_why_in_its_own_words_or_by_its_code(browser):
    own = refused(ago(minutes=1), explanation={"refusal": "The budget of 50 has 0.01 left."}).call["id"]
    coded = refused(ago(minutes=2), error_code="model_not_in_plan", status=403).call["id"]
    client = browser()

    said = client.get(f"/calls/{own}/").context["call"]
    by_code = client.get(f"/calls/{coded}/").context["call"]

    assert (said["reason"], said["reason_code"]) == ("The budget of 50 has 0.01 left.", "budget_exhausted")
    assert (by_code["reason"], by_code["http_status"]) == ("The plan does not include this model.", 403)


def test_the_operators_cost_is_not_on_the_pages(browser):
    record = answered(ago(minutes=1), [line("output", 10**6, "3", cost_per_million="1.771")], store=False)
    free = [{**each, "price": "0", "price_per_million": "0"} for each in record.events[0]["lines"]]
    record.events.append(event(record.call, free, anomaly="lost:cut"))
    store_records([record])
    client = browser("owner")

    for path in (
        "/calls/",
        f"/calls/{record.call['id']}/",
        "/calls/export.csv",
        "/usage/",
        "/usage/export.csv",
    ):
        assert "1.771" not in client.get(path).content.decode(), path
    notes = [each["note"] for each in client.get(f"/calls/{record.call['id']}/").context["quantities"]]
    assert "Of an answer that never arrived, so not charged" in notes


def test_another_tenants_call_is_not_found(browser, globex):
    with in_tenant(globex):
        theirs = answered(ago(minutes=1)).call["id"]
    client = browser("owner")

    assert client.get(f"/calls/{theirs}/").status_code == 404
    assert client.get(f"/calls/{uuid7()}/").status_code == 404
    assert client.get("/calls/").context["calls"] == []


@pytest.mark.parametrize("path", ["/calls/", f"/calls/{UUID(int=1)}/", "/calls/export.csv"])
def test_a_role_that_may_not_see_calls_is_told_so(browser, path):
    page = browser("billing").get(path)

    assert page.status_code == 403
    assert "calls:read" in page.content.decode()


def test_what_callers_chose_to_write_runs_in_no_spreadsheet(browser):
    key = make_key(name="=HYPERLINK(1)")
    answered(ago(minutes=1), model="@SUM(A1)", key_id=key.key.id)

    answer = browser().get("/calls/export.csv")

    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert answer["Content-Disposition"].startswith('attachment; filename="calls-')
    assert (row["model"], row["key"]) == ("'@SUM(A1)", "'=HYPERLINK(1)")
    assert Decimal(row["price"]) == Decimal("0.000324")
    assert (row["input_tokens"], row["stream"]) == ("1000", "False")
