"""What may be on record of runs, jobs and runners, with everything filled in."""

from datetime import datetime, timedelta
from typing import Any

from queuectl.evidence import Declaration, JobEvidence, RunEvidence, RunnerLife
from queuectl.job import Run, State
from tests.support.factories import NOW, make_job, make_run

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DECLARED = Declaration(apply=4, at=NOW - 24 * HOUR, by="ada@atlas", action="create", commit="c0ffee" * 7)


def make_life(since: datetime = NOW - HOUR, until: datetime | None = None, **overrides: Any) -> RunnerLife:
    """Return a runner with two workers that lives, or that stopped at ``until``."""
    values = {"id": 1, "host": "atlas", "pid": 7, "workers": 2, "has_schedule": True, "started_at": since}
    end = {"heartbeat_at": until or NOW, "stopped_at": until, "is_alive": until is None}
    return RunnerLife(**{**values, **end, **overrides})


def known_run(run: Run | None = None, **overrides: Any) -> RunEvidence:
    """Return evidence of a run; what is not said of it is not known."""
    keys = {key: overrides.pop(key) for key in list(overrides) if key in RunEvidence.__dataclass_fields__}
    return RunEvidence(run=run or make_run(**overrides), **keys)


def known_job(schedule: str | None = "30 2 * * *", **overrides: Any) -> JobEvidence:
    """Return evidence of a recurring job that was declared a day ago, or of a one-shot."""
    own = {key: overrides.pop(key) for key in list(overrides) if key in JobEvidence.__dataclass_fields__}
    job = make_job("report", **({"schedule": schedule} if schedule else {}), **overrides)
    return JobEvidence(**{"job": job, "declarations": (DECLARED,), **own})


def skipped(reason: str, slot: datetime = NOW, **overrides: Any) -> Run:
    """Return the record of a slot that did not run."""
    values = {"number": 8, "id": "r8", "job": "nightly/report", "slot": slot, "scheduled_at": slot, "run_at": slot}
    end = overrides.get("created_at", slot)
    dates = {"created_at": end, "updated_at": end, "finished_at": end, "started_at": None, "attempt": 0}
    return make_run(**{**values, **dates, "state": State.SKIPPED, "reason": reason, **overrides})
