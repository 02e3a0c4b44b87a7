"""What is on record of what became of jobs, runs and runners; nothing here writes."""

import json
from datetime import datetime
from typing import Any, Final

from queuectl.errors import JobNotFound
from queuectl.evidence import MOST_AHEAD, Ahead, Declaration, Folded, Intervention, RunnerLife
from queuectl.job import Run, StoredJob
from queuectl.records import attempt_of, to_instant, to_instant_or_none, to_micros
from queuectl.store.declarations import stored_job_of
from queuectl.store.expectations import Expectations
from queuectl.store.rows import run_of, spec_from_json, to_json
from queuectl.store.values import Origin, PastAttempt

_MOST_DECLARATIONS: Final = 100
_MOST_RUNNERS: Final = 100_000
_FEW_RUNS: Final = 10_000


class History(Expectations):
    """The part of the store that remembers."""

    def job_on_record(self, full_name: str) -> tuple[StoredJob, datetime | None]:
        """Return a job with its newest run, and when it was removed if it is not declared; raises JobNotFound."""
        manifest, _, name = full_name.partition("/")
        rows = self._all("job_by_name", {"manifest": manifest, "name": name})
        if not rows:
            raise JobNotFound(full_name, [stored.job.full_name for stored in self.jobs()])
        return stored_job_of(rows[0]), to_instant_or_none(rows[0][-1])

    def declarations(self, job: int) -> list[Declaration]:
        """Return the latest applies that changed a job, oldest first."""
        rows = self._dicts("declarations", {"job": job, "limit": _MOST_DECLARATIONS})
        return [_declaration(row, json.loads(row["change"])) for row in reversed(rows)]

    def run_of_slot(self, job: int, slot: datetime) -> Run | None:
        """Return the run that accounts for a slot."""
        return self._run_or_none("run_of_slot", {"job": job, "slot": to_micros(slot)})

    def latest_slot(self, job: int, until: datetime) -> Run | None:
        """Return the run of the latest slot up to an instant."""
        return self._run_or_none("latest_slot", {"job": job, "until": to_micros(until)})

    def run_in_stead(self, job: int, run: Run) -> Run | None:
        """Return the run of a later slot that was accounted for together with a skipped one."""
        assert run.slot is not None
        keys = {"job": job, "slot": to_micros(run.slot), "until": to_micros(run.created_at)}
        return self._run_or_none("run_in_stead", keys)

    def run_before(self, job: int, run: Run) -> Run | None:
        """Return the newest run of a job before another that was not skipped."""
        return self._run_or_none("run_before", {"job": job, "number": run.number, "few": _FEW_RUNS})

    def newest_run_until(self, job: int, until: datetime) -> Run | None:
        """Return the newest run of a job that was queued by an instant."""
        return self._run_or_none("newest_run_until", {"job": job, "until": to_micros(until)})

    def folded_with(self, job: int, slot: datetime) -> Folded | None:
        """Return the slots among which one was only counted."""
        rows = self._all("folded_with", {"job": job, "slot": to_micros(slot)})
        if not rows:
            return None
        first, last, count, recorded_at = rows[0]
        return Folded(first=to_instant(first), last=to_instant(last), count=count, recorded_at=to_instant(recorded_at))

    def ahead(self, run: Run, *, now: datetime) -> Ahead:
        """Return how many due runs are claimed before a waiting one."""
        keys = {"priority": run.spec.priority, "run_at": to_micros(run.run_at), "number": run.number}
        [(higher, earlier)] = self._all("ahead", keys | {"now": to_micros(now), "most": MOST_AHEAD + 1})
        return Ahead(higher=higher, earlier=earlier)

    def interventions(self, run: Run) -> list[Intervention]:
        """Return what people did to a run, oldest first."""
        return [
            Intervention(**{**row, "at": to_instant(row["at"])})
            for row in self._dicts("interventions_of", {"run": run.number})
        ]

    def runner_lives(self, since: datetime, until: datetime, *, run: Run | None = None) -> list[RunnerLife]:
        """Return who lived between two instants, one runner before and after, and those who had a run, oldest first.

        Whether one that did not say that it stopped is alive, is not the store's to know.
        """
        keys = {"since": to_micros(since), "until": to_micros(until), "run": run and run.number, "most": _MOST_RUNNERS}
        rows = sorted(self._dicts("runner_lives", keys), key=lambda row: int(row["id"]))
        silences: dict[int, list[tuple[datetime, datetime]]] = {}
        for runner, begin, end in self._all("silences_of", {"runners": to_json([row["id"] for row in rows])}):
            silences.setdefault(runner, []).append((to_instant(begin), to_instant(end)))
        return [
            RunnerLife(
                id=row["id"],
                host=row["host"],
                pid=row["pid"],
                workers=row["workers"],
                has_schedule=bool(row["has_schedule"]),
                started_at=to_instant(row["started_at"]),
                heartbeat_at=to_instant(row["heartbeat_at"]),
                stopped_at=to_instant_or_none(row["stopped_at"]),
                died=bool(row["died"]),
                silences=tuple(silences.get(row["id"], ())),
                busy=row["busy"],
            )
            for row in rows
        ]

    def past_attempts(self, run: Run) -> list[PastAttempt]:
        """Return the attempts that have ended, oldest first, each with what it ran with, and where."""
        return [
            PastAttempt(
                attempt=attempt_of(row),
                spec=spec_from_json(row["spec"]),
                origin=_origin(row),
                host=row["host"],
                pid=row["pid"],
            )
            for row in self._dicts("history_of_run", {"run": run.number})
        ]

    def origin(self, run: Run) -> Origin | None:
        """Return the apply that the present spec of a run came from; None if none is known."""
        rows = self._dicts("origin_of_run", {"run": run.number})
        return _origin(rows[0]) if rows else None

    def _run_or_none(self, name: str, parameters: dict[str, Any]) -> Run | None:
        rows = self._all(name, parameters)
        return run_of(rows[0]) if rows else None


def _origin(row: dict[str, Any]) -> Origin | None:
    if row["apply"] is None:
        return None
    return Origin(
        apply=row["apply"],
        applied_at=to_instant(row["applied_at"]),
        git_commit=row["git_commit"],
        git_dirty=None if row["git_dirty"] is None else bool(row["git_dirty"]),
    )


def _declaration(row: dict[str, Any], change: dict[str, Any]) -> Declaration:
    return Declaration(
        apply=row["number"],
        at=to_instant(row["applied_at"]),
        by=row["by"],
        action=change["action"],
        commit=row["git_commit"],
        is_dirty=None if row["git_dirty"] is None else bool(row["git_dirty"]),
        fields={key: (old, new) for key, (old, new) in change.get("fields", {}).items()},
    )
