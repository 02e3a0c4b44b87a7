"""How things have gone: what happened step by step, how long it took and had waited, how much was waiting."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from queuectl.job import State
from queuectl.measures import Event, quantile, total
from queuectl.store import Counted
from queuectl.store.archive import Archive

SPANS: Final = {
    "1 h": (timedelta(hours=1), timedelta(minutes=5)),
    "6 h": (timedelta(hours=6), timedelta(minutes=15)),
    "24 h": (timedelta(hours=24), timedelta(hours=1)),
    "7 d": (timedelta(days=7), timedelta(hours=6)),
}
"""How far a person looks back, and in which steps."""

_MOST_APPLIES: Final = 50
_OVER: Final = (State.COMPLETED, State.DEAD, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened from ``at`` on until the next step; times are in seconds, None if nothing happened.

    ``waiting`` is how many runs waited or ran at its end. ``is_open`` tells that it has not passed yet.
    """

    at: datetime
    completed: int
    failed: int
    dead: int
    cancelled: int
    skipped: int
    waiting: int
    waited: tuple[float | None, float | None]
    took: tuple[float | None, float | None]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Trend:
    """The steps of a time, oldest first, and the applies in it."""

    step: timedelta
    steps: tuple[Step, ...]
    applies: tuple[tuple[datetime, int], ...]

    @property
    def is_flat(self) -> bool:
        """Whether nothing happened."""
        return not any(
            each.completed or each.failed or each.dead or each.cancelled or each.skipped for each in self.steps
        )


def trend(store: Archive, now: datetime, span: str) -> Trend:
    """Return what happened in a span of SPANS."""
    length, step = SPANS[span]
    counted = store.metric_series(since=now - length, step=step)
    by_start: dict[datetime, list[Counted]] = defaultdict(list)
    for each in counted:
        assert each.start is not None
        by_start[each.start].append(each)
    counts = store.counts()
    waiting = counts[State.PENDING] + counts[State.FAILED] + counts[State.PROCESSING]
    steps: list[Step] = []
    at = _begin(now, step)
    while at > now - length - step:  # backwards: how much waits is known for now only
        found = by_start.get(at, [])
        steps.append(_step(at, found, waiting, is_open=at + step > now))
        waiting = max(waiting - _came(found) + _left(found), 0)
        at -= step
    applies = store.apply_times(limit=_MOST_APPLIES)
    return Trend(step, tuple(reversed(steps)), tuple(each for each in applies if each[0] >= steps[-1].at))


def _step(at: datetime, found: Iterable[Counted], waiting: int, *, is_open: bool) -> Step:
    found = list(found)
    attempts = [each for each in found if each.event.is_attempt]
    completed = total(each.measure for each in attempts if each.state is State.COMPLETED)
    return Step(
        at=at,
        completed=completed.count,
        failed=_count(attempts, State.FAILED),
        dead=_count(attempts, State.DEAD),
        cancelled=_count(found, State.CANCELLED),
        skipped=_count(found, State.SKIPPED),
        waiting=waiting,
        waited=_middle_and_most(total(each.measure for each in attempts).waited_cells),
        took=_middle_and_most(completed.took_cells),
        is_open=is_open,
    )


def _begin(now: datetime, step: timedelta) -> datetime:
    """Return when the step began that is now; steps are counted from 1970, in UTC."""
    seconds = step.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, now.tzinfo)


def _count(found: Iterable[Counted], state: State) -> int:
    return sum(each.measure.count for each in found if each.state is state)


def _came(found: Iterable[Counted]) -> int:
    """Return how many runs began to wait."""
    events = (Event.ENQUEUED, Event.REQUEUED)
    return sum(each.measure.count for each in found if each.event in events and not each.state.is_final)


def _left(found: Iterable[Counted]) -> int:
    """Return how many runs were over; what was skipped never waited."""
    return sum(each.measure.count for each in found if each.state in _OVER)


def _middle_and_most(cells: tuple[int, ...]) -> tuple[float | None, float | None]:
    return quantile(cells, 0.5), quantile(cells, 0.95)
