"""What the metrics say, summed up by job: how attempts ended, how long they took, how long they had waited."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from queuectl.job import State
from queuectl.measures import Event, Measure, quantile, total
from queuectl.store import Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What happened to the runs of one job; ``job`` is None for all ad-hoc runs.

    ``attempts`` counts by the state that followed, ``ended`` the runs that ended without an attempt.
    """

    job: str | None
    attempts: dict[State, int]
    ended: dict[State, int]
    measure: Measure


def summaries(counted: Iterable[Counted]) -> list[Summary]:
    """Return a summary for each job to which something happened, by name, ad-hoc runs last."""
    by_job: dict[str | None, list[Counted]] = {}
    for each in counted:
        if each.measure.count:
            by_job.setdefault(each.job, []).append(each)
    return [_summary(job, by_job[job]) for job in sorted(by_job, key=lambda job: (job is None, job or ""))]


def _summary(job: str | None, counted: list[Counted]) -> Summary:
    attempts = [each for each in counted if each.event.is_attempt]
    return Summary(
        job=job,
        attempts=_by_state(attempts),
        ended=_by_state(each for each in counted if each.event is Event.ENDED),
        measure=total(each.measure for each in attempts),
    )


def _by_state(counted: Iterable[Counted]) -> dict[State, int]:
    found: dict[State, int] = {}
    for each in counted:
        found[each.state] = found.get(each.state, 0) + each.measure.count
    return found


def summary_record(summary: Summary) -> dict[str, Any]:
    """Return a summary for `--json`; times are seconds, percentiles are estimated from the histograms."""
    measure = summary.measure
    return {
        "job": summary.job,
        "attempts": summary.attempts,
        "ended_without_attempt": summary.ended,
        "seconds": measure.took,
        "seconds_p50": quantile(measure.took_cells, 0.5),
        "seconds_p95": quantile(measure.took_cells, 0.95),
        "waited_seconds": measure.waited,
        "waited_p50": quantile(measure.waited_cells, 0.5),
        "waited_p95": quantile(measure.waited_cells, 0.95),
    }
