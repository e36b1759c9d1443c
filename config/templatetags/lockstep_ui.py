"""The portal's template tags: exact figures, times, charts, icons, and components that wrap other markup."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.template import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.governance.gates import may
from apps.money import EXACT
from config.templatetags import charts, formatting
from config.templatetags.vocabulary import ICONS, TONE_OF

register = template.Library()


@register.simple_tag
def included(feature: str) -> bool:
    """Whether the tenant's plan includes a feature: `{% included "budgets" as has_budgets %}`."""
    return may(feature).allowed


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of ours. Without a label it is decoration and hidden from assistive technology."""
    if name not in ICONS:
        raise template.TemplateSyntaxError(f"There is no icon called {name!r} in static/lockstep/icons.svg.")
    source = f"{static('lockstep/icons.svg')}#{name}"
    role = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon" {} width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.5"'
        ' stroke-linecap="round" stroke-linejoin="round"><use href="{}"/></svg>',
        role,
        source,
    )


@register.simple_tag
def money(amount: Any, currency: str = "", align: int = 0) -> SafeString:
    """An exact amount. Takes a Decimal and a currency code, or anything with `.amount` and `.currency`."""
    if amount is None or amount == "":
        return format_html('<span class="absent">{}</span>', "—")
    if hasattr(amount, "amount"):
        amount, currency = amount.amount, str(amount.currency)
    currency = currency or "USD"
    spans = []
    for piece in formatting.money_pieces(formatting.exact(amount), currency, int(align)):
        names = [
            name
            for name, on in (("faint", piece.faint), ("gap", piece.gap), ("pad", piece.pad))
            if on
        ]  # fmt: skip
        hidden = mark_safe(' aria-hidden="true"') if piece.pad else ""
        if names:
            spans.append(format_html('<span class="{}"{}>{}</span>', " ".join(names), hidden, piece.text))
        else:
            spans.append(format_html("{}", piece.text))
    return format_html('<span class="money">{}</span>', SafeString("".join(spans)))


@register.filter
def number(value: Any) -> str:
    """12,345,678. A dash for no value."""
    return "—" if value is None or value == "" else formatting.grouped(value)


@register.simple_tag
def compact(value: Any) -> SafeString | str:
    """12.3M, with the whole number as its title."""
    if value is None or value == "":
        return "—"
    short, whole = formatting.compact(value), formatting.grouped(value)
    return short if short == whole else format_html('<span title="{}">{}</span>', whole, short)


@register.filter
def percent(ratio: Any, places: int = 1) -> str:
    """0.0123 → 1.2%."""
    return "—" if ratio is None or ratio == "" else formatting.percent(ratio, places)


@register.filter
def duration(milliseconds: Any) -> str:
    """1240 → 1.24 s."""
    return "—" if milliseconds is None or milliseconds == "" else formatting.duration(milliseconds)


@register.simple_tag
def when(value: datetime | None, now: datetime | None = None, absent: str = "Never") -> SafeString:
    """A moment relative to now, with the exact one as its title."""
    if value is None:
        return format_html('<span class="absent">{}</span>', absent)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        formatting.machine_time(value),
        formatting.moment_in_full(value),
        formatting.relative(value, now or timezone.now()),
    )


@register.simple_tag
def timestamp(value: date | None, precision: str = "second", absent: str = "—") -> SafeString:
    """A moment in full, to the `second`, or its `day` only."""
    if value is None:
        return format_html('<span class="absent">{}</span>', absent)
    in_full = isinstance(value, datetime) and precision == "second"
    text = formatting.moment_in_full(value) if in_full else formatting.day(value)  # type: ignore[arg-type]
    return format_html('<time datetime="{}">{}</time>', formatting.machine_time(value), text)


@register.simple_tag
def status(word: str, label: str = "") -> SafeString:
    """A state as a word beside a mark whose colour repeats the meaning, never carries it alone."""
    key = str(word).lower().replace(" ", "_")
    tone = TONE_OF.get(key, "quiet")
    text = label or key.replace("_", " ").capitalize()
    return format_html('<span class="badge {}">{}</span>', tone, text)


@register.simple_tag
def badge(label: str, tone: str = "quiet") -> SafeString:
    """A short label: `quiet`, `info`, `good`, `warn` or `bad`."""
    return format_html('<span class="badge {} flat">{}</span>', tone, label)


@register.simple_tag
def sparkline(values: Sequence[Any], label: str = "", tone: str = "") -> SafeString:
    """A small line without axes. The label says in words what the line shows."""
    width, height = 96, 24
    points = charts.sparkline_points(values, width, height)
    if len(points) < 2:
        return SafeString("")
    last_x, last_y = points[-1]
    return format_html(
        '<svg class="spark {}" width="{}" height="{}" viewBox="0 0 {} {}" {}>'
        '<polyline points="{}"/><circle cx="{}" cy="{}" r="2"/></svg>',
        tone, width, height, width, height,
        format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"'),
        format_html_join(" ", "{},{}", points), last_x, last_y,
    )  # fmt: skip


@register.inclusion_tag("components/chart.html")
def bar_chart(chart: Any) -> dict[str, Any]:
    """Stacked bars over time. See docs/portal.md for what a chart is made of."""
    return {"drawing": charts.draw(chart, "bar")}


@register.inclusion_tag("components/chart.html")
def area_chart(chart: Any) -> dict[str, Any]:
    """Stacked areas over time."""
    return {"drawing": charts.draw(chart, "area")}


@register.inclusion_tag("components/chart.html")
def line_chart(chart: Any) -> dict[str, Any]:
    """Separate lines over time, for values that do not add up, such as latency percentiles."""
    return {"drawing": charts.draw(chart, "line")}


@register.inclusion_tag("components/limit_meter.html")
def limit_meter(
    spent: Decimal, limit: Decimal | None, reserved: Decimal = Decimal(0), currency: str = "", label: str = ""
) -> dict[str, Any]:
    """How much of a limit is spent and how much is held for calls under way. Money if a currency is given."""
    used = EXACT.add(spent, reserved)
    ratio = used / limit if limit else None
    tone = "" if ratio is None or ratio < Decimal("0.8") else "warn" if ratio < 1 else "bad"
    return {
        "label": label,
        "spent": spent,
        "reserved": reserved,
        "limit": limit,
        "left": max(EXACT.subtract(limit, used), Decimal(0)) if limit is not None else None,
        "currency": currency,
        "ratio": ratio,
        "tone": tone,
        "spent_width": charts.share(spent, limit) if limit else "0%",
        "used_width": charts.share(used, limit) if limit else "0%",
    }


@register.inclusion_tag("components/share_bar.html")
def share_bar(amount: Any, whole: Any) -> dict[str, Any]:
    """A part of a whole as a thin bar, beside the figure that says it."""
    return {"width": charts.share(amount, whole)}


@register.inclusion_tag("components/attempts.html")
def attempts(items: Sequence[Any], total: int, currency: str = "") -> dict[str, Any]:
    """The attempts of one call along one time axis of `total` milliseconds."""
    bars = []
    for item in items:
        start, length = charts.part(item, "offset_ms", 0), charts.part(item, "duration_ms", 0)
        first = charts.part(item, "first_byte_ms")
        bars.append(
            {
                "attempt": item,
                "x": charts.share(start, total),
                "width": charts.share(max(length, 1), total),
                "wait_width": charts.share(first, total) if first else "0%",
            }
        )
    return {"bars": bars, "total": total, "currency": currency}


@register.inclusion_tag("components/column.html", takes_context=True)
def column(
    context: Context, label: str, sort: str = "", numeric: bool = False, hidden: bool = False, width: str = ""
) -> dict[str, Any]:
    """A table's column head. With `sort` it is a link that orders by that field, then by its reverse.

    The order in force is the template variable `sort` (`"-started_at"` for newest first).
    """
    in_force = str(context.get("sort") or "")
    order = ""
    if sort:
        order = {sort: "ascending", f"-{sort}": "descending"}.get(in_force, "")
    # A figure is first wanted largest first, a name from A to Z.
    first = f"-{sort}" if numeric else sort
    following = sort if order == "descending" else f"-{sort}" if order == "ascending" else first
    return {
        "label": label, "sort": sort, "numeric": numeric, "hidden": hidden, "width": width,
        "order": order, "next": following, "request": context.get("request"),
    }  # fmt: skip


def _wrap(component: str, content: str, **values: Any) -> str:
    return render_to_string(f"components/{component}.html", {"content": SafeString(content), **values})


@register.simple_block_tag
def card(
    content: str,
    title: str = "",
    note: str = "",
    action_url: str = "",
    action_label: str = "",
    flush: bool = False,
) -> str:
    """A panel with a heading. `flush` lets a table or list reach its edges."""
    return _wrap(
        "card", content, title=title, note=note, action_url=action_url, action_label=action_label, flush=flush
    )


@register.simple_block_tag
def page_header(
    content: str, title: str, lead: str = "", badge: str = "", parent: str = "", parent_url: str = ""
) -> str:
    """The page's h1; the content is its actions. `parent` gives a way back."""
    return _wrap(
        "page_header", content, title=title, lead=lead, badge=badge, parent=parent, parent_url=parent_url
    )


@register.simple_block_tag
def empty_state(content: str, title: str, icon: str = "info", headline_level: int = 2) -> str:
    """What to do next where there is nothing yet. The content says it and links to it."""
    return _wrap("empty_state", content, title=title, icon=icon, level=headline_level)


@register.simple_block_tag
def dialog(content: str, name: str, title: str, open_now: bool = False, stay: bool = False) -> str:
    """A native dialog, opened by a button with `data-dialog-open="<name>"`.

    `open_now` opens it with the page; `stay` keeps a stray click beside it from closing it.
    """
    return _wrap("dialog", content, name=name, title=title, open_now=open_now, stay=stay)


@register.simple_block_tag
def notice(content: str, tone: str = "info", title: str = "") -> str:
    """A message in the page: `info`, `good`, `warn` or `bad`."""
    return _wrap("notice", content, tone=tone, title=title)


@register.simple_block_tag
def code_block(content: str, name: str, label: str = "", language: str = "") -> str:
    """Code to take away, with a copy button. `name` is its id on the page."""
    return _wrap("code_block", content.strip("\n"), name=name, label=label, language=language)
