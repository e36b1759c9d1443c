"""The stretches of time that pages offer, and how a chart cuts them up."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from apps.ai_usage.insight.types import Grouping, Period, midnight, whole_hour

CUSTOM = "custom"
_LONGEST = timedelta(days=400)
_LABELS = {
    "1h": "Last hour",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "last_month": "Last month",
    "year": "Last 12 months",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A period as somebody chose it."""

    word: str
    period: Period

    @property
    def bucket(self) -> Grouping:
        """How finely a chart of it is cut."""
        if self.period.length <= timedelta(days=2):
            return Grouping.HOUR
        return Grouping.DAY if self.period.length <= timedelta(days=100) else Grouping.MONTH

    def parameters(self) -> dict[str, str]:
        """The choice as it stands in an address."""
        if self.word != CUSTOM:
            return {"period": self.word}
        return {"from": written(self.period.starts_at), "to": written(self.period.ends_at)}


def chosen(query: QueryDict, words: tuple[str, ...], default: str, now: datetime) -> Choice:
    """The period in an address: a word, or bounds of its own; what makes no sense is the default."""
    if (word := query.get("period", "")) in words:
        return Choice(word, _period(word, now))
    starts, ends = _moment(query.get("from", "")), _moment(query.get("to", ""))
    if starts and ends and starts < ends <= starts + _LONGEST:
        return Choice(CUSTOM, Period(starts, ends))
    return Choice(default, _period(default, now))


def options(choice: Choice, words: tuple[str, ...]) -> list[dict[str, str]]:
    """The choices of a select; bounds of one's own are among them while they are in force."""
    found = [{"value": word, "label": _LABELS[word]} for word in words]
    if choice.word == CUSTOM:
        found.insert(0, {"value": CUSTOM, "label": described(choice.period)})
    return found


def described(period: Period) -> str:
    """In words: 24 Nov 2026; 24 Nov 2026, 14:00 to 15:00 UTC; 1 Nov to 24 Nov 2026."""
    starts, ends = period.starts_at, period.ends_at
    if period.length < timedelta(days=1):
        return f"{_day(starts)}, {starts:%H:%M} to {ends:%H:%M} UTC"
    last = ends - timedelta(hours=1)
    return _day(starts) if starts.date() == last.date() else f"{starts.day} {starts:%b} to {_day(last)}"


def buckets(choice: Choice, now: datetime) -> list[tuple[datetime, datetime]]:
    """The stretches of a chart up to now, in order, those without usage included."""
    found = []
    begins, ends = _floor(choice.period.starts_at, choice.bucket), min(choice.period.ends_at, _next_hour(now))
    while begins < ends:
        following = _following(begins, choice.bucket)
        found.append((begins, following))
        begins = following
    return found


def bucket_label(begins: datetime, bucket: Grouping) -> tuple[str, str]:
    """What stands under a column, and what it is called in full."""
    if bucket is Grouping.HOUR:
        return f"{begins:%H:%M}", f"{_day(begins)}, {begins:%H:%M} to {begins + timedelta(hours=1):%H:%M} UTC"
    if bucket is Grouping.MONTH:
        return f"{begins:%b}", f"{begins:%B %Y}"
    return f"{begins.day} {begins:%b}", _day(begins)


def address(path: str, parameters: dict[str, Any]) -> str:
    """A path with those parameters that say something."""
    said = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(said)}" if said else path


def written(moment: datetime) -> str:
    """A moment as it stands in an address: a day alone where that is enough."""
    return f"{moment:%Y-%m-%d}" if moment == midnight(moment) else f"{moment:%Y-%m-%dT%H:%MZ}"


def _period(word: str, now: datetime) -> Period:
    if word == "month":
        return Period.month_of(now)
    if word == "last_month":
        return Period.month_of(Period.month_of(now).starts_at - timedelta(days=1))
    if word == "year":
        month = Period.month_of(now)
        year_ago = month.starts_at.replace(year=month.starts_at.year - 1)
        return Period((year_ago + timedelta(days=32)).replace(day=1), month.ends_at)
    count, unit = int(word[:-1]), word[-1]
    return Period.last_hours(now, count) if unit == "h" else Period.last_days(now, count)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return whole_hour(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _floor(moment: datetime, bucket: Grouping) -> datetime:
    if bucket is Grouping.HOUR:
        return moment
    return midnight(moment) if bucket is Grouping.DAY else midnight(moment).replace(day=1)


def _following(begins: datetime, bucket: Grouping) -> datetime:
    if bucket is Grouping.HOUR:
        return begins + timedelta(hours=1)
    if bucket is Grouping.DAY:
        return begins + timedelta(days=1)
    return (begins + timedelta(days=32)).replace(day=1)


def _next_hour(now: datetime) -> datetime:
    return whole_hour(now) + timedelta(hours=1)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"
