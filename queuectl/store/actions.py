"""What people do to runs that are over: what is to be known before they run again or are deleted, and who did."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from queuectl.job import Run, State
from queuectl.records import to_micros
from queuectl.spec import JobSpec
from queuectl.store.rows import spec_from_json, to_json
from queuectl.store.selection import Selection
from queuectl.store.values import Author


class Expired(NamedTuple):
    """A run that is older than it is to be kept: when it was over, in microseconds, and its number.

    ``is_kept`` if it stays nevertheless.
    """

    finished_at: int
    number: int
    is_kept: bool


class Actions(Selection):
    """What stands in the store for actions."""

    def record_purge(self, count: int, *, by: Author, detail: str | None, now: datetime) -> None:
        """Record that so many runs were deleted, in the transaction that does it."""
        who = {"user": by.user, "host": by.host, "channel": by.channel}
        self._all("insert_purge", {"now": to_micros(now), "runs": count, "detail": detail, **who})

    def executions(self, runs: Sequence[Run]) -> list[tuple[int, int]]:
        """Return which executions the attempts of runs were: the run's number, and the lease."""
        return self._all("executions_of_runs", {"numbers": to_json([run.number for run in runs])})

    def expired(self, state: State, *, before: datetime, after: Expired | None, keep: int, limit: int) -> list[Expired]:
        """Return the next runs in a state that were over before a time, those that were over first before the others.

        Among them are those that stay: the newest ``keep`` of their job, and those whose hook is not delivered.
        """
        finished_at, number = (after.finished_at, after.number) if after else (-1, -1)
        keys = {"state": state, "before": to_micros(before), "finished_at": finished_at, "number": number}
        rows = self._all("expired_runs", keys | {"keep": keep, "limit": limit})
        return [Expired(finished_at, number, bool(is_kept)) for finished_at, number, is_kept in rows]

    def numbers_between(self, first: int, last: int) -> tuple[int, set[int]]:
        """Return the number of the newest run that ever was, and those from ``first`` to ``last`` that are there."""
        [(newest,)] = self._all("newest_ever")
        return newest, {number for (number,) in self._all("numbers_between", {"first": first, "last": last})}

    def stopped_runners(self, runners: Sequence[int]) -> list[int]:
        """Return those of some runners of which it is recorded that they stopped."""
        return [runner for (runner,) in self._all("stopped_runners", {"runners": to_json(runners)})]

    def specs_of(self, runs: Sequence[Run]) -> dict[str, JobSpec]:
        """Return the present specs of the jobs of runs, by full name; none of a job that is not declared any more."""
        rows = self._all("specs_of_runs", {"numbers": to_json([run.number for run in runs])})
        return {name: spec_from_json(spec) for name, spec in rows}
