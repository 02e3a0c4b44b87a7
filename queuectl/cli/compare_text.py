"""A comparison with a crontab in words for the terminal, and as a record for `--json`."""

from datetime import datetime
from typing import Any

from queuectl.cli.output import say, stamp
from queuectl.crontab_compare import Comparison, Discrepancy, Kind
from queuectl.durations import format_duration
from queuectl.rules import shown
from queuectl.wording import counted


def print_comparison(found: Comparison, *, begin: datetime, until: datetime) -> None:
    """Print how many entries are the same, and a line for each exception."""
    entries = counted(found.entries, "entry", "entries")
    jobs = counted(found.jobs, "job")
    times = counted(found.times, "time")
    span = f"{stamp(begin)} to {stamp(until)}"
    say(f"{span}: {found.same:,} of {entries} with a job of the same times, {times} in all; {jobs}")
    for each in found.discrepancies:
        say(_sentence(each))


def comparison_record(found: Comparison, *, begin: datetime, until: datetime) -> dict[str, Any]:
    """Return a comparison for `--json`."""
    return {
        "from": begin,
        "until": until,
        "entries": found.entries,
        "jobs": found.jobs,
        "same": found.same,
        "times": found.times,
        "exceptions": [
            {
                "kind": each.kind,
                "line": each.line,
                "job": each.job,
                "count": each.count,
                "first": each.first,
                "delay": each.delay.total_seconds(),
                "sentence": _sentence(each),
            }
            for each in found.discrepancies
        ],
    }


def _sentence(each: Discrepancy) -> str:
    times = counted(each.count, "time")
    first = ", ".join(map(stamp, each.first)) + (", …" if each.count > len(each.first) else "")
    match each.kind:
        case Kind.WITHOUT_JOB:
            return f"line {each.line} has no job: {shown(each.command)}"
        case Kind.WITHOUT_ENTRY:
            return f"job {each.job} has no entry: {shown(each.command)}"
        case Kind.DISABLED:
            return f"job {each.job} is disabled; line {each.line} was not"
        case Kind.LEFT_OUT:
            return f"job {each.job} is not due when line {each.line} was, {times}: {first}"
        case Kind.ADDED:
            return f"job {each.job} is due when line {each.line} was not, {times}: {first}"
        case Kind.DELAYED:
            late = format_duration(each.delay.total_seconds())
            return f"job {each.job} begins {late} after the times of line {each.line}, by its `spread`, {times}"
