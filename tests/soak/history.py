"""Whether a history of a queue is one that may be: judged from what independent witnesses say.

Three know nothing of each other: what the queue and its runners say, what the jobs wrote down themselves, and what
`enqueue` acknowledged. Pure: what they said comes in, what is wrong comes out. Instants are seconds since 1970.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

FINAL: Final = frozenset({"completed", "dead", "cancelled", "skipped"})
UNCHARGED: Final = frozenset({"released", "lost"})
"""The outcomes that give the attempt's number back, unless the run may not be executed twice."""

MOST_INTERRUPTIONS: Final = 5
"""So many lost attempts leave a run dead."""

_CLOCKS_DIFFER: Final = 0.005  # an end is reckoned with another clock than a start
_LINE: Final = re.compile(
    r"\S+Z  (?P<state>\w+) +(?P<run>\S+)  .*?  attempt (?P<number>\d+)/\d+  \S+(?:  (?P<reason>.*))?"
)


@dataclass(frozen=True, slots=True)
class Event:
    """What a job wrote down: ``start``, ``end``, or ``overlap`` if an earlier execution was alive."""

    kind: str
    run: str
    lease: int
    attempt: int
    pid: int
    at: float
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What a runner printed of an attempt; ``seen`` is when it was read."""

    run: str
    number: int
    state: str
    reason: str = ""
    runner: str = ""
    seen: float = 0.0

    @property
    def outcome(self) -> str:
        """Return ``unbegun``, ``released`` or ``lost``, or ``charged`` for all others."""
        if self.reason.startswith("given back by a runner before it began"):
            return "unbegun"
        if self.state == "pending" or self.reason.startswith("ended by a runner"):
            return "released"
        return "lost" if self.reason.startswith(("lost:", "poison:")) else "charged"


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """An attempt as the queue has it; ``began`` is False if the queue says that the command was never started."""

    lease: int
    number: int
    outcome: str
    started_at: float
    finished_at: float
    exit_code: int | None = None
    began: bool = True
    runner: int = 0


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as the queue has it, with its attempts in the order of their leases."""

    id: str
    state: str
    attempts: int
    retries: int
    interruptions: int = 0
    finished_at: float | None = None
    retry_delay: float = 1.0
    backoff_base: float = 2.0
    backoff_max: float = 3600.0
    attempts_made: tuple[StoredAttempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that is known when all is over.

    ``requested`` are the ids that were given to `enqueue`; those that it printed are ``acknowledged``.
    """

    requested: frozenset[str]
    acknowledged: frozenset[str]
    runs: Mapping[str, StoredRun]
    witness: Sequence[Event]
    lines: Sequence[Line] = ()
    left_processes: Sequence[str] = ()
    held_locks: Sequence[str] = ()
    troubles: Sequence[str] = ()
    integrity: str = "ok"

    def by_run(self) -> dict[str, list[Event]]:
        """Return the events of each run in the order of the file, which the kernel made."""
        found = defaultdict(list)
        for event in self.witness:
            found[event.run].append(event)
        return found


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that may not be: the name of the check, and a sentence."""

    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"


def violations(history: History) -> list[Violation]:
    """Return all that is wrong with a history."""
    return [Violation(name, message) for name, check in CHECKS.items() for message in check(history)]


def executed_again(history: History) -> int:
    """Return how many runs were executed once more although an execution of theirs had succeeded.

    That is not wrong: what dies between a job's last effect and the record of it has to be done again.
    """
    return sum(_started_after_success(events) for events in history.by_run().values())


def parse_witness(text: str) -> list[Event]:
    """Return what the jobs wrote, in the order in which they did; raises ValueError for half a line."""
    events = []
    for line in text.splitlines():
        kind, run, execution, attempt, pid, nanoseconds, *code = line.split()
        lease = int(execution.partition(".")[2])
        at = int(nanoseconds) / 1e9
        events.append(Event(kind, run, lease, int(attempt), int(pid), at, int(code[0]) if code else None))
    return events


def parse_line(text: str, *, runner: str = "", seen: float = 0.0) -> Line | None:
    """Return what a line of `queuectl run` says; None if it is not about an attempt."""
    match = _LINE.fullmatch(text)
    return match and Line(match["run"], int(match["number"]), match["state"], match["reason"] or "", runner, seen)


def _nothing_lost(history: History) -> Iterator[str]:
    for run_id in sorted(history.acknowledged):
        run = history.runs.get(run_id)
        if run is None:
            yield f"run {run_id} was acknowledged and is not in the queue"
        elif run.state not in FINAL:
            yield f"run {run_id} was acknowledged and is {run.state} in the end"


def _nothing_unexpected(history: History) -> Iterator[str]:
    # A run may be in the queue unacknowledged: its `enqueue` was killed between the commit and the print.
    for run_id in sorted(history.runs.keys() - history.requested):
        yield f"run {run_id} is in the queue and nobody asked for it"
    for run_id in sorted(history.by_run().keys() - history.runs.keys()):
        yield f"run {run_id} was executed and is not in the queue"


def _no_overlap(history: History) -> Iterator[str]:
    for event in history.witness:
        if event.kind == "overlap":
            yield f"run {event.run}: a process of an earlier execution was alive when lease {event.lease} started"
    for run_id, events in history.by_run().items():
        ended = {event.lease: place for place, event in enumerate(events) if event.kind == "end"}
        started: list[int] = []
        for place, event in enumerate(events):
            if event.kind == "start":
                # An execution without an end was dead by then: the later one could not have locked the run otherwise.
                for lease in started:
                    if ended.get(lease, -1) > place:
                        yield f"run {run_id}: lease {event.lease} started before lease {lease} had ended"
                started.append(event.lease)


def _no_more_attempts_than_allowed(history: History) -> Iterator[str]:
    for run in history.runs.values():
        charged = sum(attempt.outcome not in UNCHARGED for attempt in run.attempts_made)
        if max(charged, run.attempts) > run.retries + 1:
            yield f"run {run.id}: {max(charged, run.attempts)} attempts with {run.retries} retries"


def _at_most_once_without_retries(history: History) -> Iterator[str]:
    starts = Counter(event.run for event in history.witness if event.kind == "start")
    for run in history.runs.values():
        if run.retries == 0 and starts[run.id] > 1:
            yield f"run {run.id} has no retries and was executed {starts[run.id]} times"


def _dead_exactly_when_exhausted(history: History) -> Iterator[str]:
    for run in history.runs.values():
        spent = _spent(run)
        if run.state == "dead" and spent is None:
            yield f"run {run.id} is dead after {run.attempts} of {run.retries + 1} attempts"
        if run.state not in ("dead", "cancelled") and spent is not None:
            yield f"run {run.id} is {run.state} although {spent}"
        lost = sum(attempt.outcome == "lost" for attempt in run.attempts_made)
        if run.interruptions not in (lost, lost - (run.retries == 0)):
            yield f"run {run.id}: {run.interruptions} interruptions are counted and {lost} attempts were lost"


def _spent(run: StoredRun) -> str | None:
    """Return why the run must not be tried again; None if it may."""
    if not run.attempts_made or _succeeded(run.attempts_made[-1]):
        return None
    last = run.attempts_made[-1]
    if last.outcome in UNCHARGED and last.began and run.retries == 0:
        return f"it was {last.outcome} and has no retries"
    if sum(attempt.outcome == "lost" for attempt in run.attempts_made) >= MOST_INTERRUPTIONS:
        return f"{MOST_INTERRUPTIONS} attempts were lost"
    charged = sum(attempt.outcome not in UNCHARGED for attempt in run.attempts_made)
    return f"all of its {charged} attempts failed" if charged > run.retries else None


def _succeeded(attempt: StoredAttempt) -> bool:
    return attempt.outcome == "exited" and attempt.exit_code == 0


def _completed_exactly_when_done(history: History) -> Iterator[str]:
    done = {(event.run, event.lease) for event in history.witness if event.kind == "end" and event.code == 0}
    for run in history.runs.values():
        succeeded = [attempt for attempt in run.attempts_made if _succeeded(attempt)]
        for attempt in succeeded:
            if (run.id, attempt.lease) not in done:
                yield f"run {run.id}: lease {attempt.lease} is said to have succeeded and never came to its end"
        if (run.state == "completed") != bool(succeeded):
            yield f"run {run.id} is {run.state} with {len(succeeded)} successful attempts"


def _one_settle_an_attempt(history: History) -> Iterator[str]:
    for run in history.runs.values():
        leases = Counter(attempt.lease for attempt in run.attempts_made)
        numbers = Counter(attempt.number for attempt in run.attempts_made if attempt.outcome not in UNCHARGED)
        for lease, count in leases.items():
            if count > 1:
                yield f"run {run.id}: lease {lease} was settled {count} times"
        for number, count in numbers.items():
            if count > 1:
                yield f"run {run.id}: attempt {number} was charged {count} times"
    printed = Counter((line.run, line.number) for line in history.lines if line.outcome == "charged")
    for (run_id, number), count in printed.items():
        if count > 1:
            yield f"run {run_id}: {count} lines tell of the end of attempt {number}"


def _every_line_is_stored(history: History) -> Iterator[str]:
    stored = Counter(
        (run.id, attempt.number, attempt.outcome if attempt.outcome in UNCHARGED else "charged")
        for run in history.runs.values()
        for attempt in run.attempts_made
    )
    # What never began was no attempt: the queue need not keep it.
    printed = Counter((line.run, line.number, line.outcome) for line in history.lines if line.outcome != "unbegun")
    for (run, number, outcome), count in (printed - stored).items():
        yield f"run {run}: {count} more lines than stored attempts tell of a {outcome} attempt {number}"


def _every_start_is_accounted_for(history: History) -> Iterator[str]:
    for run_id, events in history.by_run().items():
        run = history.runs.get(run_id)
        attempts = {attempt.lease: attempt for attempt in run.attempts_made} if run else {}
        for lease, count in Counter(event.lease for event in events if event.kind == "start").items():
            if lease not in attempts:
                yield f"run {run_id}: lease {lease} started and no attempt is stored"
            elif not attempts[lease].began:
                yield f"run {run_id}: lease {lease} started and is said not to have begun"
            if count > 1:
                yield f"run {run_id}: lease {lease} started {count} times"


def _nothing_starts_after_the_end(history: History) -> Iterator[str]:
    for event in history.witness:
        run = history.runs.get(event.run)
        if event.kind == "start" and run and run.state in FINAL and event.at > (run.finished_at or 0):
            yield f"run {run.id}: lease {event.lease} started {event.at - (run.finished_at or 0):.3f} s after its end"


def _backoff_is_kept(history: History) -> Iterator[str]:
    starts = {(event.run, event.lease): event.at for event in history.witness if event.kind == "start"}
    for run in history.runs.values():
        interruptions = 0
        for before, after in pairwise(run.attempts_made):
            interruptions += before.outcome == "lost"
            start = starts.get((run.id, after.lease))
            if start is None or before.outcome == "released":
                continue
            failures = interruptions if before.outcome == "lost" else before.number
            wait = min(run.backoff_max, run.retry_delay * run.backoff_base**failures)
            if start < before.finished_at + wait - _CLOCKS_DIFFER:
                early = before.finished_at + wait - start
                yield f"run {run.id}: attempt {after.number} started {early:.3f} s before its time"


def _started_after_success(events: Sequence[Event]) -> bool:
    succeeded = False
    for event in events:
        if event.kind == "start" and succeeded:
            return True
        succeeded = succeeded or (event.kind == "end" and event.code == 0)
    return False


CHECKS: Final[Mapping[str, Callable[[History], Iterator[str]]]] = {
    "nothing lost": _nothing_lost,
    "nothing unexpected": _nothing_unexpected,
    "no overlap": _no_overlap,
    "no more attempts than allowed": _no_more_attempts_than_allowed,
    "at most once without retries": _at_most_once_without_retries,
    "dead exactly when exhausted": _dead_exactly_when_exhausted,
    "completed exactly when done": _completed_exactly_when_done,
    "one settle an attempt": _one_settle_an_attempt,
    "every line is stored": _every_line_is_stored,
    "every start is accounted for": _every_start_is_accounted_for,
    "nothing starts after the end": _nothing_starts_after_the_end,
    "backoff is kept": _backoff_is_kept,
    "no process left": lambda history: iter(history.left_processes),
    "no lock left": lambda history: iter(history.held_locks),
    "nobody ended unasked": lambda history: iter(history.troubles),
    "integrity": lambda history: iter(() if history.integrity == "ok" else (history.integrity,)),
}
"""All checks by their name."""
