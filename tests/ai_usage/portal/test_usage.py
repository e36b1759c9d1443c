"""Usage in detail: whatever it is split by, the rows add up to the ledger."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tests.factories.keys import make_key
from tests.factories.usage import answered, line, roll_up


@pytest.mark.parametrize("by", ["model", "key", "owner", "class"])
def test_rows_and_chart_add_up_to_the_ledger_however_they_are_split(browser, by):
    key = make_key()
    now = timezone.now()
    answered(now, key_id=key.key.id, owner_id=key.key.owner.id)
    roll_up()
    answered(
        now - timedelta(days=2), [line("input", 3, "2.5"), line("cache_read", 4, "1.25")], model="gpt-4o"
    )

    context = browser().get("/usage/", {"by": by}).context

    assert context["totals"]["price"] == Decimal("0.0003365")
    assert sum(row["price"] for row in context["rows"]) == Decimal("0.0003365")
    charted = [value for point in context["usage_chart"]["points"] for value in point["values"]]
    assert sum(charted) == Decimal("0.0003365")
    assert context["totals"]["calls"] == 2


def test_models_beyond_the_dearest_share_a_series_and_lose_nothing(browser):
    for place in range(8):
        answered(timezone.now(), [line("output", 1000, str(place + 1))], model=f"model-{place}")

    context = browser().get("/usage/").context

    assert context["usage_chart"]["series"] == [*(f"model-{place}" for place in (7, 6, 5, 4, 3)), "Others"]
    assert len(context["rows"]) == 8
    assert context["totals"]["price"] == Decimal("0.036")


def test_a_row_leads_deeper_and_keeps_the_period(browser):
    answered(timezone.now())

    (row,) = browser().get("/usage/", {"period": "7d"}).context["rows"]

    assert row["url"] == "/usage/?by=key&period=7d&model=gpt-4o-mini"


def test_a_day_of_the_chart_leads_to_its_hours(browser):
    now = timezone.now()
    answered(now)
    client = browser()
    point = client.get("/usage/", {"period": "7d"}).context["usage_chart"]["points"][-1]

    day = client.get(point["url"]).context

    assert day["usage_chart"]["point_name"] == "Hour"
    assert day["totals"]["price"] == Decimal("0.000324")
    assert day["filters"][1] == {"kind": "hidden", "name": "from", "value": f"{now:%Y-%m-%d}"}


def test_a_year_is_shown_by_the_month(browser):
    answered(timezone.now())

    chart = browser().get("/usage/", {"period": "year"}).context["usage_chart"]

    assert (chart["point_name"], len(chart["points"])) == ("Month", 12)
    assert chart["points"][-1]["values"] == [Decimal("0.000324")]


def test_rows_are_sorted_as_asked(browser):
    answered(timezone.now(), [line("output", 1, "1")], model="b")
    answered(timezone.now(), [line("output", 9, "1")], model="a")
    client = browser()

    names = [
        [row["name"] for row in client.get("/usage/", {"sort": sort}).context["rows"]]
        for sort in ("name", "-name", "price")
    ]

    assert names == [["a", "b"], ["b", "a"], ["b", "a"]]


def test_a_period_without_usage_says_so(browser):
    page = browser().get("/usage/", {"period": "last_month"})

    assert page.context["rows"] == []
    assert "No usage in this period" in page.content.decode()


@pytest.mark.parametrize(
    "query", [{"by": "moon"}, {"key": "x"}, {"period": "x"}, {"from": "a", "to": "b"}, {"sort": "x"}]
)
def test_what_makes_no_sense_is_left_out(browser, query):
    answered(timezone.now())

    page = browser().get("/usage/", query)

    assert (page.status_code, page.context["totals"]["price"]) == (200, Decimal("0.000324"))


def test_the_table_to_take_away_is_exact_and_runs_in_no_spreadsheet(browser):
    answered(timezone.now(), [line("input", 10, "0.000001"), line("cache_read", 5, "1")], model="=1+1")
    answered(timezone.now())

    answer = browser().get("/usage/export.csv", {"period": "month"})

    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(answer.content.decode()))}
    assert set(rows) == {"'=1+1", "gpt-4o-mini"}
    assert Decimal(rows["'=1+1"]["price"]) == Decimal("0.000005000010")
    assert (rows["'=1+1"]["input"], rows["'=1+1"]["cache_read"], rows["'=1+1"]["output"]) == ("10", "5", "0")
    assert sum(Decimal(row["price"]) for row in rows.values()) == Decimal("0.00032900001")


def test_everybody_who_may_see_usage_may_take_it_away(browser):
    answered(timezone.now())

    assert browser("billing").get("/usage/export.csv").status_code == 200
