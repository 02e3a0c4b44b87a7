"""The coming 24 hours: which slots there are, which begin in the same minute, which pass because of a pause."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from queuectl.dashboard.reads.overview import live_runners
from queuectl.job import StoredJob
from queuectl.pause import Pause
from queuectl.slots import UnreadableSchedule, schedule_of
from queuectl.store.archive import Archive, Result

AHEAD: Final = timedelta(hours=24)
MOST_TICKS: Final = 48
"""A job with more slots a day is drawn as a band."""

_QUARTER: Final = timedelta(minutes=15)
_MOST_SLOTS: Final = 100_000  # looked at in all: 69 jobs that run every minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A recurring job in the coming day: its first slots, how many there are, its last run for a slot."""

    stored: StoredJob
    slots: tuple[datetime, ...]
    count: int
    is_paused: bool
    last: Result | None

    @property
    def name(self) -> str:
        """The job's full name."""
        return self.stored.job.full_name

    @property
    def is_dense(self) -> bool:
        """Whether it has too many slots to draw each."""
        return self.count > MOST_TICKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day: ``load`` counts the runs that begin in each quarter of an hour, ``worst`` are the fullest minutes.

    ``is_whole`` tells whether every slot was looked at.
    """

    now: datetime
    jobs: tuple[Planned, ...]
    load: tuple[tuple[datetime, int], ...]
    worst: tuple[tuple[datetime, tuple[str, ...]], ...]
    workers: int
    is_whole: bool
    pauses: tuple[Pause, ...]


def day(store: Archive, now: datetime) -> Day:
    """Return the coming day."""
    recurring = [stored for stored in store.jobs() if stored.next_slot is not None]
    pauses = [pause for pause in store.pauses(since=now) if pause.begins_at <= now]
    results = store.latest_results(each=1)
    left, planned = _MOST_SLOTS, []
    minutes: dict[datetime, list[str]] = {}
    for stored in recurring:
        name = stored.job.full_name
        slots = [] if left <= 0 else list(islice(_slots(stored, now), left))
        left -= len(slots)
        due = [slot for slot in slots if not any(pause.covers(name, slot) for pause in pauses)]
        for slot in due:
            minutes.setdefault(slot.replace(second=0, microsecond=0), []).append(name)
        is_paused = any(pause.covers(name, max(now, stored.next_slot or now)) for pause in pauses)
        last = next(iter(results.get(name, ())), None)
        planned.append(
            Planned(stored=stored, slots=tuple(slots[:MOST_TICKS]), count=len(slots), is_paused=is_paused, last=last)
        )
    quarters = Counter(
        minute - timedelta(minutes=minute.minute % 15) for minute, names in minutes.items() for _ in names
    )
    begin = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    return Day(
        now=now,
        jobs=tuple(sorted(planned, key=lambda each: each.stored.next_slot or now)),
        load=tuple((begin + step * _QUARTER, quarters[begin + step * _QUARTER]) for step in range(97)),
        worst=_worst(minutes),
        workers=sum(each.runner.workers for each in live_runners(store) if each.is_alive),
        is_whole=left > 0,
        pauses=tuple(pauses),
    )


def _slots(stored: StoredJob, now: datetime) -> Iterator[datetime]:
    """Yield the slots of a recurring job in the coming day, the one that nobody has looked at yet first."""
    if stored.next_slot is None:
        return
    if stored.next_slot <= now + AHEAD:
        yield stored.next_slot
    with suppress(UnreadableSchedule):  # of one job: its runner warns of it
        yield from schedule_of(stored.job).slots(max(stored.next_slot, now), now + AHEAD)


def _worst(minutes: dict[datetime, list[str]]) -> tuple[tuple[datetime, tuple[str, ...]], ...]:
    """Return the minutes in which most runs begin, where more than one does."""
    shared = [(minute, tuple(names)) for minute, names in minutes.items() if len(names) > 1]
    return tuple(sorted(shared, key=lambda each: (-len(each[1]), each[0]))[:5])
