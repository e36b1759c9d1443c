"""The tags as templates use them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory

from apps.money import Money


def render(source, **context):
    return Template("{% load lockstep_ui %}" + source).render(Context(context))


def test_a_copied_amount_is_a_plain_number():
    html = render('{% money amount "USD" %}', amount=Decimal("1204.374182"))

    assert html == (
        '<span class="money">$1,204.37<span class="faint">4</span><span class="faint gap">182</span></span>'
    )


def test_money_of_the_domain_is_written_in_its_own_currency():
    assert "€3.50" in render("{% money amount %}", amount=Money(Decimal("3.50"), "EUR"))


def test_padding_is_hidden_from_readers():
    html = render('{% money amount "USD" align=4 %}', amount=Decimal("1.5"))

    assert '<span class="pad" aria-hidden="true">00</span>' in html


def test_no_value_is_a_dash_and_not_zero():
    assert "—" in render("{% money amount %}", amount=None)
    assert render("{{ count|number }}", count=None) == "—"
    assert render("{{ count|number }}", count=0) == "0"


def test_a_moment_carries_its_exact_time():
    now = datetime(2026, 11, 24, 14, 5, 11, tzinfo=UTC)

    html = render("{% when at now %}", at=datetime(2026, 11, 24, 14, 2, 11, tzinfo=UTC), now=now)

    assert 'datetime="2026-11-24T14:02:11Z"' in html
    assert 'title="24 Nov 2026, 14:02:11 UTC"' in html
    assert ">3 min ago</time>" in html


def test_a_state_is_a_word_first_and_a_colour_second():
    assert render('{% status "past_due" %}') == '<span class="badge warn">Past due</span>'
    assert render('{% status "something new" %}') == '<span class="badge quiet">Something new</span>'


def test_what_people_type_is_escaped_everywhere():
    hostile = "<script>alert(1)</script>"

    html = render(
        "{% status x %}{% badge x %}{% card x %}{{ x }}{% endcard %}"
        "{% page_header x lead=x %}{% endpage_header %}"
        "{% code_block name='c' label=x %}{{ x }}{% endcode_block %}{% bar_chart chart %}",
        x=hostile,
        chart={
            "title": hostile,
            "series": [hostile],
            "points": [{"label": hostile, "values": [1], "url": hostile}],
        },
    )

    assert "<script" not in html


def test_an_unknown_icon_is_a_mistake_in_the_template():
    with pytest.raises(TemplateSyntaxError):
        render('{% icon "no-such-icon" %}')


@pytest.mark.parametrize(
    ("in_force", "order", "following"),
    [("", "", "sort=-price"), ("-price", "descending", "sort=price"), ("price", "ascending", "sort=-price")],
)
def test_a_figures_column_sorts_largest_first_and_then_turns(in_force, order, following):
    request = RequestFactory().get("/usage?model=gpt-4.1&cursor=abc")

    html = render('{% column "Price" sort="price" numeric=True %}', sort=in_force, request=request)

    assert f"{following}" in html
    assert "model=gpt-4.1" in html
    assert "cursor" not in html
    assert (f'aria-sort="{order}"' in html) is bool(order)


def test_a_meter_shows_what_is_spent_held_and_left():
    html = render(
        '{% limit_meter spent limit held "USD" "Budget" %}',
        spent=Decimal(60),
        limit=Decimal(100),
        held=Decimal(25),
    )

    assert 'class="meter warn"' in html
    assert '<rect class="spent" width="60%"' in html
    assert '<rect class="held" width="85%"' in html
    assert "$15.00" in html
