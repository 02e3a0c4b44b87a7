"""What people do to runs and jobs, whichever way they ask: decided on what is stored at that moment, and recorded.

Each takes values and returns what was done and what was not, and why. What concerns many runs is done in short
transactions, so that runners work on meanwhile; what they did meanwhile is found out and told, never overwritten.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from queuectl import lifecycle
from queuectl.frozen import changed
from queuectl.job import Run, State
from queuectl.purge import delete
from queuectl.records import to_micros
from queuectl.spool import Spool, wake_runners
from queuectl.store import Author, Choice, Store

_BATCH: Final = 200  # runs in one transaction: some ten milliseconds
_LONGEST_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """What became of one run: ``after`` is how it stands now, None if it was left alone; ``what`` says it in words."""

    id: str
    what: str
    after: Run | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was done to which runs, and which were left alone."""

    done: list[Effect] = field(default_factory=list)
    skipped: list[Effect] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Take in what another batch came to."""
        self.done.extend(other.done)
        self.skipped.extend(other.skipped)


Tell = Callable[[Report], None]
"""Called after each commit with what it did, so that a person knows it even if the rest fails."""


def cancel(
    store: Store,
    choices: Sequence[Choice],
    *,
    states: Sequence[State] = (),
    by: Author,
    now: datetime,
    detail: str | None = None,
    tell: Tell | None = None,
) -> Report:
    """Cancel runs: a waiting one at once, a running one by having its runner end the attempt.

    A run that meanwhile is over, or is not in one of ``states`` any more, if any are given, is left alone.
    """

    def decide(run: Run) -> Effect:
        if run.state.is_final or (states and run.state not in states):
            return Effect(run.id, f"is {run.state}")
        what = "being ended" if run.state is State.PROCESSING else "cancelled"
        return Effect(run.id, what, lifecycle.cancel(run, now=now))

    def decide_all(runs: Sequence[Run], _: set[int]) -> list[Effect]:
        return [decide(run) for run in runs]

    return _do(store, choices, decide_all, by=by, detail=detail, tell=tell)


def retry(
    store: Store,
    choices: Sequence[Choice],
    *,
    by: Author,
    now: datetime,
    original_spec: bool = False,
    pace: timedelta = timedelta(0),
    detail: str | None = None,
    tell: Tell | None = None,
) -> Report:
    """Put runs that are over, or wait for a retry, back into the queue with all their attempts before them.

    They keep their ids, slots and order, and take their job's present spec, or with ``original_spec`` the one they
    have. They become due one after the other, ``pace`` apart; the queue sees to it that runs of a job do not overlap
    that must not. A run that has changed since it was selected is left alone: somebody else retried it.
    """
    due = now

    def decide_all(runs: Sequence[Run], stale: set[int]) -> list[Effect]:
        nonlocal due
        specs = {} if original_spec else store.specs_of(runs)
        effects = []
        for run in runs:
            if run.number in stale or not _can_be_retried(run):
                effects.append(Effect(run.id, _as_it_is(run, stale)))
                continue
            after = lifecycle.requeue(run, specs.get(run.job or "", run.spec), now=now)
            effects.append(Effect(run.id, "back in the queue", changed(after, run_at=due)))
            due += pace
        return effects

    return _do(store, choices, decide_all, by=by, detail=detail, tell=tell)


def purge(
    store: Store,
    choices: Sequence[Choice],
    *,
    by: Author,
    now: datetime,
    detail: str | None = None,
    tell: Tell | None = None,
) -> Report:
    """Delete runs that are over, with the record of their attempts and what they wrote.

    A run that is not over, or has changed since it was selected, is left alone.
    """
    report = Report()
    for batch in _batches(choices):
        runs, stale, missing = _read(store, batch)
        doomed = [run for run in runs if run.state.is_final and run.number not in stale]
        gone = {run.number for run in delete(store, doomed, by=by, detail=detail, now=now)}
        left = [Effect(run.id, _as_it_is(run, stale)) for run in runs if run.number not in gone]
        part = Report(
            done=[Effect(run.id, "deleted", run) for run in runs if run.number in gone],
            skipped=left + missing,
        )
        report.add(part)
        if tell:
            tell(part)
    return report


def _can_be_retried(run: Run) -> bool:
    return run.state.is_final or run.state is State.FAILED


def _do(
    store: Store,
    choices: Sequence[Choice],
    decide_all: Callable[[Sequence[Run], set[int]], list[Effect]],
    *,
    by: Author,
    detail: str | None,
    tell: Tell | None,
) -> Report:
    """Decide and do, batch by batch; ``decide_all`` is told which runs have changed since they were selected."""
    report = Report()
    for batch in _batches(choices):
        with store.transaction():
            runs, stale, gone = _read(store, batch)
            effects = decide_all(runs, stale)
            acted = [(run, effect.after) for run, effect in zip(runs, effects, strict=True) if effect.after]
            store.change_all(acted, by=by, detail=detail)
        part = Report(
            done=[effect for effect in effects if effect.after],
            skipped=[effect for effect in effects if not effect.after] + gone,
        )
        report.add(part)
        if tell:
            tell(part)
        wake_runners(Spool(str(store.path)))
    return report


def _read(store: Store, batch: Sequence[Choice]) -> tuple[list[Run], set[int], list[Effect]]:
    """Return the runs of a batch, the numbers of those that changed since they were selected, and what is gone."""
    seen = dict(batch)
    runs = store.numbered(list(seen))
    stale = {run.number for run in runs if to_micros(run.updated_at) != seen[run.number]}
    gone = seen.keys() - {run.number for run in runs}
    return runs, stale, [Effect(f"run number {number}", "is gone") for number in sorted(gone)]


def _as_it_is(run: Run, stale: set[int]) -> str:
    return f"is {run.state}{', changed meanwhile' if run.number in stale else ''}"


def _batches(choices: Sequence[Choice]) -> Iterator[Sequence[Choice]]:
    """Yield what goes into one transaction each, and leave the others as much time in between as it took."""
    took = 0.0
    for begin in range(0, len(choices), _BATCH):
        if begin:
            time.sleep(min(took, _LONGEST_PAUSE))  # noqa: TID251 - who waits for the lock only looks for it now and then
        began = time.monotonic()
        yield choices[begin : begin + _BATCH]
        took = time.monotonic() - began


def trigger(store: Store, jobs: Sequence[str], *, by: Author, now: datetime) -> list[Run]:
    """Put one run of each declared job into the queue and return them, all or none; raises JobNotFound.

    A run whose job has one that is not over waits for that, unless the job lets its runs overlap.
    """
    with store.transaction():
        declared = store.jobs_named([*dict.fromkeys(jobs)])
        runs = [store.run(store.trigger(job, now=now, by=by)) for job in declared]
    wake_runners(Spool(str(store.path)))
    return runs


def pause(store: Store, scope: str, *, until: datetime | None, reason: str | None, by: Author, now: datetime) -> None:
    """Let no slot of ``scope`` run until it is resumed or ``until`` has come: a job, a manifest, or "" for all."""
    with store.transaction():
        store.pause(scope, until=until, reason=reason, author=by, now=now)


def resume(store: Store, scope: str, *, by: Author, now: datetime) -> bool:
    """End the pauses of exactly this scope; False if there was none."""
    with store.transaction():
        was_paused = store.resume(scope, author=by, now=now)
    wake_runners(Spool(str(store.path)))
    return was_paused
