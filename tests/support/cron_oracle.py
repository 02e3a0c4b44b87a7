"""The main loop of Debian's cron, minute by minute: what ``queuectl.schedule`` must agree with.

It shares no code and no idea with it. cron wakes once a minute and compares the local clock with the local minute that
it has got to by itself. One on is normal. After a jump forwards it tries the minutes it missed for the jobs of fixed
times. After a jump backwards it tries only the others until the clock has caught up. A jump of hours is a correction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

Local = tuple[int, int, int, int, int]
"""Minute, hour, day of month, month and day of week from 0 for Sunday, as localtime(3) returns them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABBREVIATIONS = {
    3: {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6}
    | {"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12},
    4: {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6},
}
_HIGHEST = (59, 23, 31, 12, 7)
_LOWEST = (0, 0, 1, 1, 0)


@dataclass(frozen=True)
class Tick:
    """One minute of UTC in which cron woke: which local minutes it tried, for which of the two kinds of jobs."""

    instant: datetime
    wild: tuple[Local, ...]
    fixed: tuple[Local, ...]


def ticks(zone: str, begin: datetime, end: datetime) -> Iterator[Tick]:
    """Yield cron's minutes from one whole minute of UTC to another; the clocks must not change at the first."""
    tz = ZoneInfo(zone)
    instant, virtual = begin, None
    while instant <= end:
        running = _minutes(instant.astimezone(tz))
        ahead = 1 if virtual is None else running - virtual
        here = (_local(running),)
        if ahead == 1:
            yield Tick(instant, here, here)
            virtual = running
        elif 5 < ahead <= 180:
            yield Tick(instant, here, tuple(_local(missed) for missed in range(virtual + 1, running + 1)))
            virtual = running
        elif -180 < ahead <= 0:
            yield Tick(instant, here, ())
        else:
            yield Tick(instant, here, here)
            virtual = running
        instant += timedelta(minutes=1)


def fires(expression: str, minutes: list[Tick]) -> list[datetime]:
    """Return the minutes in which cron starts a job with this expression."""
    minute, hour, day, _, weekday = texts = expression.lower().split()
    minute_set, hour_set, day_set, month_set, weekday_set = map(_allowed, range(5), texts)
    is_wild = minute[0] == "*" or hour[0] == "*"
    is_both = day[0] == "*" or weekday[0] == "*"

    def is_due(local: Local) -> bool:
        if local[0] not in minute_set or local[1] not in hour_set or local[3] not in month_set:
            return False
        if is_both:
            return local[2] in day_set and local[4] in weekday_set
        return local[2] in day_set or local[4] in weekday_set

    return [tick.instant for tick in minutes if any(map(is_due, tick.wild if is_wild else tick.fixed))]


def _minutes(local: datetime) -> int:
    """Return a local time as minutes on the local clock since the first minute of 1970."""
    return int((local.replace(tzinfo=UTC) - _EPOCH).total_seconds()) // 60


def _local(minutes: int) -> Local:
    at = _EPOCH + timedelta(minutes=minutes)
    return at.minute, at.hour, at.day, at.month, (at.weekday() + 1) % 7


def _allowed(place: int, text: str) -> frozenset[int]:
    """Return the values that a field allows: each is tried with each item of the list."""
    values = range(_LOWEST[place], _HIGHEST[place] + 1)
    found = {value for value, item in product(values, text.split(",")) if _is_in(value, item, place)}
    return frozenset(value % 7 for value in found) if place == 4 else frozenset(found)


def _is_in(value: int, item: str, place: int) -> bool:
    span, _, step = item.partition("/")
    if span == "*":
        span = f"{_LOWEST[place]}-{_HIGHEST[place]}"
    low, dash, high = span.partition("-")
    begin = _number(low, place)
    end = _number(high, place) if dash else begin
    return begin <= value <= end and (value - begin) % int(step or 1) == 0


def _number(word: str, place: int) -> int:
    return _ABBREVIATIONS[place][word] if word.isalpha() else int(word)
