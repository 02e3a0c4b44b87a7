"""What becomes of the slots of a recurring job: each ends as one run, or as a skipped one with its reason.

Pure: the caller reads what is stored and stores what comes back, in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from queuectl.catchup import CaughtUp, catch_up
from queuectl.errors import QueuectlError
from queuectl.job import HELD, Job, NewRun, Overlap, State
from queuectl.pause import Pause
from queuectl.schedule import Schedule, parse_schedule, spread_delay

OVERLAP = "overlap"


class UnreadableSchedule(QueuectlError):
    """A schedule in the queue means nothing to this program or its `tzdata`."""

    def __init__(self, expression: str, zone: str, error: ValueError) -> None:
        super().__init__(
            f"the schedule `{expression}` in `{zone}` cannot be read: {error}",
            hint="renew `tzdata`, or apply the manifest with another `timezone`",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """What becomes of the slots of one job that are due: runs, the next slot, and whether runs before are replaced."""

    runs: tuple[NewRun, ...]
    caught_up: CaughtUp
    replaces: bool


def first_slot(job: Job, now: datetime) -> datetime | None:
    """Return the first slot of a job that is declared now; None if it does not recur or is disabled."""
    return schedule_of(job).after(now) if job.recurrence and job.enabled else None


def schedule_of(job: Job) -> Schedule:
    """Return the schedule of a recurring job; raises UnreadableSchedule."""
    assert job.recurrence is not None
    return stored_schedule(*job.recurrence.times)


@lru_cache(maxsize=4096)
def stored_schedule(expression: str, zone: str) -> Schedule:
    """Return a schedule that was found valid before; raises UnreadableSchedule, for another machine may know less."""
    try:
        return parse_schedule(expression, zone=zone)
    except ValueError as error:
        raise UnreadableSchedule(expression, zone, error) from None


def fire(job: Job, next_slot: datetime, now: datetime, *, is_unfinished: bool, pauses: Sequence[Pause]) -> Firing:
    """Return what becomes of the slots of ``job`` from ``next_slot`` up to now.

    ``is_unfinished`` tells whether a run of the job is not over. While a pause holds nothing begins, not even a slot
    from before it that nobody has looked at until now. Raises UnreadableSchedule.
    """
    recurrence = job.recurrence
    assert recurrence is not None
    is_paused = any(pause.covers(job.full_name, now) for pause in pauses)
    caught_up = catch_up(
        schedule_of(job),
        next_slot,
        now,
        catchup=recurrence.catchup,
        window=recurrence.catchup_window,
        is_paused=lambda slot: is_paused or any(pause.covers(job.full_name, slot) for pause in pauses),
    )
    delay = spread_delay(job.full_name, recurrence.spread) if recurrence.spread else timedelta(0)
    runs = []
    replaces = False
    for due in caught_up.due:
        reason = due.reason or (OVERLAP if is_unfinished and recurrence.overlap is Overlap.SKIP else None)
        if reason:
            runs.append(NewRun(spec=job.spec, run_at=due.slot, slot=due.slot, state=State.SKIPPED, reason=reason))
            continue
        replaces |= is_unfinished and recurrence.overlap is Overlap.REPLACE
        waits = is_unfinished and recurrence.overlap is not Overlap.ALLOW
        runs.append(NewRun(spec=job.spec, run_at=HELD if waits else due.slot + delay, slot=due.slot))
        is_unfinished = True
    return Firing(runs=tuple(runs), caught_up=caught_up, replaces=replaces)
