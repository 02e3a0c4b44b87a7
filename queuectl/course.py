"""A job on its way through a simulation: what is decided about it once and for all, and what is counted of it.

``slots.fire`` says what becomes of a slot, ``lifecycle.settle`` what follows an attempt. Neither depends on the day, so
each is asked once for a job and remembered, not a million times.
"""

from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from queuectl.changes import Change
from queuectl.forecast import Duration, ForetoldRun, JobForecast, percentile
from queuectl.frozen import changed
from queuectl.job import HELD, Job, Run, State
from queuectl.lifecycle import settle
from queuectl.outcome import Exited, Outcome, TimedOut
from queuectl.slots import fire, schedule_of

Moment = int
"""An instant or a length of time in microseconds: whole numbers are compared and added fastest."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a slot: skipped for a reason, held, or due after a delay.

    With ``replaces`` the runs before it are cancelled.
    """

    reason: str | None
    is_held: bool
    delay: Moment
    replaces: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt of a job's run: how long it takes, the run after it, and the wait for the next one, if any."""

    takes: Moment
    is_timed_out: bool
    after: Run
    wait: Moment | None


@dataclass(slots=True, kw_only=True, eq=False)
class Course:
    """A job on its way through the simulation, and what is counted of it.

    ``fates`` are by whether a run is not over, and None for a one-shot, whose run has the ``number``. ``loose`` counts
    the runs that are not over and not held, ``wanting`` those that have a worker or could have one.
    """

    job: Job
    rank: int  # the smaller, the sooner
    duration: Duration
    template: Run
    steps: Sequence[Step]
    slots: Iterator[datetime]
    fates: tuple[Fate, Fate] | None
    number: int = 0
    live: dict[int, "Occurrence"] = field(default_factory=dict)
    held: "deque[Occurrence]" = field(default_factory=deque)
    loose: int = 0
    wanting: int = 0
    states: Counter[State] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    waits: "array[int]" = field(default_factory=lambda: array("q"))
    slot_count: int = 0
    overlaps: int = 0
    replaced: int = 0
    timed_out: int = 0


@dataclass(slots=True, eq=False)
class Occurrence:
    """One run on its way; ``state`` is None until it is left in one.

    ``ticket`` tells the end of its present attempt from that of one which was cut short.
    """

    course: Course
    number: int
    slot: Moment | None
    due: Moment
    step: int = 0
    ticket: int = 0
    is_held: bool = False
    is_ready: bool = False
    running_since: Moment | None = None
    state: State | None = None
    reason: str | None = None
    attempts: list[tuple[Moment, Moment | None]] | None = None  # of those in the timeline only


def course_of(change: Change, duration: Duration, begin: datetime, until: datetime, jitter: float) -> Course:
    """Return a job with all that is decided about it once and for all."""
    job, slot = change.job, change.next_slot
    template = _claimed(job, begin)
    return Course(
        job=job,
        rank=-job.spec.priority,
        duration=duration,
        template=template,
        steps=_steps(template, duration.seconds, begin, jitter),
        slots=schedule_of(job).slots(begin, until) if slot else iter(()),
        fates=(_fate(job, slot, is_unfinished=False), _fate(job, slot, is_unfinished=True)) if slot else None,
    )


def _fate(job: Job, slot: datetime, *, is_unfinished: bool) -> Fate:
    firing = fire(job, slot, slot, is_unfinished=is_unfinished, pauses=())
    [run] = firing.runs
    is_held = run.run_at == HELD
    delay = 0 if is_held else to_moment(run.run_at) - to_moment(slot)
    return Fate(run.reason, is_held, delay, firing.replaces)


def _steps(run: Run, seconds: float, begin: datetime, jitter: float) -> list[Step]:
    """Return the attempts that a run of a job uses up if each takes so many seconds."""
    timeout = run.spec.timeout
    outcome: Outcome = Exited(run.spec.success_exit_codes[0])
    if timeout is not None and seconds > timeout:
        outcome, seconds = TimedOut(timeout), timeout
    takes = round(seconds * _MICROSECONDS)
    steps: list[Step] = []
    while True:
        after = settle(run, outcome, now=begin, jitter=jitter)
        wait = None if after.state.is_final else to_moment(after.run_at) - to_moment(begin)
        steps.append(Step(takes, isinstance(outcome, TimedOut), after, wait))
        if wait is None:
            return steps
        run = changed(after, state=State.PROCESSING, attempts=after.attempts + 1)


def _claimed(job: Job, now: datetime) -> Run:
    """Return a run of a job as it is during its first attempt."""
    return Run(
        number=0,
        id="",
        job=job.full_name,
        state=State.PROCESSING,
        spec=job.spec,
        scheduled_at=now,
        run_at=now,
        created_at=now,
        updated_at=now,
        attempts=1,
    )


def job_forecast(course: Course, begin: datetime, until: datetime) -> JobForecast:
    """Return what became of a job."""
    job = course.job
    waits = [wait / _MICROSECONDS for wait in sorted(course.waits)]
    return JobForecast(
        job=job.full_name,
        duration=course.duration,
        overlap=job.recurrence.overlap if job.recurrence else None,
        slots=course.slot_count,
        states=dict(course.states),
        skips=dict(course.skips),
        overlaps=course.overlaps,
        replaced=course.replaced,
        timed_out=course.timed_out,
        wait_p95=percentile(waits, 95),
        wait_max=percentile(waits, 100),
        max_wait=job.max_wait,
        waits_too_long=0 if job.max_wait is None else sum(wait > job.max_wait for wait in waits),
        clock_changes=tuple(schedule_of(job).clock_changes(begin, until)) if course.fates else (),
    )


def foretold_run(run: Occurrence) -> ForetoldRun:
    """Return what became of a run."""
    return ForetoldRun(
        job=run.course.job.full_name,
        slot=None if run.slot is None else to_instant(run.slot),
        due=to_instant(run.due),
        state=run.state or State.PENDING,
        reason=run.reason,
        attempts=tuple(
            (to_instant(began), None if ended is None else to_instant(ended)) for began, ended in run.attempts or ()
        ),
    )


def to_moment(instant: datetime) -> Moment:
    """Return an instant as a whole number."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * _MICROSECONDS + since.microseconds


def to_instant(moment: Moment) -> datetime:
    """Return the instant that ``to_moment`` gave the number for."""
    return _EPOCH + timedelta(microseconds=moment)
