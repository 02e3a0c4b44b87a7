"""What people do to runs that are over: what is to be known before they run again or are deleted, and who did."""

from collections.abc import Sequence
from datetime import datetime

from queuectl.job import JobSpec, Run
from queuectl.records import to_micros
from queuectl.store.rows import spec_from_json, to_json
from queuectl.store.selection import Selection
from queuectl.store.values import Author


class Actions(Selection):
    """What stands in the store for actions."""

    def record_purge(self, count: int, *, by: Author, detail: str | None, now: datetime) -> None:
        """Record that so many runs were deleted, in the transaction that does it."""
        who = {"user": by.user, "host": by.host, "channel": by.channel}
        self._all("insert_purge", {"now": to_micros(now), "runs": count, "detail": detail, **who})

    def executions(self, runs: Sequence[Run]) -> list[str]:
        """Return the names of the executions that the attempts of runs were."""
        numbers = to_json([run.number for run in runs])
        return [f"{run}.{lease}" for run, lease in self._all("executions_of_runs", {"numbers": numbers})]

    def specs_of(self, runs: Sequence[Run]) -> dict[str, JobSpec]:
        """Return the present specs of the jobs of runs, by full name; none of a job that is not declared any more."""
        rows = self._all("specs_of_runs", {"numbers": to_json([run.number for run in runs])})
        return {name: spec_from_json(spec) for name, spec in rows}
