"""Values with everything filled in, so that a test names only what matters."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from queuectl.job import RECURRENCE_KEYS, Attempt, Job, Manifest, Recurrence, Run, State, StoredJob
from queuectl.outcome import Exited, Outcome
from queuectl.retry import RetryPolicy
from queuectl.spec import JobSpec

NOW = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
_RETRY_KEYS = ("retries", "retry_delay", "backoff_base", "backoff_max", "jitter")


def make_spec(**overrides: Any) -> JobSpec:
    """Return a spec; the keys of the retry policy are given flat, as in a manifest."""
    retry = {key: overrides.pop(key) for key in _RETRY_KEYS if key in overrides}
    return replace(JobSpec(command="true"), retry=RetryPolicy(**retry), **overrides)


def make_run(**overrides: Any) -> Run:
    """Return a run that a runner is executing for the first time; ``attempt`` is its present attempt."""
    spec = overrides.pop("spec", None) or make_spec(
        **{key: overrides.pop(key) for key in (*_RETRY_KEYS, "fail_on_exit_codes") if key in overrides}
    )
    values: dict[str, Any] = {
        "number": 1,
        "id": "r1",
        "job": "nightly/backup",
        "state": State.PROCESSING,
        "spec": spec,
        "scheduled_at": NOW,
        "run_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
        "attempts": overrides.pop("attempt", 1),
        "started_at": NOW,
        "lease": 7,
        "runner": 1,
    }
    if overrides.get("state", State.PROCESSING) is not State.PROCESSING:
        values |= {"lease": None, "runner": None}
    return Run(**(values | overrides))


def make_attempt(run: Run, outcome: Outcome | None = None, *, seconds: float = 1.0) -> Attempt:
    """Return the attempt that ``run`` was executing, ended."""
    return Attempt(
        number=run.attempts,
        lease=run.lease or 0,
        runner=run.runner or 0,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=seconds),
        outcome=outcome or Exited(0),
    )


def make_job(name: str = "backup", **overrides: Any) -> Job:
    """Return a job of the manifest ``nightly``; the keys of its spec and of its recurrence are given flat."""
    keys = {"manifest", "run_at", "max_wait", "expect_success_within", "enabled", "revision", "renamed_from"}
    own = {key: overrides.pop(key) for key in keys & overrides.keys()}
    if "schedule" in overrides:
        own["recurrence"] = Recurrence(**{key: overrides.pop(key) for key in RECURRENCE_KEYS if key in overrides})
    return Job(**({"manifest": "nightly", "name": name, "spec": make_spec(**overrides)} | own))


def make_manifest(*jobs: Job, name: str = "nightly", path: str = "/repo/nightly.toml") -> Manifest:
    """Return a manifest that declares ``jobs``."""
    return Manifest(name=name, path=path, jobs=jobs)


def make_stored(job: Job, state: State | None = State.COMPLETED, **overrides: Any) -> StoredJob:
    """Return a stored job whose newest run is in ``state``."""
    if state is None:
        return StoredJob(id=1, job=job)
    if state.is_final:
        overrides.setdefault("finished_at", NOW)
    return StoredJob(id=1, job=job, latest=make_run(state=state, job=job.full_name, spec=job.spec, **overrides))
