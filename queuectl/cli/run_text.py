"""One run in words: its spec, where it stands and why, and what each attempt ran with, where, and how it ended."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from queuectl import clock
from queuectl.cli.output import ago, print_json, print_table, say, stamp
from queuectl.cli.plan_text import shown_value
from queuectl.durations import format_duration
from queuectl.hook import HOOK_KEYS
from queuectl.job import Run
from queuectl.spec import DURATION_KEYS, JobSpec
from queuectl.store import Called, Origin, PastAttempt
from queuectl.store.archive import Archive
from queuectl.views import hook_record, origin_record, past_attempt_record, run_record
from queuectl.wording import counted

_MIB = 1 << 20


def print_run(store: Archive, run: Run, *, json: bool) -> None:
    """Print everything there is to know about a run."""
    attempts, origin, hooks = store.past_attempts(run), store.origin(run), store.hooks(run)
    if json:
        print_json(
            run_record(run)
            | origin_record(origin)
            | {
                "spec": run.spec.to_dict(),
                "attempts_made": [past_attempt_record(each) for each in attempts],
                "hooks": [hook_record(each) for each in hooks],
            }
        )
        return
    print_table(("RUN", run.id), [(key, value) for key, value in _facts(run, origin, clock.now()) if value])
    if attempts:
        _print_attempts(attempts, run.spec)
    if hooks:
        say()
        print_table(("HOOK", "CALLED", "TRIES", "FATE", "DETAIL"), [_hook_row(each) for each in hooks])


def _print_attempts(attempts: Sequence[PastAttempt], spec: JobSpec) -> None:
    say()
    print_table(
        ("ATTEMPT", "STARTED", "TOOK", "CPU", "MEMORY", "STDOUT", "STDERR", "RUNNER", "APPLY", "OUTCOME"),
        [_attempt_row(each) for each in attempts],
    )
    if others := [row for each in attempts for row in _other_values(each, spec)]:
        say()
        print_table(("ATTEMPT", "KEY", "RAN WITH", "NOW"), others)


def memory_text(size: int | None) -> str:
    """Return an amount of memory in words, rounded."""
    return "-" if size is None else f"{max(round(size / _MIB), 1):,} MiB"


def seconds_text(seconds: float | None) -> str:
    """Return a duration in words."""
    return "-" if seconds is None else format_duration(seconds)


def commit_text(origin: Origin) -> str:
    """Return the commit of an apply in words, a dash if it came from no repository."""
    return (origin.git_commit or "-")[:10] + (" (dirty)" if origin.git_dirty else "")


def _facts(run: Run, origin: Origin | None, now: datetime) -> list[tuple[str, str]]:
    def at(instant: datetime | None) -> str:
        return f"{stamp(instant)} ({ago(instant, now)})" if instant else ""

    due = "after the run before" if run.is_held else at(run.run_at)
    facts = [
        ("state", run.state + (f" ({run.reason})" if run.reason else "")),
        ("job", run.job or ""),
        ("command", run.spec.line),
        ("attempts", f"{run.attempts} of {run.max_attempts}"),
        ("interrupted", counted(run.interruptions, "time") if run.interruptions else ""),
        ("scheduled", at(run.scheduled_at)),
        ("due", due if run.state.is_waiting else ""),
        ("created", at(run.created_at)),
        ("started", at(run.started_at)),
        ("finished", at(run.finished_at)),
        ("runner", str(run.runner or "")),
        ("apply", f"{origin.apply}, commit {commit_text(origin)}" if origin else ""),
    ]
    shown = {"command", "description"}
    spec = {key: value for key, value in run.spec.to_dict().items() if key not in shown}
    spec |= {key: str(getattr(run.spec, key)) for key in HOOK_KEYS if key in spec}
    return facts + [(key, _value(key, value)) for key, value in spec.items()]


def _value(key: str, value: object) -> str:
    if key in DURATION_KEYS and isinstance(value, float):
        return format_duration(value)
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return str(value)


def _hook_row(called: Called) -> tuple[str, ...]:
    fate = called.fate or ("under way" if called.tries and called.detail is None else "waiting")
    return called.trigger, stamp(called.called_at), str(called.tries), fate, called.detail or "-"


def _attempt_row(past: PastAttempt) -> tuple[str, ...]:
    attempt = past.attempt
    return (
        str(attempt.number),
        stamp(attempt.started_at),
        format_duration(attempt.duration.total_seconds()),
        seconds_text(attempt.cpu_seconds),
        memory_text(attempt.max_rss_bytes),
        f"{attempt.stdout_bytes:,}",
        f"{attempt.stderr_bytes:,}",
        f"{attempt.runner} ({past.host}, pid {past.pid})",
        str(past.origin.apply) if past.origin else "-",
        str(attempt.outcome),
    )


def _other_values(past: PastAttempt, spec: JobSpec) -> Iterator[tuple[str, ...]]:
    """Yield what an attempt ran with that is not what the run has now."""
    then, now = past.spec.to_values(), spec.to_values()
    for key, value in then.items():
        if value != now[key]:
            yield str(past.attempt.number), key, shown_value(key, value), shown_value(key, now[key])
