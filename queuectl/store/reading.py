"""What people and other modules read of the queue; nothing here writes."""

import re
from collections.abc import Iterable
from typing import Any

from queuectl.errors import JobNotFound, RunNotFound
from queuectl.job import Attempt, Run, State
from queuectl.plan import StoredJob
from queuectl.records import attempt_of
from queuectl.store.declarations import stored_job_of
from queuectl.store.rows import run_of, to_json
from queuectl.store.slots import Slots
from queuectl.store.values import RunFilter

_OUR_ID = re.compile(r"r(\d{1,18})", re.ASCII)


class Reading(Slots):
    """The read side of the store."""

    def counts(self) -> dict[State, int]:
        """Return the number of runs in each state."""
        return {State(state): count for state, count in self._all("run_counts")}

    def run(self, run_id: str) -> Run:
        """Return the run with this id; raises RunNotFound, which names similar ids."""
        ours = _OUR_ID.fullmatch(run_id)
        rows = (
            self._all("run_by_number", {"number": int(ours[1])})
            if ours
            else self._all("run_by_given_id", {"id": run_id})
        )
        if not rows:
            raise RunNotFound(run_id, [known for (known,) in self._all("recent_ids")])
        return run_of(rows[0])

    def runs(self, filter: RunFilter) -> list[Run]:
        """Return the runs that the filter lets through, newest first; raises JobNotFound."""
        conditions, parameters = _conditions(filter)
        if filter.job is not None:
            parameters["job"] = self._job_id(filter.job)
        sql = self._statements["runs"].replace("{conditions}", " AND ".join(conditions) or "TRUE")
        return [run_of(row) for row in self._execute(sql, parameters)]

    def job(self, full_name: str) -> StoredJob:
        """Return a declared job with its newest run; raises JobNotFound, which names similar ones."""
        declared = {stored.job.full_name: stored for stored in self.jobs()}
        if full_name not in declared:
            raise JobNotFound(full_name, list(declared))
        return declared[full_name]

    def _job_id(self, full_name: str) -> int:
        """Return the id of a job, declared or removed."""
        manifest, _, name = full_name.partition("/")
        rows = self._all("job_id", {"manifest": manifest, "name": name})
        if not rows:
            raise JobNotFound(full_name, [stored.job.full_name for stored in self.jobs()])
        return int(rows[0][0])

    def processing_runs(self, runner: int) -> list[Run]:
        """Return what a runner has claimed and not settled."""
        return [run_of(row) for row in self._all("processing_runs", {"runner": runner})]

    def states(self, numbers: Iterable[int]) -> dict[int, State | None]:
        """Return the states of runs by their numbers; None for one that is not there."""
        rows = self._all("states_of", {"numbers": to_json(list(numbers))})
        return {number: None if state is None else State(state) for number, state in rows}

    def attempts(self, run: Run) -> list[Attempt]:
        """Return the attempts that have ended, oldest first."""
        return [attempt_of(row) for row in self._dicts("attempts_of", {"run": run.number})]

    def jobs(self) -> list[StoredJob]:
        """Return the declared jobs with their newest run, by name."""
        return [stored_job_of(row) for row in self._all("jobs")]


def _conditions(filter: RunFilter) -> tuple[list[str], dict[str, Any]]:
    """Return the SQL conditions of a filter and their parameters."""
    conditions = []
    if filter.state is not None:
        # Written out, so that the partial indexes of the waiting, processing and dead runs are considered.
        conditions.append(f"state = '{filter.state}'")
    if filter.job is not None:
        conditions.append("job = :job")
    if filter.manifest is not None:
        conditions.append("job IN (SELECT id FROM jobs WHERE manifest = :manifest)")
    if filter.tag is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(spec, '$.tags') WHERE value = :tag)")
    parameters = {
        "manifest": filter.manifest,
        "tag": filter.tag,
        "limit": -1 if filter.limit is None else filter.limit,
    }
    return conditions, parameters
