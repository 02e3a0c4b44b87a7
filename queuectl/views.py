"""Read models for people and other programs: what a run, an attempt and a job look like from outside.

The keys of these records are an interface: they are added to, never renamed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from queuectl import presence
from queuectl.job import HELD, Attempt, Run, State, StoredJob
from queuectl.records import attempt_to_record
from queuectl.selector import Selector
from queuectl.spool import Spool
from queuectl.store import Called, Origin, PastAttempt, Runner, Store

_TITLE_LENGTH = 40


def run_title(run: Run) -> str:
    """Return what a person knows a run by: its job, or the beginning of an ad-hoc run's command."""
    if run.job:
        return run.job
    text = run.spec.line
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1] + "…"


def run_record(run: Run) -> dict[str, Any]:
    """Return a run for `--json`; ``id`` to ``updated_at`` come first and are there in every version."""
    spec = run.spec
    return {
        "id": run.id,
        "command": spec.command,
        "state": run.state,
        "attempts": run.attempts,
        "max_retries": spec.retry.retries,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "job": run.job,
        "manifest": run.manifest,
        "interruptions": run.interruptions,
        "priority": spec.priority,
        "tags": list(spec.tags),
        "slot": run.slot,
        "scheduled_at": run.scheduled_at,
        "run_at": None if run.is_held else run.run_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "reason": run.reason,
    }


def attempt_record(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt for `--json`."""
    record = attempt_to_record(attempt)
    hidden = {"lease", "started_at", "finished_at"}
    return {key: value for key, value in record.items() if key not in hidden} | {
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "seconds": attempt.duration.total_seconds(),
    }


def hook_record(called: Called) -> dict[str, Any]:
    """Return a hook that an attempt called for `--json`, and what became of it; of an address only the host."""
    return {
        "hook": called.trigger,
        "does": str(called.hook),
        "called_at": called.called_at,
        "tries": called.tries,
        "fate": called.fate,
        "ended_at": called.ended_at,
        "next_try_at": None if called.fate else called.due_at,
        "detail": called.detail,
        "output": called.output,
    }


def past_attempt_record(past: PastAttempt) -> dict[str, Any]:
    """Return an attempt for `--json`, with the spec it ran with, and where."""
    return attempt_record(past.attempt) | {
        "host": past.host,
        "pid": past.pid,
        "cwd": past.spec.cwd,
        **origin_record(past.origin),
        "spec": past.spec.to_dict(),
    }


def origin_record(origin: Origin | None) -> dict[str, Any]:
    """Return the apply that a spec came from for `--json`; of an ad-hoc run all is null."""
    return {
        "apply": origin and origin.apply,
        "git_commit": origin and origin.git_commit,
        "git_dirty": origin and origin.git_dirty,
    }


def job_record(stored: StoredJob) -> dict[str, Any]:
    """Return a declared job for `--json`, with its newest run."""
    job, latest = stored.job, stored.latest
    return {
        "job": job.full_name,
        "manifest": job.manifest,
        "enabled": job.enabled,
        "revision": job.revision,
        "run_at": job.run_at,
        "max_wait": job.max_wait,
        "expect_success_within": job.expect_success_within,
        "schedule": job.recurrence and job.recurrence.schedule,
        "timezone": job.recurrence and job.recurrence.timezone,
        "next_slot": stored.next_slot,
        "latest_run": latest and run_record(latest),
        "spec": job.spec.to_dict(),
    }


def status_record(store: Store) -> dict[str, Any]:
    """Return the state of the queue as a whole: counts, the next due time, the runners and whether they live."""
    spool, counts = Spool(str(store.path)), store.counts()
    return {
        "runs": {state: counts[state] for state in State},
        "next_due": None if (due := store.next_due()) == HELD else due,
        "next_slot": store.next_slot(),
        "runners": [_runner_record(spool, runner) for runner in store.running_runners()],
    }


def outlook_record(store: Store, *, now: datetime, limit: int) -> dict[str, Any]:
    """Return the status, what runs now and how long it usually takes, what is next, and the newest dead runs.

    Its cost does not grow with the queue; of each thing there are ``limit`` at most, but for what runs.
    """
    runners, usual = runner_records(store), store.usual_seconds()
    running = [run for runner in runners for run in runner["runs"]]
    return status_record(store) | {
        "running": [run | {"usual_seconds": usual.get(run["job"])} for run in sorted(running, key=_began)],
        "next_runs": [run_record(run) for run in store.next_runs(limit=limit, now=now)],
        "next_slots": [{"job": job, "slot": slot} for job, slot in store.next_slots(limit=limit)],
        "newest_dead": [run_record(run) for run in store.runs(Selector(states=(State.DEAD,)), limit=limit)],
    }


def _began(record: Mapping[str, Any]) -> datetime:
    began: datetime = record["started_at"]
    return began


def runner_records(store: Store) -> list[dict[str, Any]]:
    """Return the runners that have not said that they stopped, whether they live, and what they have claimed."""
    spool = Spool(str(store.path))
    return [
        _runner_record(spool, runner) | {"runs": [run_record(run) for run in store.processing_runs(runner.id)]}
        for runner in store.running_runners()
    ]


def _runner_record(spool: Spool, runner: Runner) -> dict[str, Any]:
    return {
        "id": runner.id,
        "host": runner.host,
        "pid": runner.pid,
        "workers": runner.workers,
        "started_at": runner.started_at,
        "heartbeat_at": runner.heartbeat_at,
        "alive": presence.is_alive(spool, runner.id),
    }
