"""Values as plain records, for rows of the database and for the files beside it.

Instants are microseconds since 1970 in UTC.
"""

import marshal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from queuectl.frozen import revived
from queuectl.job import Attempt, Run, State, Stop
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut
from queuectl.spec import JobSpec

_NOT_BEGUN = "not begun"
_INSTANTS = ("scheduled_at", "run_at", "created_at", "updated_at", "started_at", "finished_at", "slot")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return an aware instant as it is stored."""
    return (instant - _EPOCH) // _MICROSECOND


def to_micros_or_none(instant: datetime | None) -> int | None:
    """Return an instant that may be missing as it is stored."""
    return None if instant is None else to_micros(instant)


def to_instant(micros: int) -> datetime:
    """Return a stored instant, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def to_instant_or_none(micros: int | None) -> datetime | None:
    """Return a stored instant that may be missing."""
    return None if micros is None else to_instant(micros)


def pack_run(run: Run) -> bytes:
    """Return a run for another process of the same Python: in a sixth of the time that pickling it takes."""
    values = {**run.__dict__, "state": run.state.value, "stop": run.stop and run.stop.value, "spec": run.spec.to_dict()}
    for key in _INSTANTS:
        values[key] = to_micros_or_none(values[key])
    return marshal.dumps(values)


def unpack_run(packed: bytes) -> Run:
    """Return the run that ``pack_run`` packed."""
    values = marshal.loads(packed)  # noqa: S302 - from the runner to its own workers
    values["state"], values["stop"] = State(values["state"]), values["stop"] and Stop(values["stop"])
    values["spec"] = JobSpec.from_dict(values["spec"])
    for key in _INSTANTS:
        values[key] = to_instant_or_none(values[key])
    return revived(Run, values)


def attempt_to_record(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as plain values; ``attempt_of`` reads them."""
    record: dict[str, Any] = {
        "lease": attempt.lease,
        "number": attempt.number,
        "runner": attempt.runner,
        "started_at": to_micros(attempt.started_at),
        "finished_at": to_micros(attempt.finished_at),
        "exit_code": None,
        "signal": None,
        "timeout": None,
        "detail": None,
        "stdout_bytes": attempt.stdout_bytes,
        "stderr_bytes": attempt.stderr_bytes,
        "cpu_seconds": attempt.cpu_seconds,
        "max_rss_bytes": attempt.max_rss_bytes,
    }
    match attempt.outcome:
        case Exited(code, error):
            return record | {"outcome": "exited", "exit_code": code, "detail": error}
        case Signalled(signal):
            return record | {"outcome": "signalled", "signal": signal}
        case TimedOut(timeout):
            return record | {"outcome": "timed out", "timeout": timeout}
        case Cancelled():
            return record | {"outcome": "cancelled"}
        case Lost(cause):
            return record | {"outcome": "lost", "detail": cause}
        case Released(began):
            return record | {"outcome": "released", "detail": None if began else _NOT_BEGUN}


def attempt_of(record: Mapping[str, Any]) -> Attempt:
    """Return the attempt that ``attempt_to_record`` wrote down."""
    return revived(
        Attempt,
        {
            "number": record["number"],
            "lease": record["lease"],
            "runner": record["runner"],
            "started_at": to_instant(record["started_at"]),
            "finished_at": to_instant(record["finished_at"]),
            "outcome": _outcome_of(record),
            "stdout_bytes": record["stdout_bytes"],
            "stderr_bytes": record["stderr_bytes"],
            "cpu_seconds": record["cpu_seconds"],
            "max_rss_bytes": record["max_rss_bytes"],
        },
    )


def _outcome_of(record: Mapping[str, Any]) -> Outcome:
    match record["outcome"]:
        case "exited":
            return Exited(record["exit_code"], record["detail"])
        case "signalled":
            return Signalled(record["signal"])
        case "timed out":
            return TimedOut(record["timeout"])
        case "cancelled":
            return Cancelled()
        case "lost":
            return Lost(record["detail"])
        case "released":
            return Released(began=record["detail"] != _NOT_BEGUN)
        case kind:
            raise ValueError(f"no outcome is called {kind}")
