"""Short ways to bring a queue into the state that a test begins with."""

from datetime import UTC, datetime
from typing import Any

from queuectl.changes import Plan
from queuectl.job import Job, NewRun, Run
from queuectl.lifecycle import settle
from queuectl.outcome import Exited, Outcome
from queuectl.plan import plan
from queuectl.slots import fire, first_slot
from queuectl.store import Author, Store
from tests.support.factories import NOW, make_attempt, make_manifest, make_spec

AUTHOR = Author(user="ada", host="atlas", git_commit="c0ffee", git_dirty=False)


def enqueue(store: Store, *, run_at: datetime = NOW, given_id: str | None = None, **spec: Any) -> Run:
    """Put one run into the queue and return it."""
    [run_id] = store.enqueue([NewRun(spec=make_spec(**spec), run_at=run_at, given_id=given_id)], now=NOW)
    return store.run(run_id)


def register(store: Store) -> int:
    """Register a runner and return its id."""
    return store.register_runner(host="atlas", pid=1, workers=1, now=NOW)


def claim(store: Store, runner: int | None = None, *, now: datetime = NOW) -> Run:
    """Claim one run."""
    [run] = store.claim(limit=1, runner=runner or register(store), now=now)
    return run


def finish(store: Store, run: Run, outcome: Outcome | None = None, *, now: datetime = NOW) -> Run:
    """Settle a claimed run and return it as it is stored."""
    outcome = outcome or Exited(0)
    assert store.settle([(run, settle(run, outcome, now=now, jitter=0), make_attempt(run, outcome))])
    return store.run(run.id)


def declare(store: Store, *jobs: Job, now: datetime = NOW) -> Plan:
    """Apply the manifest ``nightly`` with these jobs and return the plan that was carried out."""
    manifest = make_manifest(*jobs)
    with store.transaction():
        found = plan([manifest], store.stored_jobs([manifest.name]), store.owners(), now=now, first_slot=first_slot)
        store.apply(found, author=AUTHOR, now=now)
    return found


def tick(store: Store, now: datetime) -> list[bool]:
    """Account for the slots that are due, as a runner does; return of each job whether this was the first to do so."""
    firsts = []
    pauses = store.pauses(since=datetime(1970, 1, 1, tzinfo=UTC))
    for due in store.due_jobs(now=now):
        firing = fire(due.job, due.next_slot, now, is_unfinished=due.is_unfinished, pauses=pauses)
        found = firing.caught_up
        folded = None
        if found.first_folded and found.last_folded:
            folded = (found.first_folded, found.last_folded, found.folded)
        firsts.append(
            store.fire(due, firing.runs, after=found.next_slot, replaces=firing.replaces, folded=folded, now=now)
        )
    return firsts
