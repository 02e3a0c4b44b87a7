"""Whether somebody has to be woken: what `queuectl check` tells. Nothing here writes, or makes a queue.

The levels and their numbers are those of Nagios.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from queuectl import presence
from queuectl.durations import format_duration
from queuectl.job import State
from queuectl.pause import Pause
from queuectl.spool import Spool
from queuectl.store import Expectation, Late, Store
from queuectl.wording import counted

_LONGEST_PAUSE = timedelta(days=400)  # a pause that ended before is none that anybody waits for


class Level(IntEnum):
    """How bad it is; the number is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that was looked at."""

    level: Level
    subject: str
    fact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Beyond which numbers it is a warning or critical; None where nothing is asked. ``*_wait`` are seconds."""

    warn_dlq: int | None = None
    max_dlq: int | None = None
    warn_wait: float | None = None
    max_wait: float | None = None
    needs_runner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a queue stands: the alarms, the worst first, and the numbers behind them."""

    alarms: tuple[Alarm, ...]
    dlq: int
    wait: float
    runners: int
    pending: int
    processing: int

    @property
    def level(self) -> Level:
        """The worst of all."""
        return max((alarm.level for alarm in self.alarms), default=Level.OK)


def health(store: Store, thresholds: Thresholds, *, now: datetime) -> Health:
    """Return how a queue stands now."""
    with store.snapshot():
        counts, due, runners = store.counts(), store.next_due(), store.running_runners()
        expected, late = store.expectations(), store.late_jobs(now=now)
        pauses = store.pauses(since=now - _LONGEST_PAUSE) if expected else []
    spool = Spool(str(store.path))
    alive = sum(presence.is_alive(spool, runner.id) for runner in runners)
    wait = max((now - due).total_seconds(), 0.0) if due else 0.0
    alarms = [
        *_expected(expected, pauses, now),
        *_late(late, now),
        _dlq(counts[State.DEAD], thresholds),
        _wait(wait, thresholds),
        _runner(alive, thresholds),
    ]
    return Health(
        alarms=tuple(sorted(alarms, key=lambda alarm: -alarm.level)),
        dlq=counts[State.DEAD],
        wait=wait,
        runners=alive,
        pending=counts[State.PENDING] + counts[State.FAILED],
        processing=counts[State.PROCESSING],
    )


def _expected(expected: Iterable[Expectation], pauses: Sequence[Pause], now: datetime) -> Iterator[Alarm]:
    for each in expected:
        if not each.is_enabled:
            continue
        covering = [pause for pause in pauses if pause.covers(each.job, max(pause.begins_at, each.since))]
        if any(pause.covers(each.job, now) for pause in covering):
            yield Alarm(Level.OK, each.job, f"paused; {_last(each, now)}")
            continue
        # A job that was paused has the whole time again when that is over.
        ends = [end for pause in covering for end in (pause.until, pause.ended_at) if end is not None and end <= now]
        since = max([each.since, *ends, *([each.succeeded_at] if each.succeeded_at else [])])
        is_late = now - since > each.within
        fact = f"{_last(each, now)}, expected within {format_duration(each.within.total_seconds())}"
        yield Alarm(Level.CRITICAL if is_late else Level.OK, each.job, fact)


def _last(expectation: Expectation, now: datetime) -> str:
    if expectation.succeeded_at is None:
        return f"no success yet in {_length(now - expectation.since)}"
    return f"last success {_length(now - expectation.succeeded_at)} ago"


def _late(late: Iterable[Late], now: datetime) -> Iterator[Alarm]:
    for each in late:
        limit = format_duration(each.max_wait.total_seconds())
        yield Alarm(Level.CRITICAL, each.job, f"a run waits for {_length(now - each.due_at)}, at most {limit} allowed")


def _dlq(dead: int, thresholds: Thresholds) -> Alarm:
    level, limit = _level(dead, thresholds.warn_dlq, thresholds.max_dlq)
    runs = f"{counted(dead, 'run')} in the dead letter queue"
    return Alarm(level, "dlq", runs + (f", at most {limit:,.0f} allowed" if limit is not None else ""))


def _wait(wait: float, thresholds: Thresholds) -> Alarm:
    level, limit = _level(wait, thresholds.warn_wait, thresholds.max_wait)
    fact = f"the oldest due run waits for {format_duration(wait)}" if wait else "nothing that is due waits"
    return Alarm(level, "wait", fact + (f", at most {format_duration(limit)} allowed" if limit is not None else ""))


def _runner(alive: int, thresholds: Thresholds) -> Alarm:
    if alive:
        return Alarm(Level.OK, "runner", f"{counted(alive, 'runner is', 'runners are')} alive")
    return Alarm(Level.CRITICAL if thresholds.needs_runner else Level.OK, "runner", "no runner is alive")


def _level(value: float, warning: float | None, critical: float | None) -> tuple[Level, float | None]:
    """Return the level of a number, and the limit that it is beyond."""
    if critical is not None and value > critical:
        return Level.CRITICAL, critical
    if warning is not None and value > warning:
        return Level.WARNING, warning
    return Level.OK, None


def _length(time: timedelta) -> str:
    return format_duration(max(time.total_seconds(), 0.0))
