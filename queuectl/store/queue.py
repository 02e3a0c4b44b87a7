"""The queue itself: runs come in, are claimed, settled, cancelled, requeued; runners say that they live."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from queuectl.errors import QueuectlError
from queuectl.job import Attempt, NewRun, Run, Stop
from queuectl.outcome import Released
from queuectl.records import (
    attempt_to_record,
    to_instant,
    to_instant_or_none,
    to_micros,
    to_micros_or_none,
)
from queuectl.store.database import Database
from queuectl.store.rows import run_of, spec_to_json
from queuectl.store.values import Runner


class RunIdTaken(QueuectlError):
    """A person gave an id that another run has."""

    def __init__(self, given: str) -> None:
        super().__init__(f"there is a run `{given}` already", hint="give another id, or none: queuectl makes one")


class Queue(Database):
    """What puts runs into the queue and takes them through their states."""

    def enqueue(self, runs: Sequence[NewRun], *, now: datetime) -> list[str]:
        """Put runs into the queue, all or none, and return their ids.

        Raises RunIdTaken if a given id is in use.
        """
        with self.transaction():
            ids = []
            for run in runs:
                if run.given_id is not None and self._all("run_by_given_id", {"id": run.given_id}):
                    raise RunIdTaken(run.given_id)
                number = self._insert_run(run, now=now)
                ids.append(run.given_id or f"r{number}")
            return ids

    def claim(self, *, limit: int, runner: int, now: datetime) -> list[Run]:
        """Take up to ``limit`` due runs: by priority (larger first), then time, then number."""
        if limit <= 0:
            return []
        with self.transaction():
            rows = self._all("claim_due", {"limit": limit, "runner": runner, "now": to_micros(now)})
            if rows:  # else nothing is written, and an idle runner costs no fsync
                self._all("next_lease")
        # RETURNING promises no order: priority is the last column, then run_at, then number.
        return [run_of(row) for row in sorted(rows, key=lambda row: (-row[17], row[6], row[0]))]

    def next_due(self) -> datetime | None:
        """Return when the earliest waiting run may be claimed, past or future; None if none waits."""
        [(micros,)] = self._all("next_due")
        return to_instant_or_none(micros)

    def settle(self, before: Run, after: Run, attempt: Attempt) -> bool:
        """Store what became of a claimed run, and the attempt; False if the lease is no longer valid."""
        with self.transaction():
            settled = self._all(
                "settle_run",
                {
                    "number": before.number,
                    "lease": before.lease,
                    "state": after.state,
                    "attempts": after.attempts,
                    "interruptions": after.interruptions,
                    "run_at": to_micros(after.run_at),
                    "reason": after.reason,
                    "updated_at": to_micros(after.updated_at),
                    "finished_at": to_micros_or_none(after.finished_at),
                },
            )
            if settled and attempt.outcome != Released(began=False):  # else there was no attempt
                self._all("insert_attempt", attempt_to_record(attempt) | {"run": before.number})
            return bool(settled)

    def change(self, before: Run, after: Run) -> bool:
        """Store a person's change of a run; False if it is no longer in the state that was decided on."""
        return bool(
            self._all(
                "change_run",
                {
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
                },
            )
        )

    def purge(self, runs: Sequence[Run]) -> list[Run]:
        """Delete runs and their attempts, unless their state changed meanwhile; return those that went."""
        with self.transaction():
            rows = self._many("delete_run", [{"number": run.number, "state": run.state} for run in runs])
        gone = {number for (number,) in rows}
        return [run for run in runs if run.number in gone]

    def stops(self, runner: int) -> dict[int, Stop]:
        """Return what this runner is asked to do with attempts under way, by the number of the run."""
        return {number: Stop(stop) for number, stop in self._all("stops", {"runner": runner})}

    def register_runner(self, *, host: str, pid: int, workers: int, now: datetime) -> int:
        """Record a runner that has started and return its id."""
        [(runner,)] = self._all("insert_runner", {"host": host, "pid": pid, "workers": workers, "now": to_micros(now)})
        return int(runner)

    def beat(self, runner: int, *, now: datetime) -> None:
        """Record that a runner lives."""
        self._all("beat", {"id": runner, "now": to_micros(now)})

    def stop_runner(self, runner: int, *, now: datetime) -> None:
        """Record that a runner has ended."""
        self._all("stop_runner", {"id": runner, "now": to_micros(now)})

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

    def _insert_run(self, run: NewRun, *, now: datetime, job: int | None = None) -> int:
        row: dict[str, Any] = {
            "given_id": run.given_id,
            "job": job,
            "state": run.state,
            "priority": run.spec.priority,
            "spec": spec_to_json(run.spec),
            "run_at": to_micros(run.run_at),
            "now": to_micros(now),
            "finished_at": to_micros(now) if run.state.is_final else None,
            "reason": run.reason,
        }
        [(number,)] = self._all("insert_run", row)
        return int(number)
