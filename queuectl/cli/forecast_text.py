"""A forecast in words for the terminal, and as a record for `--json`."""

from collections.abc import Iterator
from typing import Any, Final

from queuectl.cli.output import print_table, say, stamp
from queuectl.durations import format_duration
from queuectl.forecast import Forecast, ForetoldRun, JobForecast
from queuectl.job import State
from queuectl.visible import visible
from queuectl.wording import counted

_MOST_NAMED: Final = 8


def print_forecast(forecast: Forecast, *, percent: int) -> None:
    """Print the time line as far as it goes, a line for each job, and what stands out."""
    many = counted(forecast.runs, "run")
    workers = counted(forecast.workers, "worker")
    say(f"{stamp(forecast.begin)} to {stamp(forecast.until)}, {workers}: {many}, busy {forecast.busy:.0%} of the time")
    if not forecast.jobs:
        return
    if forecast.timeline:
        say()
        columns = ("DUE", "JOB", "WAITED", "TOOK", "STATE", "REASON")
        print_table(columns, [_timeline_row(run) for run in forecast.timeline])
        if left := forecast.runs - len(forecast.timeline):
            say(f"… {left:,} more; `--json` has all of them")
    say()
    of_jobs = ("JOB", "RUNS", "WAIT P95", "WAIT MAX", "MAX_WAIT", "OVERLAPS", "SKIPPED", "TIME-OUTS", "DEAD", "TAKES")
    print_table(of_jobs, [_job_row(job, percent) for job in forecast.jobs])
    remarks = list(_remarks(forecast))
    if remarks:
        say()
    for remark in remarks:
        say(visible(remark))


def forecast_record(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast for `--json`."""
    worst = forecast.worst
    return {
        "from": forecast.begin,
        "until": forecast.until,
        "workers": forecast.workers,
        "busy": round(forecast.busy, 4),
        "runs": {state: forecast.count(state) for state in State},
        "worst_minute": worst
        and {"at": worst.at.replace(second=0, microsecond=0), "runs": worst.runs, "jobs": worst.jobs},
        "too_slow": [job.job for job in forecast.too_slow],
        "jobs": [_job_record(job) for job in forecast.jobs],
        "timeline": [_run_record(run) for run in forecast.timeline],
    }


def _timeline_row(run: ForetoldRun) -> tuple[str, ...]:
    waited, took = run.waited, run.took
    return (
        stamp(run.due),
        run.job,
        "-" if waited is None else _spoken(waited.total_seconds()),
        "-" if took is None else _spoken(took.total_seconds()),
        run.state,
        run.reason or "",
    )


def _job_row(job: JobForecast, percent: int) -> tuple[str, ...]:
    duration = job.duration
    source = f"p{percent} of {duration.attempts:,}" if duration.attempts else "assumed"
    return (
        job.job,
        f"{sum(job.states.values()):,}",
        _spoken(job.wait_p95),
        _spoken(job.wait_max),
        "-" if job.max_wait is None else f"{_spoken(job.max_wait)}{' (exceeded)' if job.waits_too_long else ''}",
        f"{job.overlaps:,}" + (f" ({job.overlap})" if job.overlaps else ""),
        f"{job.states.get(State.SKIPPED, 0):,}",
        f"{job.timed_out:,}",
        f"{job.states.get(State.DEAD, 0):,}",
        f"{_spoken(duration.seconds)} ({source})",
    )


def _remarks(forecast: Forecast) -> Iterator[str]:
    """Yield what stands out: the worst minute, what is not over at the end, changes of the clocks."""
    if worst := forecast.worst:
        named = [name if count == 1 else f"{name} x{count:,}" for name, count in worst.jobs.items()]
        more = f" and {len(named) - _MOST_NAMED:,} other jobs" if len(named) > _MOST_NAMED else ""
        wanted = counted(worst.runs, "run wants", "runs want") + " a worker"
        yield f"worst minute  {worst.at:%Y-%m-%dT%H:%MZ}: {wanted}: {', '.join(named[:_MOST_NAMED])}{more}"
    left = {state: forecast.count(state) for state in (State.PROCESSING, State.PENDING, State.FAILED)}
    if any(left.values()):
        yield f"at the end    {', '.join(f'{count:,} {state}' for state, count in left.items() if count)}"
    changes: dict[str, list[str]] = {}
    for job in forecast.jobs:
        for change in job.clock_changes:
            changes.setdefault(str(change), []).append(job.job)
    for sentence, jobs in changes.items():
        yield f"clocks        {sentence}: {', '.join(jobs)}"


def _job_record(job: JobForecast) -> dict[str, Any]:
    return {
        "job": job.job,
        "seconds": job.duration.seconds,
        "attempts_known": job.duration.attempts,
        "slots": job.slots,
        "runs": {state: job.states.get(state, 0) for state in State},
        "skips": job.skips,
        "overlap": job.overlap,
        "overlaps": job.overlaps,
        "replaced": job.replaced,
        "timed_out": job.timed_out,
        "wait_p95": job.wait_p95,
        "wait_max": job.wait_max,
        "max_wait": job.max_wait,
        "waits_too_long": job.waits_too_long,
        "clock_changes": [
            {
                "at": change.at,
                "zone": change.zone,
                "local_times": [f"{local:%Y-%m-%dT%H:%M}" for local in change.times],
                "fate": change.fate,
                "sentence": str(change),
            }
            for change in job.clock_changes
        ],
    }


def _run_record(run: ForetoldRun) -> dict[str, Any]:
    waited = run.waited
    return {
        "job": run.job,
        "slot": run.slot,
        "due": run.due,
        "waited": None if waited is None else waited.total_seconds(),
        "state": run.state,
        "reason": run.reason,
        "attempts": [{"started_at": began, "finished_at": ended} for began, ended in run.attempts],
    }


def _spoken(seconds: float) -> str:
    return format_duration(seconds) if seconds else "0"
