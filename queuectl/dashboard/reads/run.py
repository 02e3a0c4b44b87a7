"""One run: where it stands, its attempts, what they wrote, and where its spec comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from queuectl.evidence import Declaration
from queuectl.inquiry import ask_run
from queuectl.job import Attempt, Run
from queuectl.outcome import Cancelled, Exited, Outcome, Released
from queuectl.output import read_end, read_output
from queuectl.selector import Selector
from queuectl.spool import Spool
from queuectl.store.archive import Archive
from queuectl.visible import visible
from queuectl.why import Answer

END: Final = 64 << 10
"""So many bytes of an output's end are shown."""

MOST_LINES: Final = 200
"""So many lines are shown of those that a search finds."""

_LONGEST_LINE: Final = 2_000
_BARS: Final = 12


@dataclass(frozen=True, slots=True)
class Execution:
    """An attempt as something that has written: its number, the name of its files, and how it ended, if it has."""

    number: int
    name: str
    ended: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a run's life, in seconds since it came into the queue: an attempt, or the wait for one."""

    what: str
    kind: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRun:
    """Everything on the page but the output. ``applied`` is the apply that last changed the job before the run came."""

    now: datetime
    run: Run
    attempts: tuple[Attempt, ...]
    applied: Declaration | None
    before: Run | None
    answer: Answer

    @property
    def executions(self) -> list[Execution]:
        """What has written something, or may have, the latest first."""
        ended = [Execution(each.number, self.run.execution_of(each), str(each.outcome)) for each in self.attempts]
        present = [] if self.run.lease is None else [Execution(self.run.attempts, self.run.execution, None)]
        return [*present, *reversed(ended)]

    @property
    def waited(self) -> float | None:
        """How many seconds passed from when it was due to its first attempt, or until now; None if it never will."""
        first = self.attempts[0].started_at if self.attempts else self.run.started_at
        if first is None and self.run.state.is_final:
            return None
        return max(((first or self.now) - self.run.scheduled_at).total_seconds(), 0.0)


def one_run(store: Archive, now: datetime, run_id: str) -> OneRun:
    """Return what the page of a run shows; raises RunNotFound."""
    run = store.run(run_id)
    before = store.search(Selector(jobs=(run.job,)), below=run.number, limit=1, seconds=0.05).runs if run.job else []
    return OneRun(
        now=now,
        run=run,
        attempts=tuple(store.attempts(run)),
        applied=_applied(store, run),
        before=before[0] if before else None,
        answer=ask_run(store, run_id, now=now),
    )


def bars(found: OneRun) -> list[Bar]:
    """Return the life of a run as the bars of a time line, those of its latest attempts."""
    begin = found.attempts[-_BARS:][0].started_at if len(found.attempts) > _BARS else found.run.created_at
    drawn: list[Bar] = []
    last = begin

    def add(what: str, kind: str, until: datetime) -> None:
        nonlocal last
        if until > last:
            drawn.append(Bar(what, kind, (last - begin).total_seconds(), (until - begin).total_seconds()))
        last = max(until, last)

    for attempt in found.attempts[-_BARS:]:
        add("waited", "waited", attempt.started_at)
        add(f"attempt {attempt.number}: {attempt.outcome}", _kind(attempt.outcome, found.run), attempt.finished_at)
    if found.run.lease is not None and found.run.started_at is not None:
        add("waited", "waited", found.run.started_at)
        add(f"attempt {found.run.attempts}: under way", "under way", found.now)
    elif found.run.state.is_waiting:
        add("waits", "waited", found.now)
    return drawn


def _kind(outcome: Outcome, run: Run) -> str:
    if isinstance(outcome, Exited) and outcome.error is None and outcome.code in run.spec.success_exit_codes:
        return "completed"
    return "cancelled" if isinstance(outcome, Cancelled | Released) else "failed"


def _applied(store: Archive, run: Run) -> Declaration | None:
    """Return what the latest apply before the run came did to its job, if that is on record."""
    if run.job is None:
        return None
    stored, _ = store.job_on_record(run.job)
    return next((each for each in reversed(store.declarations(stored.id)) if each.at <= run.created_at), None)


@dataclass(frozen=True, slots=True)
class Output:
    """The end of what an execution wrote to a stream, as it can be shown, and how many bytes stand before it."""

    before: int
    text: str


def end_of_output(spool: Spool, execution: str, stream: str) -> Output:
    """Return the end of a stream; a first line that is not whole is left out."""
    before, data = read_end(spool.output(execution, stream), END)
    if before and b"\n" in data:
        cut = data.index(b"\n") + 1
        before, data = before + cut, data[cut:]
    return Output(before, visible(data.decode(errors="replace"), keep="\n\t"))


def matching_lines(spool: Spool, execution: str, stream: str, text: str) -> Iterator[str]:
    """Yield the lines of a stream in which ``text`` stands, whatever its case, each with its number."""
    wanted = text.lower()
    for number, line in enumerate(_lines(spool.output(execution, stream)), start=1):
        if wanted in line.lower():
            yield f"{number:>6}  {visible(line, keep=chr(9))}"


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of an output one after the other; no more of it is in memory than one piece and one line."""
    left = b""
    for piece in read_output(path):
        *whole, left = (left + piece).split(b"\n")
        for line in whole:
            yield line[:_LONGEST_LINE].decode(errors="replace")
        while len(left) > _LONGEST_LINE:
            yield left[:_LONGEST_LINE].decode(errors="replace")
            left = left[_LONGEST_LINE:]
    if left:
        yield left.decode(errors="replace")
