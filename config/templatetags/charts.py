"""The geometry of charts: numbers in, places on a page out. Drawn by templates/components/chart.html.

Horizontal places are percentages and vertical ones pixels, so that a chart fills any width without stretching
its text, with no script and no inline style.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Any

from config.templatetags.formatting import axis_labels, exact, quantity

HEIGHT = 176  # of the plot, in pixels
HEADROOM = 28  # above the plot, where the value under the pointer is written
SERIES_COLOURS = 6  # classes s1 … s6 in charts.css; later series share the last
STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """One series' share of one column."""

    colour: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Column:
    """One point in time: its bars, what it says when pointed at, and where it leads."""

    x: str
    width: str
    centre: str
    bar_x: str
    bar_width: str
    segments: tuple[Segment, ...]
    readout: str
    readout_x: str
    anchor: str
    detail: str
    url: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A line or an area, in a box 1000 wide that is stretched to the plot."""

    colour: str
    line: str
    area: str


@dataclass(frozen=True, slots=True)
class Tick:
    label: str
    at: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class LegendEntry:
    colour: str
    name: str
    total: str


@dataclass(frozen=True, slots=True)
class TableRow:
    label: str
    values: tuple[str, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything chart.html needs; no arithmetic is left to the template."""

    kind: str
    title: str
    description: str
    empty: bool
    columns: tuple[Column, ...]
    shapes: tuple[Shape, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    legend: tuple[LegendEntry, ...]
    rows: tuple[TableRow, ...]
    names: tuple[str, ...]
    point_name: str
    linked: bool
    height: int
    baseline: int
    total_height: int

    @property
    def axis_width(self) -> int:
        """Pixels for the longest label of the vertical axis, at about seven a character."""
        return max([52, *(7 * len(tick.label) + 4 for tick in self.y_ticks)])


def part(thing: Any, name: str, default: Any = None) -> Any:
    """A named part of a dict or of an object, whichever a view found simpler to make."""
    if isinstance(thing, Mapping):
        return thing.get(name, default)
    return getattr(thing, name, default)


def draw(chart: Any, kind: str) -> Drawing:
    """Lay out `chart` as stacked bars (`bar`), stacked areas (`area`) or separate lines (`line`)."""
    with localcontext(prec=80):  # sums of amounts of 38 digits stay exact
        return _drawn(chart, kind)


def _drawn(chart: Any, kind: str) -> Drawing:
    unit, currency = part(chart, "unit", "count"), part(chart, "currency", "USD")
    names = tuple(str(name) for name in part(chart, "series", ()))
    points = list(part(chart, "points", ()))
    values = [[exact(value) for value in part(point, "values", ())] for point in points]
    stacked = kind != "line"
    peaks = [sum(row, Decimal(0)) if stacked else max(row, default=Decimal(0)) for row in values]
    top = ceiling(max(peaks, default=Decimal(0)))
    labels = [str(part(point, "label", "")) for point in points]
    titles = [str(part(point, "title", None) or label) for point, label in zip(points, labels, strict=True)]

    def say(value: Decimal) -> str:
        return quantity(value, unit, currency)

    columns = tuple(
        _column(position, len(points), row, top, stacked, kind, titles[position], names, say, point)
        for position, (point, row) in enumerate(zip(points, values, strict=True))
    )
    totals = [
        sum((row[index] for row in values if index < len(row)), Decimal(0)) for index in range(len(names))
    ]
    additive = unit in ("money", "count")
    return Drawing(
        kind=kind,
        title=str(part(chart, "title", "")),
        description=str(part(chart, "description", "") or _summary(titles, peaks, say)),
        empty=not any(peaks),
        columns=columns,
        shapes=tuple(_shapes(values, len(names), top, stacked)) if kind != "bar" else (),
        y_ticks=tuple(_y_ticks(top, unit, currency)),
        x_ticks=tuple(_x_ticks(labels)),
        legend=tuple(
            LegendEntry(colour(index), name, say(totals[index]) if additive else "")
            for index, name in enumerate(names)
        )
        if len(names) > 1
        else (),
        rows=tuple(
            TableRow(title, tuple(say(value) for value in row), say(sum(row, Decimal(0))) if additive else "")
            for title, row in zip(titles, values, strict=True)
        ),
        names=names,
        point_name=str(part(chart, "point_name", "Day")),
        linked=any(column.url for column in columns),
        height=HEIGHT,
        baseline=HEIGHT + HEADROOM,
        total_height=HEIGHT + HEADROOM + 24,
    )


def colour(index: int) -> str:
    return f"s{min(index + 1, SERIES_COLOURS)}"


def ceiling(peak: Decimal) -> Decimal:
    """The smallest round number of four equal steps that holds the peak."""
    if peak <= 0:
        return Decimal(4)
    magnitude = Decimal(1).scaleb((peak / 4).adjusted())
    step = next(step * magnitude for step in STEPS if step * magnitude * 4 >= peak)
    # Fewer lines than four where three steps already hold it.
    return step * max((peak / step).to_integral_value(rounding=ROUND_CEILING), Decimal(2))


def sparkline_points(values: Sequence[Any], width: int, height: int) -> list[tuple[str, str]]:
    """Where a sparkline's corners are; a flat series runs along the middle."""
    numbers = [exact(value) for value in values]
    if not numbers:
        return []
    low, high = min(numbers), max(numbers)
    span = high - low
    step = Decimal(width - 4) / max(len(numbers) - 1, 1)
    return [
        (_px(2 + step * index), _px(2 + (height - 4) * ((high - value) / span if span else Decimal("0.5"))))
        for index, value in enumerate(numbers)
    ]


def share(amount: Decimal | int, whole: Decimal | int) -> str:
    """A part of a whole as a width: `37.5%`, at most `100%`."""
    if not whole:
        return "0%"
    return _pct(min(max(Decimal(amount) / Decimal(whole), Decimal(0)), Decimal(1)) * 100)


def _column(
    position: int,
    count: int,
    row: list[Decimal],
    top: Decimal,
    stacked: bool,
    kind: str,
    title: str,
    names: tuple[str, ...],
    say: Any,
    point: Any,
) -> Column:
    slot = Decimal(100) / count
    left = slot * position
    bar = slot * (Decimal("0.5") if count < 8 else Decimal("0.72"))
    centre = left + slot / 2
    if len(row) > 1:
        parts = " · ".join(f"{name} {say(value)}" for name, value in zip(names, row, strict=False) if value)
        detail = (
            f"{title}: {say(sum(row, Decimal(0)))} ({parts})"
            if stacked and parts
            else f"{title}: {parts or say(Decimal(0))}"
        )
    else:
        detail = f"{title}: {say(row[0]) if row else ''}"
    readout = f"{title}  {say(sum(row, Decimal(0)))}" if stacked or len(row) == 1 else detail
    anchor = "start" if centre < 25 else "end" if centre > 75 else "middle"
    return Column(
        x=_pct(left),
        width=_pct(slot),
        centre=_pct(centre),
        bar_x=_pct(centre - bar / 2),
        bar_width=_pct(bar),
        segments=tuple(_segments(row, top)) if kind == "bar" else (),
        readout=readout,
        readout_x=_pct(left if anchor == "start" else left + slot if anchor == "end" else centre),
        anchor=anchor,
        detail=detail,
        url=str(part(point, "url", "") or ""),
    )


def _segments(row: list[Decimal], top: Decimal) -> list[Segment]:
    base = Decimal(HEIGHT + HEADROOM)
    segments = []
    for index, value in enumerate(row):
        if value <= 0:
            continue
        # Something that was used is visible, however little it was.
        height = max(value / top * HEIGHT, Decimal(1))
        base -= height
        segments.append(Segment(colour(index), _px(base), _px(height)))
    return segments


def _shapes(values: list[list[Decimal]], series: int, top: Decimal, stacked: bool) -> list[Shape]:
    count = len(values)
    if count == 0:
        return []
    below = [Decimal(0)] * count
    shapes = []
    for index in range(series):
        own = [row[index] if index < len(row) else Decimal(0) for row in values]
        upper = [low + value for low, value in zip(below, own, strict=True)] if stacked else own
        across = [Decimal(1000) * (2 * position + 1) / (2 * count) for position in range(count)]
        line = [f"{_px(x)},{_px(HEIGHT - y / top * HEIGHT)}" for x, y in zip(across, upper, strict=True)]
        floor = [f"{_px(x)},{_px(HEIGHT - y / top * HEIGHT)}" for x, y in zip(across, below, strict=True)]
        shapes.append(Shape(colour(index), " ".join(line), " ".join(line + floor[::-1]) if stacked else ""))
        if stacked:
            below = upper
    return shapes


def _y_ticks(top: Decimal, unit: str, currency: str) -> list[Tick]:
    steps = next((steps for steps in (4, 3, 2) if _is_round(top / steps)), 4)
    labels = axis_labels([top * step / steps for step in range(steps + 1)], unit, currency)
    return [
        Tick(label, _px(HEADROOM + HEIGHT - Decimal(HEIGHT) * step / steps))
        for step, label in enumerate(labels)
    ]


def _is_round(step: Decimal) -> bool:
    return step.normalize().as_tuple().digits in ((1,), (2,), (5,), (2, 5))


def _x_ticks(labels: list[str]) -> list[Tick]:
    """At most eight labels, of which a narrow screen shows every second one."""
    count = len(labels)
    if not count:
        return []
    every = -(-count // MOST_LABELS)
    ticks = []
    for number, position in enumerate(range(0, count, every)):
        centre = Decimal(100) * (2 * position + 1) / (2 * count)
        ticks.append(Tick(labels[position], _pct(centre), minor=number % 2 == 1))
    return ticks


def _summary(titles: list[str], peaks: list[Decimal], say: Any) -> str:
    if not any(peaks):
        return "No values in this period."
    high = max(range(len(peaks)), key=peaks.__getitem__)
    return f"From {titles[0]} to {titles[-1]}. Highest: {say(peaks[high])} on {titles[high]}."


def _px(value: Decimal) -> str:
    return format(value.quantize(Decimal("0.01")).normalize(), "f")


def _pct(value: Decimal) -> str:
    return format(value.quantize(Decimal("0.001")).normalize(), "f") + "%"
