"""What people and other modules read of the queue; nothing here writes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from queuectl.errors import JobNotFound, RunNotFound
from queuectl.job import Attempt, Run, State, StoredJob
from queuectl.records import attempt_of, to_instant
from queuectl.selector import EVERYTHING, Selector, is_pattern
from queuectl.store.actions import Actions
from queuectl.store.declarations import stored_job_of
from queuectl.store.rows import run_of, to_json

_OUR_ID = re.compile(r"r(\d{1,18})", re.ASCII)


class Reading(Actions):
    """The read side of the store."""

    def run(self, run_id: str) -> Run:
        """Return the run with this id; raises RunNotFound, which names similar ids."""
        ours = _OUR_ID.fullmatch(run_id)
        rows = (
            self._all("run_by_number", {"number": int(ours[1])})
            if ours
            else self._all("run_by_given_id", {"id": run_id})
        )
        if not rows:
            raise RunNotFound([run_id], [known for (known,) in self._all("recent_ids")])
        return run_of(rows[0])

    def job(self, full_name: str) -> StoredJob:
        """Return a declared job with its newest run; raises JobNotFound, which names similar ones."""
        return self.jobs_named([full_name])[0]

    def jobs_named(self, full_names: Sequence[str]) -> list[StoredJob]:
        """Return declared jobs as ``job`` does, in this order; all of them are read at once."""
        declared = {stored.job.full_name: stored for stored in self.jobs()}
        _refuse_undeclared(full_names, list(declared))
        return [declared[name] for name in full_names]

    def processing_runs(self, runner: int) -> list[Run]:
        """Return what a runner has claimed and not settled."""
        return [run_of(row) for row in self._all("processing_runs", {"runner": runner})]

    def states(self, numbers: Iterable[int]) -> dict[int, State | None]:
        """Return the states of runs by their numbers; None for one that is not there."""
        rows = self._all("states_of", {"numbers": to_json(list(numbers))})
        return {number: None if state is None else State(state) for number, state in rows}

    def next_runs(self, *, limit: int, now: datetime) -> list[Run]:
        """Return what is claimed next: what is due in the order of claims, then what is due later by its time.

        A run that waits for the one before it is not there: nobody knows when its time comes.
        """
        waiting = [run_of(row) for row in self._all("first_waiting", {"limit": limit})]

        def turn(run: Run) -> tuple[datetime, int, datetime, int]:
            return max(run.run_at, now), -run.spec.priority, run.run_at, run.number

        return sorted((run for run in waiting if not run.is_held), key=turn)[:limit]

    def job_names(self) -> list[tuple[str, str]]:
        """Return the full names of declared jobs and what they are said to be, by name; the first thousand."""
        return [(name, description or "") for name, description in self._all("job_names")]

    def next_slots(self, *, limit: int) -> list[tuple[str, datetime]]:
        """Return the jobs that are due next by their schedules, and when."""
        return [(job, to_instant(slot)) for job, slot in self._all("next_slots", {"limit": limit})]

    def attempts(self, run: Run) -> list[Attempt]:
        """Return the attempts that have ended, oldest first."""
        return [attempt_of(row) for row in self._dicts("attempts_of", {"run": run.number})]

    def jobs(self, selector: Selector = EVERYTHING) -> list[StoredJob]:
        """Return the declared jobs that are selected with their newest run, by name.

        What a selector says of state, time and exit code is about that run. Raises JobNotFound and ManifestNotFound.
        """
        with self.snapshot():
            declared = [stored_job_of(row) for row in self._all("jobs")]
            if selector.is_everything:
                return declared
            named = [name for name in selector.jobs if not is_pattern(name)]
            _refuse_undeclared(named, [stored.job.full_name for stored in declared])
            wanted = self._jobs(selector)
            found = [
                stored
                for stored in declared
                if (wanted is None or stored.id in wanted) and selector.describes(stored.job)
            ]
            return self._by_newest_run(found, selector) if selector.is_about_runs else found

    def _by_newest_run(self, jobs: Sequence[StoredJob], selector: Selector) -> list[StoredJob]:
        newest = {stored.latest.number: stored for stored in jobs if stored.latest is not None}
        about_runs = replace(
            selector, ids=tuple(f"r{number}" for number in newest), jobs=(), manifests=(), tags=(), text=None
        )
        chosen = {number for number, _ in self.choices(about_runs)} if newest else set()
        return [stored for number, stored in newest.items() if number in chosen]


def _refuse_undeclared(names: Iterable[str], declared: Sequence[str]) -> None:
    for name in names:
        if name not in declared:
            raise JobNotFound(name, declared)
