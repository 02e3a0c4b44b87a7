"""The metrics: what happened, added up in the transaction in which it happens, and read by job and by time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from queuectl.job import State
from queuectl.measures import (
    AD_HOC,
    COLUMNS,
    FINE,
    WIDTHS,
    Event,
    Measure,
    Sums,
    add_attempt,
    measure_of,
    no_sums,
    quantile,
)
from queuectl.records import AttemptValues, to_instant, to_micros
from queuectl.store.database import Database

_SECOND: Final = 1_000_000

Happening = tuple[int, int, str, State]
"""When its row begins, its job, the event, and the state that the run went into."""


class Happenings:
    """What happens in one transaction, added up before it is stored: one row for each distinct thing."""

    def __init__(self) -> None:
        self._sums: dict[Happening, Sums] = {}
        self._latest: dict[Happening, int] = {}

    def attempt(self, values: AttemptValues, state: State, *, job: int, due: int, at: int) -> None:
        """Add an attempt, whose run was due at ``due`` and is in ``state`` from ``at`` on, both in microseconds."""
        _, _, _, began, ended, outcome, *_ = values
        add_attempt(self._of(outcome, state, job, at), took=ended - began, waited=began - due)

    def other(self, event: Event, state: State, *, job: int, at: int, count: int = 1) -> None:
        """Add what happened ``count`` times without an attempt."""
        self._of(event, state, job, at)[0] += count

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield what to add to the rows of its time and of all time."""
        for key, sums in self._sums.items():
            start, job, event, state = key
            row: dict[str, Any] = {"start": start, "job": job, "event": event, "state": state}
            row["latest"] = self._latest[key]
            row.update(zip(COLUMNS, sums, strict=True))
            yield row

    def _of(self, event: str, state: State, job: int, at: int) -> Sums:
        key = (at - at % (FINE * _SECOND), job, event, state)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = no_sums()
        self._latest[key] = max(self._latest.get(key, at), at)
        return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What happened to the runs of a job, or of all jobs: how often, how long, and when it last did.

    ``job`` is None for ad-hoc runs and in a series; one that was removed keeps its numbers and is not ``is_declared``.
    ``start`` is when the span begins, None outside a series.
    """

    start: datetime | None = None
    job_id: int = AD_HOC
    job: str | None = None
    is_declared: bool = True
    event: Event
    state: State
    latest: datetime
    measure: Measure


class Metrics(Database):
    """What stands in the store for numbers about the past."""

    def metric_totals(self) -> list[Counted]:
        """Return what happened in all time, by job, event and state; these numbers never fall.

        A success that is older than the metrics has no count, but says when it was.
        """
        return [_by_job(row) for row in self._all("metric_totals")]

    def usual_seconds(self) -> dict[str, float]:
        """Return how long half of the successful attempts took at most, of all time, by the jobs that run now."""
        medians = {row[0]: quantile(measure_of(row[1:]).took_cells, 0.5) for row in self._all("completed_of_running")}
        return {job: median for job, median in medians.items() if median is not None}

    def metrics_since(self, since: datetime) -> list[Counted]:
        """Return what happened since about then, by job, event and state."""
        return [_by_job(row) for row in self._all("metrics_since", {"since": to_micros(since)})]

    def metric_series(self, *, since: datetime, step: timedelta, job: str | None = None) -> list[Counted]:
        """Return what happened in each ``step`` from that of ``since`` on, by event and state; of all jobs, or of one.

        ``step`` is a multiple of five minutes. Spans in which nothing happened are not there. What is older than 26 h
        is known by the hour, what is older than 8 days by the day of UTC, and what is older than 400 days is in the
        totals only.
        """
        size = round(step.total_seconds()) * _SECOND
        begin = to_micros(since)
        manifest, _, name = (job or "").partition("/")
        parameters = {"since": begin - begin % size, "step": size, "job": job, "manifest": manifest, "name": name}
        return [
            Counted(
                start=to_instant(row[0]),
                event=Event(row[1]),
                state=State(row[2]),
                latest=to_instant(row[3]),
                measure=measure_of(row[4:]),
            )
            for row in self._all("metric_series", parameters)
        ]

    def fold_metrics(self, *, now: datetime) -> bool:
        """Fold the oldest span of each width that is old enough into a longer one; return whether any was.

        One call reads and writes no more than an hour and a day of rows, however far it is behind.
        """
        found = False
        wider = [width for width, _ in WIDTHS[1:]]
        for (width, kept), into in zip(WIDTHS, [*wider, None], strict=True):
            found |= self._fold(width, into, before=to_micros(now - kept))
        return found

    def _fold(self, width: int, into: int | None, *, before: int) -> bool:
        span = self._oldest(width, into)
        if span is None or span["end"] > before:
            return False
        with self.transaction():
            span = self._oldest(width, into)  # asked again: another runner may have been quicker
            if span is None or span["end"] > before:
                return False
            if into is not None:
                self._all("fold_metrics", {**span, "width": width, "into": into})
            self._all("drop_metrics", {**span, "width": width})
        return True

    def _oldest(self, width: int, into: int | None) -> dict[str, int] | None:
        """Return the longer span, or without one the span, in which the oldest row of a width lies."""
        size = (into or width) * _SECOND
        begins = [row[0] - row[0] % size for row in self._all("oldest_span", {"width": width})]
        return {"begin": begins[0], "end": begins[0] + size} if begins else None

    def _record(self, happenings: Happenings) -> None:
        self._many("add_to_metrics", list(happenings.rows()))


def _by_job(row: tuple[Any, ...]) -> Counted:
    return Counted(
        job_id=row[0],
        job=row[1],
        is_declared=bool(row[2]),
        event=Event(row[3]),
        state=State(row[4]),
        latest=to_instant(row[5]),
        measure=measure_of(row[6:]),
    )
