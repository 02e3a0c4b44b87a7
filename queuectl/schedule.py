"""When a recurring job is due: its slots, what a change of the clocks does to them, and which count after a downtime.

Nothing here reads a clock: instants come in and go out in UTC. From outside comes only the database of time zones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final, Literal

from queuectl import rules
from queuectl.cron import Cron, FieldMatch, parse_cron
from queuectl.durations import format_duration
from queuectl.instants import FIRST_YEAR, LAST_YEAR, time_zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

YEARS_AHEAD: Final = 10
"""How far warnings look for changes of the clocks."""

_EPOCH = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
LAST: Final = datetime(LAST_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC)
"""No slot is later."""

_DAY, _MINUTE, _SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
_INSTANT = timedelta.resolution
_CORRECTION = timedelta(hours=3)  # clocks that change by more were wrong before
_MOST_INTERVALS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a schedule fires in a minute of local time, or does not.

    ``is_named`` says whether the expression names the minute; ``is_either_day``, that one matching day field is enough.
    In a ``gap`` the clocks skip the minute, in an ``overlap`` they show it twice; ``offset`` is that before the change.
    ``slots`` are the instants that the minute leads to: none, one or two.
    """

    fields: tuple[FieldMatch, ...]
    is_either_day: bool
    is_named: bool
    offset: timedelta
    irregular: Literal["gap", "overlap"] | None
    slots: tuple[datetime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """What a schedule does when the clocks of its zone change at an instant, from one offset to another.

    ``times`` are the local times it names that the clocks skip, or show twice.
    """

    at: datetime
    zone: str
    before: timedelta
    later: timedelta
    times: tuple[datetime, ...]
    fate: Literal["made up", "left out", "once", "twice"]

    def __str__(self) -> str:
        low, high = sorted((self.at + self.before, self.at + self.later))
        way = f"go from {low:%H:%M} to {high:%H:%M}"
        if self.later < self.before:
            way = f"go back from {high:%H:%M} to {low:%H:%M}"
        fate = {
            "made up": f"runs at {high:%H:%M}",
            "left out": "does not run",
            "once": "runs once, the first time",
            "twice": "runs both times",
        }[self.fate]
        times = [f"{local:%H:%M}" for local in self.times]
        due = ", ".join(times if len(times) <= 3 else [*times[:2], f"… {times[-1]}"])
        return f"on {low:%Y-%m-%d} the clocks of {self.zone} {way}: what is due at {due} {fate}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """An expression as written, the zone of its times, and what it means: cron's fields, or an interval."""

    expression: str
    zone: str
    meaning: Cron | timedelta

    def after(self, instant: datetime) -> datetime | None:
        """Return the first slot after an instant; None if it lies beyond the year 2999."""
        return next(self.slots(instant, LAST), None)

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the slots after one instant, up to another and including it, in order; the first is in 1970."""
        after, until = max(after, _EPOCH - _INSTANT), min(until, LAST)
        if isinstance(self.meaning, Cron):
            for made_up, low, high, offset in _ranges(self.meaning, self.zone, after, until):
                if made_up:
                    yield made_up
                yield from self.meaning.local_times(low, high, minus=offset)
            return
        slot = _EPOCH + ((after - _EPOCH) // self.meaning + 1) * self.meaning
        while slot <= until:
            yield slot
            slot += self.meaning

    def count(self, after: datetime, until: datetime) -> int:
        """Return how many slots ``slots`` would yield, without making each."""
        after, until = max(after, _EPOCH - _INSTANT), min(until, LAST)
        if isinstance(self.meaning, Cron):
            ranges = _ranges(self.meaning, self.zone, after, until)
            return sum(self.meaning.count(low, high) + bool(made_up) for made_up, low, high, _ in ranges)
        return max((until - _EPOCH) // self.meaning - (after - _EPOCH) // self.meaning, 0)

    def explain(self, local: datetime) -> Explanation:
        """Return what a minute of local time is to this schedule; ``local`` bears no time zone."""
        minute = local.replace(second=0, microsecond=0, tzinfo=UTC)
        before, later = (_offset_of_local(self.zone, minute, fold) for fold in (0, 1))
        cron = self.meaning if isinstance(self.meaning, Cron) else None
        is_named = cron is not None and cron.names(minute)
        slots: list[datetime] = []
        if before >= later:
            for begin in dict.fromkeys((minute - before, minute - later)):
                slots += self.slots(begin - _INSTANT, begin + _MINUTE - _INSTANT)
        elif cron and is_named and _is_made_up(cron, later - before):
            slots.append(_change(self.zone, minute - later, minute - before))
        return Explanation(
            fields=cron.compare(minute) if cron else (),
            is_either_day=cron is not None and cron.is_either_day,
            is_named=is_named if cron else bool(slots),
            offset=before,
            irregular=None if before == later else "gap" if before < later else "overlap",
            slots=tuple(slots),
        )

    def clock_changes(self, after: datetime, until: datetime) -> Iterator[ClockChange]:
        """Yield the changes of the clocks after one instant, up to another, that matter to this schedule."""
        if not isinstance(self.meaning, Cron):
            return
        for year in range(after.year, until.year + 1):
            for change, before, later in _changes(self.zone, year):
                if after < change <= until and (found := self._at_change(change, before, later)):
                    yield found

    def warnings(self, *, now: datetime, timeout: float | None) -> list[str]:
        """Return what is likely not meant, a sentence each: surprising fields, changing clocks, too long a time-out."""
        found = self.meaning.remarks() + self._clock_warnings(now) if isinstance(self.meaning, Cron) else []
        shortest = self._shortest_interval(now)
        if timeout is not None and shortest and timeout > shortest.total_seconds():
            found.append(
                f"the time-out of {format_duration(timeout)} is longer than the shortest interval, "
                f"{format_duration(shortest.total_seconds())}: a run may still be going when the next is due"
            )
        return found

    def _shortest_interval(self, now: datetime) -> timedelta | None:
        if not isinstance(self.meaning, Cron):
            return self.meaning
        some = islice(self.slots(now, now + YEARS_AHEAD * 366 * _DAY), _MOST_INTERVALS)
        return min((later - earlier for earlier, later in pairwise(some)), default=None)

    def _clock_warnings(self, now: datetime) -> list[str]:
        """Return what happens the first time that the clocks skip a time of this schedule, and show one twice."""
        found: dict[bool, str] = {}
        for change in self.clock_changes(now, datetime(now.year + YEARS_AHEAD + 1, 1, 1, tzinfo=UTC)):
            found.setdefault(change.later > change.before, str(change))
            if len(found) == 2:
                break
        return list(found.values())

    def _at_change(self, change: datetime, before: timedelta, later: timedelta) -> ClockChange | None:
        """Return what happens at one change of the clocks; None if it is nothing to speak of."""
        cron = self.meaning
        assert isinstance(cron, Cron)
        low, high = sorted((change + before, change + later))
        times = tuple(cron.local_times(low, high))
        if not times or (cron.follows_elapsed_time and cron.is_even_after(later - before)):
            return None
        fate: Literal["made up", "left out", "once", "twice"]
        if later > before:
            fate = "made up" if _is_made_up(cron, later - before) else "left out"
        else:
            fate = "once" if _is_held_back(cron, before - later) else "twice"
        return ClockChange(at=change, zone=self.zone, before=before, later=later, times=times, fate=fate)


def parse_schedule(written: object, *, zone: str | None = None) -> Schedule:
    """Return a schedule in a time zone, or else in UTC; raises ValueError with a sentence that can be shown."""
    expression = rules.text(written).strip()
    known_zone = "UTC" if zone is None else time_zone(zone)
    is_interval = expression.split()[:1] == ["@every"]
    meaning = _interval(expression.removeprefix("@every").strip()) if is_interval else parse_cron(expression)
    return Schedule(expression, known_zone, meaning)


def spread_delay(job: str, spread: float) -> timedelta:
    """Return how long after its slots a job of this full name runs: whole seconds below ``spread``, always the same."""
    from hashlib import blake2b

    seconds = max(-int(-spread // 1), 1)
    return int.from_bytes(blake2b(job.encode(), digest_size=8).digest()) % seconds * _SECOND


def _interval(written: str) -> timedelta:
    if not written:
        raise rules.Refused("must say how often after `@every`", hint="for example `@every 15m`")
    try:
        interval = timedelta(seconds=rules.duration(written))
    except ValueError as error:
        raise ValueError(f"has an `@every` that {error}") from None
    if interval < _SECOND:
        raise ValueError(f"has an `@every` that must be at least 1s: {rules.shown(written)}")
    return interval


def _ranges(
    cron: Cron, zone: str, after: datetime, until: datetime
) -> Iterator[tuple[datetime | None, datetime, datetime, timedelta]]:
    """Yield the ranges of local time whose named times are slots, with the offset of each, and a slot before it if any.

    Within a range the offset is the same. The slot stands for the times that the clocks skipped just before it.
    """
    passed: datetime | None = None
    for begin, end, offset in _stretches(zone, after - _DAY, until + _INSTANT):
        low, high = begin + offset, end + offset
        made_up: datetime | None = None
        if passed and low < passed and _is_held_back(cron, passed - low):
            low = passed
        elif passed and low > passed and begin > after and _is_made_up(cron, low - passed):
            made_up = begin if cron.count(passed, low) else None
        passed = high
        low = max(low + _INSTANT if made_up else low, after + offset + _INSTANT)
        if low < high:
            yield made_up, low, high, offset


def _is_made_up(cron: Cron, gap: timedelta) -> bool:
    return not cron.follows_elapsed_time and gap < _CORRECTION


def _is_held_back(cron: Cron, overlap: timedelta) -> bool:
    return not cron.follows_elapsed_time and overlap <= _CORRECTION


def _stretches(zone: str, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Yield beginning, end and offset of stretches of time, none longer than a year, with one offset each."""
    offset = _offset_at(zone, begin)
    for year in range(begin.year, end.year + 1):
        for change, _, later in _changes(zone, year):
            if begin < change < end:
                yield begin, change, offset
                begin, offset = change, later
        year_end = min(datetime(year + 1, 1, 1, tzinfo=UTC), end)
        if begin < year_end:
            yield begin, year_end, offset
            begin = year_end


@lru_cache(maxsize=1024)
def _changes(zone: str, year: int) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """Return when in a year the offset of a zone changes, with the offsets before and after.

    The database gives no list of them: we look once a day, since zones never changed twice within a week.
    """
    found = []
    day = datetime(year, 1, 1, tzinfo=UTC)
    while day.year == year:
        before, later = _offset_at(zone, day - _INSTANT), _offset_at(zone, day + _DAY - _INSTANT)
        if before != later:
            found.append((_change(zone, day - _INSTANT, day + _DAY - _INSTANT), before, later))
        day += _DAY
    return tuple(found)


def _change(zone: str, low: datetime, high: datetime) -> datetime:
    """Return the first second, after ``low`` and not after ``high``, with another offset than at ``low``."""
    before = _offset_at(zone, low)
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        low, high = (middle, high) if _offset_at(zone, middle) == before else (low, middle)
    return high.replace(microsecond=0)


def _offset_at(zone: str, instant: datetime) -> timedelta:
    return instant.astimezone(_zone(zone)).utcoffset() or timedelta()


def _offset_of_local(zone: str, local: datetime, fold: int) -> timedelta:
    return local.replace(tzinfo=_zone(zone), fold=fold).utcoffset() or timedelta()


@lru_cache(maxsize=64)
def _zone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
