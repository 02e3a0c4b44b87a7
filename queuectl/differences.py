"""What changed between two runs: what their last attempts ran with, where, and how they ended."""

from dataclasses import dataclass
from typing import Any

from queuectl.hook import HOOK_KEYS
from queuectl.job import Run
from queuectl.spec import JobSpec
from queuectl.store import Origin, PastAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One of two runs, with its last attempt, if one has ended, and where its present spec came from."""

    run: Run
    last: PastAttempt | None
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same; None where a run has nothing of the kind."""

    key: str
    a: object
    b: object


def differences(a: Subject, b: Subject) -> list[Difference]:
    """Return what differs, the spec key by key and the environment variable by variable."""
    left, right = _values(a), _values(b)
    return [
        Difference(key, left.get(key), right.get(key))
        for key in dict.fromkeys([*left, *right])
        if left.get(key) != right.get(key)
    ]


def _values(subject: Subject) -> dict[str, Any]:
    run, last = subject.run, subject.last
    origin = last.origin if last else subject.origin
    return {
        "state": run.state,
        "reason": run.reason,
        "attempts": run.attempts,
        "interruptions": run.interruptions,
        **(_attempt_values(last) if last else {}),
        "job": run.job,
        **_spec_values(last.spec if last else run.spec),
        "apply": origin and origin.apply,
        "git_commit": origin and origin.git_commit,
        "git_dirty": origin and origin.git_dirty,
    }


def _attempt_values(past: PastAttempt) -> dict[str, Any]:
    attempt = past.attempt
    return {
        "outcome": str(attempt.outcome),
        "exit_code": getattr(attempt.outcome, "code", None),
        "seconds": attempt.duration.total_seconds(),
        "cpu_seconds": attempt.cpu_seconds,
        "max_rss_bytes": attempt.max_rss_bytes,
        "stdout_bytes": attempt.stdout_bytes,
        "stderr_bytes": attempt.stderr_bytes,
        "host": past.host,
        "runner": attempt.runner,
    }


def _spec_values(spec: JobSpec) -> dict[str, Any]:
    values = spec.to_values()
    values |= {key: None if values[key] is None else str(values[key]) for key in HOOK_KEYS}  # addresses may be secrets
    for key in ("env", "limits"):
        values |= {f"{key}.{name}": value for name, value in values.pop(key).items()}
    return values
