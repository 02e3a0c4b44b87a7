"""The slots of recurring jobs, and the pauses in which they do not run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from queuectl.job import HELD, Job, NewRun, Overlap, State, StoredJob
from queuectl.lifecycle import cancel
from queuectl.measures import Event
from queuectl.pause import Pause
from queuectl.records import to_instant, to_instant_or_none, to_micros, to_micros_or_none
from queuectl.store.declarations import Declarations, job_of
from queuectl.store.metrics import Happenings
from queuectl.store.queue import in_batches
from queuectl.store.values import Author


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """A recurring job of which a slot has come, and whether a run of it is not over."""

    id: int
    job: Job
    next_slot: datetime
    is_unfinished: bool


class Slots(Declarations):
    """What stands in the store for schedules."""

    def due_jobs(self, *, now: datetime) -> list[DueJob]:
        """Return the jobs of which a slot has come, by its time."""
        return [
            DueJob(id=row[0], job=job_of(row), next_slot=to_instant(row[10]), is_unfinished=bool(row[11]))
            for row in self._all("due_jobs", {"now": to_micros(now)})
        ]

    def next_slot(self) -> datetime | None:
        """Return when the next slot of any job is due."""
        [(micros,)] = self._all("next_slot")
        return to_instant_or_none(micros)

    def fire(
        self,
        due: DueJob,
        runs: Sequence[NewRun],
        *,
        after: datetime | None,
        replaces: bool = False,
        folded: tuple[datetime, datetime, int] | None = None,
        now: datetime,
    ) -> bool:
        """Account for the slots of a job before ``after``, the next one; False if another runner has done so.

        With ``replaces`` the runs that are not over are cancelled. ``folded`` are slots that are only counted: the
        first, the last, and how many.
        """
        with self.transaction():
            before, then = to_micros(due.next_slot), to_micros_or_none(after)
            if not self._all("advance_slot", {"id": due.id, "before": before, "after": then}):
                return False
            earlier = self.unfinished_runs(due.id) if replaces else []
            # A slot that was run and comes again, since the clock was set back before its schedule was declared anew.
            recorded = {slot for (slot,) in self._all("recorded_slots", {"job": due.id, "first": before})}
            fresh = [new for new in runs if to_micros_or_none(new.slot) not in recorded]
            for batch in in_batches(fresh):
                self._insert_runs(batch, job=due.id, now=now)
            for run in earlier:
                self.change(run, cancel(run, now=now))
            if folded:
                first, last, count = folded
                row = {"first": to_micros(first), "last": to_micros(last), "count": count}
                self._all("insert_folded", {"job": due.id, "now": to_micros(now), **row})
                happenings = Happenings()
                happenings.other(Event.ENDED, State.SKIPPED, job=due.id, at=to_micros(now), count=count)
                self._record(happenings)
            return True

    def trigger(self, stored: StoredJob, *, now: datetime, by: Author | None = None) -> str:
        """Put one run of a job into the queue and return its id.

        It waits for those that are not over, unless the job lets its runs overlap.
        """
        with self.transaction():
            allows = stored.job.recurrence is not None and stored.job.recurrence.overlap is Overlap.ALLOW
            waits = not allows and bool(self.unfinished_runs(stored.id))
            new = NewRun(spec=stored.job.spec, run_at=HELD if waits else now)
            number = self._insert_run(new, job=stored.id, now=now)
            if by is not None:
                self._intervene(number, "trigger", by, now)
            return f"r{number}"

    def pause(self, scope: str, *, until: datetime | None, reason: str | None, author: Author, now: datetime) -> None:
        """Let no slot of ``scope`` run, from now on until it is resumed or ``until`` has come."""
        keys = {"until": to_micros_or_none(until), "reason": reason, "user": author.user, "host": author.host}
        self._all("insert_pause", {"scope": scope, "now": to_micros(now), **keys})

    def resume(self, scope: str, *, now: datetime, author: Author) -> bool:
        """End the pauses of exactly this scope; False if there was none."""
        by = f"{author.user}@{author.host}"
        return bool(self._all("end_pauses", {"scope": scope, "now": to_micros(now), "by": by}))

    def pauses(self, *, since: datetime) -> list[Pause]:
        """Return the pauses that are not over at an instant, or began later, oldest first."""
        return [
            Pause(
                scope=scope,
                begins_at=to_instant(begins_at),
                until=to_instant_or_none(until),
                ended_at=to_instant_or_none(ended_at),
                reason=reason,
                by=by,
                ended_by=ended_by,
            )
            for scope, begins_at, until, ended_at, reason, by, ended_by in self._all(
                "pauses_since", {"since": to_micros(since)}
            )
        ]
