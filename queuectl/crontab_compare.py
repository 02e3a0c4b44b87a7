"""Whether the jobs of manifests are due when the entries of a crontab were, and where they are not.

Pure: both sides are read, and their times found by the same engine of schedules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from queuectl.crontab_manifest import CronJob
from queuectl.job import Job
from queuectl.schedule import Schedule, parse_schedule, spread_delay
from queuectl.slots import schedule_of

_SHOWN: Final = 3
"""So many times of each exception are named."""


class Kind(StrEnum):
    """In which way an entry and a job are not the same."""

    WITHOUT_JOB = "entry without a job"
    WITHOUT_ENTRY = "job without an entry"
    DISABLED = "job is disabled"
    LEFT_OUT = "job is not due when the entry was"
    ADDED = "job is due when the entry was not"
    DELAYED = "job begins later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One exception: the line of the entry and the full name of the job, as far as there are any.

    ``count`` tells how many times are concerned, ``first`` some of them; ``delay`` is that of a ``spread``.
    """

    kind: Kind
    line: int | None = None
    job: str | None = None
    command: str = ""
    count: int = 0
    first: tuple[datetime, ...] = ()
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How many entries and jobs there are, how many of the entries are the same as a job, and what is not."""

    entries: int
    jobs: int
    same: int
    times: int
    discrepancies: tuple[Discrepancy, ...]


def compare(crons: Sequence[CronJob], jobs: Sequence[Job], *, begin: datetime, until: datetime) -> Comparison:
    """Return how the times of ``jobs`` after ``begin`` up to ``until`` differ from those of a crontab's entries."""
    pairs = _paired(crons, jobs)
    paired = {job.full_name for _, job in pairs if job}
    found: list[Discrepancy] = []
    same = times = 0
    for cron, job in pairs:
        if job is None:
            found.append(Discrepancy(kind=Kind.WITHOUT_JOB, line=cron.entry.line, command=cron.entry.command))
            continue
        differing = _differing(cron, job, begin, until)
        found += differing
        if not differing:
            same += 1
            times += schedule_of(job).count(begin, until)
    found += [
        Discrepancy(kind=Kind.WITHOUT_ENTRY, job=job.full_name, command=job.spec.line)
        for job in jobs
        if job.full_name not in paired
    ]
    return Comparison(entries=len(crons), jobs=len(jobs), same=same, times=times, discrepancies=tuple(found))


def _paired(crons: Sequence[CronJob], jobs: Sequence[Job]) -> list[tuple[CronJob, Job | None]]:
    """Return each entry with its job, if any: the most alike pairs first."""
    left = [job for job in jobs if job.recurrence]
    pairs: dict[int, Job] = {}

    def pair(likeness: int) -> None:
        for cron in crons:
            if cron.entry.line in pairs:
                continue
            for job in left:
                if _likeness(cron, job) >= likeness:
                    pairs[cron.entry.line] = job
                    left.remove(job)
                    break

    for likeness in (4, 3, 2, 1):
        pair(likeness)
    return [(cron, pairs.get(cron.entry.line)) for cron in crons]


def _likeness(cron: CronJob, job: Job) -> int:
    """Return how sure it is that a job is an entry's: 0 if it is not."""
    is_named = job.name == cron.name
    if job.spec.command != cron.command:
        return int(is_named)
    is_timed = job.recurrence is not None and job.recurrence.times == (cron.entry.schedule, cron.timezone)
    return 2 + is_named + is_timed


def _differing(cron: CronJob, job: Job, begin: datetime, until: datetime) -> list[Discrepancy]:
    line, name = cron.entry.line, job.full_name
    if not job.enabled:
        return [Discrepancy(kind=Kind.DISABLED, line=line, job=name)]
    assert job.recurrence is not None
    before, now = parse_schedule(cron.entry.schedule, zone=cron.timezone), schedule_of(job)
    found = []
    if (before.meaning, before.zone) != (now.meaning, now.zone):
        was, comes = (frozenset(_times(schedule, begin, until)) for schedule in (before, now))
        for kind, times in ((Kind.LEFT_OUT, sorted(was - comes)), (Kind.ADDED, sorted(comes - was))):
            if times:
                first = tuple(times[:_SHOWN])
                found.append(Discrepancy(kind=kind, line=line, job=name, count=len(times), first=first))
    delay = spread_delay(name, job.recurrence.spread) if job.recurrence.spread else timedelta(0)
    if delay:
        count = now.count(begin, until)
        found.append(Discrepancy(kind=Kind.DELAYED, line=line, job=name, count=count, delay=delay))
    return found


def _times(schedule: Schedule, begin: datetime, until: datetime) -> list[datetime]:
    return list(schedule.slots(begin, until))
