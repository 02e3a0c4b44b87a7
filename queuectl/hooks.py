"""Which hook the end of an attempt calls, and what it is told.

Pure: the store keeps what comes back in the transaction that settles the attempt, and a courier delivers it.
"""

from typing import Any, Final

from queuectl.hook import Hook, Trigger
from queuectl.job import Attempt, Run, State
from queuectl.records import attempt_to_record

_LONGEST_REASON: Final = 2000


def called(after: Run) -> tuple[Trigger, Hook] | None:
    """Return the hook that a run calls as it stands after an attempt; None if it calls none.

    A run that died calls `on_failure` if its job has no `on_dead`. What was given back or cancelled calls nothing.
    """
    spec = after.spec
    match after.state:
        case State.COMPLETED if spec.on_success:
            return Trigger.ON_SUCCESS, spec.on_success
        case State.DEAD if spec.on_dead:
            return Trigger.ON_DEAD, spec.on_dead
        case State.DEAD | State.FAILED if spec.on_failure:
            return Trigger.ON_FAILURE, spec.on_failure
        case _:
            return None


def facts(trigger: Trigger, run: Run, after: Run, attempt: Attempt) -> dict[str, Any]:
    """Return what a hook is told: plain values, instants in ISO 8601; these keys are added to, never renamed.

    ``id`` is the execution and the same however often the hook is delivered.
    """
    record = attempt_to_record(attempt)
    return {
        "id": run.execution,
        "hook": trigger.value,
        "run": run.id,
        "job": run.job,
        "manifest": run.manifest,
        "state": after.state.value,
        "attempt": attempt.number,
        "max_attempts": run.max_attempts,
        "outcome": record["outcome"],
        "exit_code": record["exit_code"],
        "signal": record["signal"],
        "reason": after.reason[:_LONGEST_REASON] if after.reason else None,
        "scheduled_at": _iso(run.scheduled_at),
        "started_at": _iso(attempt.started_at),
        "finished_at": _iso(attempt.finished_at),
        "seconds": attempt.duration.total_seconds(),
        "next_attempt_at": _iso(after.run_at) if after.state is State.FAILED else None,
    }


def variables(told: dict[str, Any]) -> dict[str, str]:
    """Return the same as variables for a command; what is not known is empty."""
    return {
        f"QUEUECTL_{name}": "" if told[key] is None else str(told[key])
        for name, key in {
            "HOOK": "hook",
            "HOOK_ID": "id",
            "RUN_ID": "run",
            "STATE": "state",
            "ATTEMPT": "attempt",
            "MAX_ATTEMPTS": "max_attempts",
            "OUTCOME": "outcome",
            "EXIT_CODE": "exit_code",
            "SIGNAL": "signal",
            "REASON": "reason",
            "SECONDS": "seconds",
            "SCHEDULED_AT": "scheduled_at",
            "STARTED_AT": "started_at",
            "FINISHED_AT": "finished_at",
        }.items()
    } | {"QUEUECTL_JOB": (told["job"] or "").partition("/")[2], "QUEUECTL_MANIFEST": told["manifest"] or ""}


def _iso(instant: Any) -> str:
    return str(instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
