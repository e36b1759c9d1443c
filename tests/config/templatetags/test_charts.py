"""Where a chart's parts stand."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.templatetags.charts import HEADROOM, HEIGHT, ceiling, draw, share, sparkline_points


def _chart(*rows, series=("a", "b"), **more):
    points = [{"label": f"{day} Nov", "values": row} for day, row in enumerate(rows, start=1)]
    return {"title": "Spend", "unit": "money", "currency": "USD", "series": series, "points": points, **more}


@pytest.mark.parametrize(
    ("peak", "top"), [("0.37", "0.4"), ("12", "15"), ("97", "100"), ("101", "150"), ("1", "1"), ("0", "4")]
)
def test_an_axis_ends_on_a_round_number_that_holds_the_peak(peak, top):
    assert ceiling(Decimal(peak)) == Decimal(top)


@given(st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("1e12"), places=12).filter(bool))
def test_an_axis_always_holds_its_peak_and_wastes_at_most_half(peak):
    assert peak <= ceiling(peak) <= peak * 3


def test_bars_stack_from_the_base_in_proportion():
    drawing = draw(_chart([Decimal(30), Decimal(10)], [Decimal(0), Decimal(20)]), "bar")

    first, second = drawing.columns
    assert [(segment.colour, segment.y, segment.height) for segment in first.segments] == [
        ("s1", str(HEADROOM + HEIGHT - 132), "132"),
        ("s2", str(HEADROOM), "44"),
    ]
    assert [segment.colour for segment in second.segments] == ["s2"]
    assert (first.x, first.width, second.x) == ("0%", "50%", "50%")


def test_a_column_says_its_total_and_its_parts():
    drawing = draw(_chart([Decimal("1.5"), Decimal("0.000216")]), "bar")

    assert drawing.columns[0].detail == "1 Nov: $1.500216 (a $1.50 · b $0.000216)"
    assert drawing.columns[0].readout == "1 Nov  $1.500216"


def test_the_table_and_the_legend_hold_exact_sums():
    drawing = draw(_chart([Decimal("0.1"), Decimal("0.2")], [Decimal("0.000001"), Decimal(0)]), "bar")

    assert [(entry.name, entry.total) for entry in drawing.legend] == [("a", "$0.100001"), ("b", "$0.20")]
    assert drawing.rows[0].values == ("$0.10", "$0.20")
    assert drawing.rows[0].total == "$0.30"


def test_values_that_do_not_add_up_are_not_added():
    chart = _chart([800, 2000], unit="milliseconds", series=("median", "95th"))

    drawing = draw(chart, "line")

    assert drawing.columns[0].detail == "1 Nov: median 800 ms · 95th 2 s"
    assert drawing.rows[0].total == ""
    assert [entry.total for entry in drawing.legend] == ["", ""]


def test_a_chart_without_values_says_so():
    assert draw(_chart(), "bar").empty
    assert draw(_chart([Decimal(0), Decimal(0)]), "area").empty


def test_many_points_get_at_most_eight_labels():
    drawing = draw(_chart(*([Decimal(1)] for _ in range(31)), series=("a",)), "bar")

    assert len(drawing.x_ticks) == 8
    assert drawing.x_ticks[0].label == "1 Nov"


def test_a_float_never_becomes_a_bar():
    with pytest.raises(TypeError):
        draw(_chart([0.1, 0.2]), "bar")


def test_a_share_stays_between_nothing_and_all():
    assert share(Decimal(3), Decimal(8)) == "37.5%"
    assert share(Decimal(9), Decimal(8)) == "100%"
    assert share(Decimal(-1), Decimal(8)) == "0%"
    assert share(Decimal(1), Decimal(0)) == "0%"


def test_a_flat_sparkline_runs_along_the_middle():
    assert sparkline_points([5, 5], 96, 24) == [("2", "12"), ("94", "12")]
    assert sparkline_points([], 96, 24) == []
