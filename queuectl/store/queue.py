"""The queue itself: runs come in, are claimed, settled, cancelled, requeued; runners say that they live."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from queuectl.errors import QueuectlError
from queuectl.job import HELD, NewRun, Run, State, Stop
from queuectl.measures import AD_HOC, Event
from queuectl.outcome import NEVER_BEGAN
from queuectl.records import (
    attempt_to_values,
    to_instant,
    to_instant_or_none,
    to_micros,
    to_micros_or_none,
)
from queuectl.store.hooks import Hooks
from queuectl.store.metrics import Happenings
from queuectl.store.rows import run_of, spec_to_json, to_json
from queuectl.store.values import Author, Runner, Settlement

LONGEST_BEAT: Final = timedelta(seconds=30)
"""Beats of a runner that are further apart than this are recorded as a silence: two of them are missing."""

_BATCH: Final = 100  # runs in one statement: more of them gain nothing, and are one text in memory


class RunIdTaken(QueuectlError):
    """A person gave an id that another run has."""

    def __init__(self, given: str) -> None:
        super().__init__(f"there is a run `{given}` already", hint="give another id, or none: queuectl makes one")


class Queue(Hooks):
    """What puts runs into the queue and takes them through their states."""

    def enqueue(self, runs: Sequence[NewRun], *, now: datetime) -> list[str]:
        """Put runs into the queue, all or none, and return their ids.

        Raises RunIdTaken if a given id is in use.
        """
        ids: list[str] = []
        with self.transaction():
            for batch in in_batches(runs):
                self._refuse_taken([run.given_id for run in batch if run.given_id is not None])
                numbers = self._insert_runs(batch, now=now)
                ids += [run.given_id or f"r{number}" for run, number in zip(batch, numbers, strict=True)]
        return ids

    def claim(self, *, limit: int, runner: int, now: datetime) -> list[Run]:
        """Take up to ``limit`` due runs: by priority (larger first), then time, then number."""
        if limit <= 0:
            return []
        at = to_micros(now)
        with self.transaction():
            due = self.next_due()  # what a runner that waits finds out for less
            if due is None or due > now:
                return []
            wanted = {"limit": limit, "now": at}
            found = self._all("due_first", wanted)
            if len(found) < limit:  # there may be more of smaller priorities
                found = self._all("due_runs", wanted)
            numbers = [number for (number,) in found]
            rows = self._all("claim_runs", {"numbers": to_json(numbers), "runner": runner, "now": at})
            self._all("next_lease")
        claimed = {row[0]: run_of(row) for row in rows}  # RETURNING promises no order
        return [claimed[number] for number in numbers]

    def next_due(self) -> datetime | None:
        """Return when the earliest waiting run may be claimed, past or future; None if none waits."""
        [(micros,)] = self._all("next_due")
        return to_instant_or_none(micros)

    def settle(self, ends: Sequence[Settlement]) -> list[Settlement]:
        """Store what became of claimed runs, and the attempts; return those of which the lease was still valid."""
        stored: list[Settlement] = []
        attempts, happenings = [], Happenings()
        with self.transaction():
            rows = [_settled(before, after) for before, after, _ in ends]
            jobs = {(number, lease): job for number, lease, job in self._many("settle_run", rows)}
            for end, row in zip(ends, rows, strict=True):
                before, after, attempt = end
                job = jobs.pop((before.number, before.lease), None)  # an end that is told twice is stored once
                if job is None:
                    continue
                stored.append(end)
                if attempt.outcome != NEVER_BEGAN:  # else there was no attempt
                    values = attempt_to_values(attempt)
                    due, at = to_micros(before.run_at), row["updated_at"]
                    happenings.attempt(values, after.state, job=job, due=due, at=at)
                    attempts.append((before.number, *values))
            self._many("insert_attempt", attempts)
            self._record(happenings)
            self._call_hooks(stored)
        return stored

    def change(self, before: Run, after: Run, *, by: Author | None = None) -> bool:
        """Store a change of a run, and which person made it; False if it is no longer in the state decided on."""
        return bool(self.change_all([(before, after)], by=by))

    def change_all(
        self, changes: Sequence[tuple[Run, Run]], *, by: Author | None = None, detail: str | None = None
    ) -> set[int]:
        """Store changes of runs, which person made them and how the runs were selected.

        Returns the numbers of those that were still in the state decided on.
        """
        with self.transaction():
            jobs = dict(self._many("change_run", [_changed(before, after) for before, after in changes]))
            happenings, interventions = Happenings(), []
            for before, after in changes:
                if before.number not in jobs:
                    continue
                if before.state.is_final is not after.state.is_final:
                    event = Event.ENDED if after.state.is_final else Event.REQUEUED
                    happenings.other(event, after.state, job=jobs[before.number], at=to_micros(after.updated_at))
                if by is not None:
                    act = "retry" if after.state is State.PENDING else "cancel"
                    interventions.append(_intervention(before.number, act, by, after.updated_at, detail))
            self._record(happenings)
            self._many("insert_intervention", interventions)
        return set(jobs)

    def _intervene(self, run: int, act: str, by: Author, now: datetime) -> None:
        """Record what a person did to a run."""
        self._all("insert_intervention", _intervention(run, act, by, now))

    def purge(self, runs: Sequence[Run]) -> list[Run]:
        """Delete runs and their attempts, unless they changed meanwhile; return those that went."""
        with self.transaction():
            rows = self._many("delete_run", [_seen(run) for run in runs])
        gone = {number for (number,) in rows}
        return [run for run in runs if run.number in gone]

    def stops(self, runner: int) -> dict[int, Stop]:
        """Return what this runner is asked to do with attempts under way, by the number of the run."""
        return {number: Stop(stop) for number, stop in self._all("stops", {"runner": runner})}

    def register_runner(self, *, host: str, pid: int, workers: int, now: datetime, has_schedule: bool = True) -> int:
        """Record a runner that has started and return its id."""
        keys = {"host": host, "pid": pid, "workers": workers, "has_schedule": has_schedule}
        [(runner,)] = self._all("insert_runner", keys | {"now": to_micros(now)})
        return int(runner)

    def beat(self, runner: int, *, now: datetime) -> None:
        """Record that a runner lives, and that it was silent if its last beat is more than ``LONGEST_BEAT`` away."""
        row = {"id": runner, "now": to_micros(now)}
        with self.transaction():
            self._all("note_silence", row | {"longest": LONGEST_BEAT // timedelta(microseconds=1)})
            self._all("beat", row)

    def stop_runner(self, runner: int, *, now: datetime, died: bool = False) -> None:
        """Record that a runner has ended; ``died`` if others found it dead at this time."""
        self._all("stop_runner", {"id": runner, "now": to_micros(now), "died": died})

    def has_runner(self, runner: int) -> bool:
        """Whether a runner ever had this number."""
        return bool(self._all("has_runner", {"id": runner}))

    def running_runners(self) -> list[Runner]:
        """Return the runners that have not said that they stopped, alive or not."""
        return [
            Runner(
                id=row[0],
                host=row[1],
                pid=row[2],
                workers=row[3],
                started_at=to_instant(row[4]),
                heartbeat_at=to_instant(row[5]),
            )
            for row in self._all("running_runners")
        ]

    def _refuse_taken(self, given: Sequence[str]) -> None:
        taken = {row[1] for row in self._many("run_by_given_id", [{"id": each} for each in given])}
        for each in given:
            if each in taken:
                raise RunIdTaken(each)
            taken.add(each)

    def _insert_run(self, run: NewRun, *, now: datetime, job: int | None = None) -> int:
        [number] = self._insert_runs([run], now=now, job=job)
        return number

    def _insert_runs(self, runs: Sequence[NewRun], *, now: datetime, job: int | None = None) -> list[int]:
        """Insert runs and return their numbers, in the order of the runs."""
        at = to_micros(now)
        rows = [
            (
                run.given_id,
                run.state,
                run.spec.priority,
                run.spec.to_dict(),
                to_micros(run.run_at),
                to_micros_or_none(run.slot),
                at if run.state.is_final else None,
                run.reason,
                to_micros(run.slot or run.scheduled_at or (now if run.run_at == HELD else run.run_at)),
            )
            for run in runs
        ]
        happenings = Happenings()
        for state, count in Counter(run.state for run in runs).items():
            event = Event.ENDED if state.is_final else Event.ENQUEUED
            happenings.other(event, state, job=job or AD_HOC, at=at, count=count)
        with self.transaction():
            numbers = self._all("insert_runs", {"runs": to_json(rows), "job": job, "now": at})
            self._record(happenings)
        # RETURNING promises no order, but the numbers rise in that of the rows.
        return sorted(number for (number,) in numbers)


def in_batches(runs: Sequence[NewRun]) -> Iterator[Sequence[NewRun]]:
    """Yield runs, so many at a time as are inserted by one statement."""
    for begin in range(0, len(runs), _BATCH):
        yield runs[begin : begin + _BATCH]


def _intervention(run: int, act: str, by: Author, now: datetime, detail: str | None = None) -> dict[str, Any]:
    who = {"user": by.user, "host": by.host, "channel": by.channel}
    return {"run": run, "now": to_micros(now), "act": act, "detail": detail, **who}


def _changed(before: Run, after: Run) -> dict[str, Any]:
    return {
        "number": before.number,
        "state_before": before.state,
        "lease_before": before.lease,
        "state": after.state,
        "attempts": after.attempts,
        "interruptions": after.interruptions,
        "priority": after.spec.priority,
        "spec": spec_to_json(after.spec),
        "scheduled_at": to_micros(after.scheduled_at),
        "run_at": to_micros(after.run_at),
        "reason": after.reason,
        "updated_at": to_micros(after.updated_at),
        "started_at": to_micros_or_none(after.started_at),
        "finished_at": to_micros_or_none(after.finished_at),
        "stop": after.stop,
    }


def _seen(run: Run) -> dict[str, Any]:
    return {"number": run.number, "state": run.state, "updated_at": to_micros(run.updated_at)}


def _settled(before: Run, after: Run) -> dict[str, Any]:
    return {
        "number": before.number,
        "lease": before.lease,
        "state": after.state,
        "attempts": after.attempts,
        "interruptions": after.interruptions,
        "run_at": to_micros(after.run_at),
        "reason": after.reason,
        "updated_at": to_micros(after.updated_at),
        "finished_at": to_micros_or_none(after.finished_at),
    }
