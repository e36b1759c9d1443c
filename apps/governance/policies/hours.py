"""When a policy lets calls through: windows of weekdays and times, by the clocks of one time zone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_YEAR = 366


@dataclass(frozen=True, slots=True)
class Window:
    """From a minute of each of these days (0 is Monday) to another; one that is not later is of the next day."""

    days: tuple[int, ...]
    begins: int
    ends: int

    def __str__(self) -> str:
        return f"{days_text(self.days)} {clock_text(self.begins)}–{clock_text(self.ends)}"


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows in a time zone; outside all of them nothing is let through."""

    zone: str
    windows: tuple[Window, ...]

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.windows))} ({self.zone})"


class HoursTest:
    """Hours compiled: the minutes of a week in which the clocks there let calls through."""

    __slots__ = ("_open", "_zone", "text")

    def __init__(self, hours: Hours) -> None:
        self.text = str(hours)
        self._zone = ZoneInfo(hours.zone)
        self._open = bytearray(7 * _DAY_MINUTES)
        for window in hours.windows:
            for day in window.days:
                begins = day * _DAY_MINUTES + window.begins
                for minute in range(begins, begins + _length(window)):
                    self._open[minute % len(self._open)] = 1

    def is_open(self, at: datetime) -> bool:
        """Whether a moment is in one of the windows."""
        there = at.astimezone(self._zone)
        return bool(self._open[there.weekday() * _DAY_MINUTES + there.hour * 60 + there.minute])


def stays_within(hours: Hours, bound: Hours, today: date) -> bool:
    """Whether every moment of the year to come that the hours let through is let through by the bound too."""
    outer = _merged(_spans(bound, today, margin=2))
    return all(
        any(begins <= one and other <= ends for begins, ends in outer)
        for one, other in _merged(_spans(hours, today))
    )


def days_text(days: Iterable[int]) -> str:
    """Weekdays as people write them: mon–fri, sun."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    said = []
    for run in runs:
        said.append(f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run))
    return ",".join(said)


def clock_text(minute: int) -> str:
    """A minute of a day as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _length(window: Window) -> int:
    return (window.ends - window.begins - 1) % _DAY_MINUTES + 1


def _spans(hours: Hours, today: date, margin: int = 0) -> Iterator[tuple[datetime, datetime]]:
    zone = ZoneInfo(hours.zone)
    for offset in range(-margin, _YEAR + margin):
        day = today + timedelta(days=offset)
        for window in hours.windows:
            if day.weekday() in window.days:
                midnight = datetime.combine(day, time())
                begins = midnight + timedelta(minutes=window.begins)
                ends = begins + timedelta(minutes=_length(window))
                yield _instant(begins, zone, 0), _instant(ends, zone, 1)


def _instant(there: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return there.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for begins, ends in sorted(spans):
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return merged
