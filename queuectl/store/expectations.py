"""What is expected of jobs, and how they stand to it: for those who watch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from queuectl.records import to_instant, to_instant_or_none, to_micros
from queuectl.store.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A job that is to succeed again ``within`` a time, since when that is expected, and when it last did."""

    job: str
    is_enabled: bool
    within: timedelta
    since: datetime
    succeeded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A job of which a run is due since ``due_at`` and has not begun, though it may wait for ``max_wait`` only."""

    job: str
    max_wait: timedelta
    due_at: datetime


class Expectations(Reading):
    """What stands in the store for those who raise alarms."""

    def expectations(self) -> list[Expectation]:
        """Return the jobs that are to succeed again and again, by name."""
        return [
            Expectation(
                job=job,
                is_enabled=bool(enabled),
                within=timedelta(seconds=within),
                since=to_instant(since),
                succeeded_at=to_instant_or_none(succeeded_at),
            )
            for job, enabled, within, since, succeeded_at in self._all("expectations")
        ]

    def late_jobs(self, *, now: datetime) -> list[Late]:
        """Return the jobs of which a run waits for longer than they allow, by name."""
        return [
            Late(job=job, max_wait=timedelta(seconds=max_wait), due_at=to_instant(due_at))
            for job, max_wait, due_at in self._all("late_jobs", {"now": to_micros(now)})
        ]
