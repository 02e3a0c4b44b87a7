"""Values as plain records, for rows of the database and for the files beside it.

Instants are microseconds since 1970 in UTC.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from queuectl.frozen import revived
from queuectl.job import Attempt
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut

OutcomeValues = tuple[str, int | None, int | None, float | None, str | None]

AttemptValues = tuple[Any, ...]
"""The values of an attempt's record, in the order of ``ATTEMPT_KEYS``."""

_NOT_BEGUN = "not begun"
ATTEMPT_KEYS: Final = (
    "lease",
    "number",
    "runner",
    "started_at",
    "finished_at",
    "outcome",
    "exit_code",
    "signal",
    "timeout",
    "detail",
    "stdout_bytes",
    "stderr_bytes",
    "cpu_seconds",
    "max_rss_bytes",
)
"""The keys of an attempt's record, in the order of its columns."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return an aware instant as it is stored."""
    return (instant - _EPOCH) // _MICROSECOND


def to_micros_or_none(instant: datetime | None) -> int | None:
    """Return an instant that may be missing as it is stored."""
    return None if instant is None else to_micros(instant)


@lru_cache(maxsize=1024)  # runs that are claimed together have most of theirs in common
def to_instant(micros: int) -> datetime:
    """Return a stored instant, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def to_instant_or_none(micros: int | None) -> datetime | None:
    """Return a stored instant that may be missing."""
    return None if micros is None else to_instant(micros)


def attempt_to_record(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as plain values; ``attempt_of`` reads them."""
    return dict(zip(ATTEMPT_KEYS, attempt_to_values(attempt), strict=True))


def attempt_to_values(attempt: Attempt) -> AttemptValues:
    """Return the values of an attempt's record, without its keys; ``attempt_of_values`` reads them."""
    return (
        attempt.lease,
        attempt.number,
        attempt.runner,
        to_micros(attempt.started_at),
        to_micros(attempt.finished_at),
        *outcome_to_values(attempt.outcome),
        attempt.stdout_bytes,
        attempt.stderr_bytes,
        attempt.cpu_seconds,
        attempt.max_rss_bytes,
    )


def outcome_to_values(outcome: Outcome) -> OutcomeValues:
    """Return an outcome as plain values, under the keys from ``outcome`` to ``detail``."""
    match outcome:
        case Exited(code, error):
            return "exited", code, None, None, error
        case Signalled(signal):
            return "signalled", None, signal, None, None
        case TimedOut(timeout):
            return "timed out", None, None, timeout, None
        case Cancelled():
            return "cancelled", None, None, None, None
        case Lost(cause):
            return "lost", None, None, None, cause
        case Released(began, trouble):
            return (
                "released",
                None,
                None,
                None,
                None if began else f"{_NOT_BEGUN}: {trouble}" if trouble else _NOT_BEGUN,
            )


def attempt_of(record: Mapping[str, Any]) -> Attempt:
    """Return the attempt that ``attempt_to_record`` wrote down."""
    return attempt_of_values([record[key] for key in ATTEMPT_KEYS])


def attempt_of_values(values: Sequence[Any]) -> Attempt:
    """Return the attempt of a record without its keys; raises ValueError if it is none."""
    lease, number, runner, started_at, finished_at, *outcome, stdout_bytes, stderr_bytes, cpu, max_rss = values
    return revived(
        Attempt,
        {
            "number": number,
            "lease": lease,
            "runner": runner,
            "started_at": _EPOCH + timedelta(microseconds=started_at),  # no two attempts have these in common
            "finished_at": _EPOCH + timedelta(microseconds=finished_at),
            "outcome": _outcome_of(*outcome),
            "stdout_bytes": stdout_bytes,
            "stderr_bytes": stderr_bytes,
            "cpu_seconds": cpu,
            "max_rss_bytes": max_rss,
        },
    )


@lru_cache(maxsize=256)  # most attempts end like others
def _outcome_of(kind: str, code: int, signal: int, timeout: float, detail: str) -> Outcome:
    match kind:
        case "exited":
            return Exited(code, detail)
        case "signalled":
            return Signalled(signal)
        case "timed out":
            return TimedOut(timeout)
        case "cancelled":
            return Cancelled()
        case "lost":
            return Lost(detail)
        case "released":
            not_begun, _, trouble = (detail or "").partition(": ")
            return Released(began=not_begun != _NOT_BEGUN, trouble=trouble or None)
    raise ValueError(f"no outcome is called {kind}")
