"""The store against a model: whatever happens in whatever order, both say the same, and nothing is lost.

To search for longer than a test run may take: `python -m tests.store.test_machine 5000`.
"""

import shutil
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from queuectl import catchup
from queuectl.job import NewRun, Run, State
from queuectl.lifecycle import cancel, requeue, settle
from queuectl.outcome import Exited, Lost, Outcome, Released
from queuectl.records import to_instant
from queuectl.slots import fire
from queuectl.store import DueJob, RunIdTaken
from queuectl.store.archive import Archive
from tests.support.factories import NOW, make_attempt, make_job, make_spec
from tests.support.job_model import Model, ModelJob
from tests.support.queue import AUTHOR, declare
from tests.support.queue_model import ModelRun
from tests.support.strategies import (
    HOUR,
    MINUTE,
    NAMES,
    NOTHING,
    manifests,
    new_runs,
    outcomes,
    places,
    runners,
    specs,
    turns,
)

MOST_RECORDED, MOST_CAUGHT_UP = 6, 3  # instead of 10,000 and 100, so that they are met


class Crash(Exception):
    """The process is gone."""


class StoreAndModel(RuleBasedStateMachine):
    """Two runners, each with its connection to one database, and the people around them."""

    claims = Bundle("claims")  # each run as a runner once got it: what it knows, however long ago that was

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = NOW
        self.model = Model(most_recorded=MOST_RECORDED, most_caught_up=MOST_CAUGHT_UP)
        self.acknowledged: set[str] = set()
        self.claimed: list[Run] = []
        self.fired: list[DueJob] = []
        self.stores: dict[str, Archive] = {}
        self.runners: dict[str, int] = {}
        for who in "xy":
            self._start(who)

    @initialize(manifest=manifests.filter(bool), news=st.lists(new_runs, min_size=3, max_size=6))
    def begin(self, manifest, news) -> None:
        self.apply("x", manifest)
        self.enqueue("x", news)

    def teardown(self) -> None:
        try:
            store = self.stores["x"]
            assert store.integrity_problems() == []
            for run in self.model.runs.values():
                past = store.past_attempts(store.run(run.id))
                attempts = [(each.attempt, each.spec) for each in past]
                assert [(each.number, each.lease, each.outcome, spec) for each, spec in attempts] == run.ended
            for job in self.model.jobs.values():
                self._check_ledger(store, job)
        finally:
            for store in self.stores.values():
                store.close()
            shutil.rmtree(self.folder)

    def _check_ledger(self, store: Archive, job: ModelJob) -> None:
        """Every slot that was due has had a run, or was counted among those that are too many."""
        rows = store._execute("SELECT first, last, count FROM folded_slots WHERE job = ? ORDER BY rowid", (job.id,))
        folded = [(to_instant(first), to_instant(last), count) for first, last, count in rows]
        assert folded == job.folded
        for slot in job.passed:
            assert slot in job.ran or any(first <= slot <= last for first, last, _ in folded)

    def _start(self, who: str) -> None:
        store = self.stores[who] = Archive(self.folder / "queue.db", durability="normal")
        self.runners[who] = store.register_runner(host="atlas", pid=1, workers=1, now=self.now)

    # the rules

    @rule(who=runners, news=st.lists(new_runs, min_size=1, max_size=4))
    def enqueue(self, who, news) -> None:
        runs = [NewRun(spec=spec, run_at=self.now + delay, given_id=given) for spec, delay, given in news]
        expected = self.model.enqueue(runs, self.now)
        if expected is None:
            with pytest.raises(RunIdTaken):
                self.stores[who].enqueue(runs, now=self.now)
            return
        assert self.stores[who].enqueue(runs, now=self.now) == expected
        self.acknowledged |= set(expected)

    @rule(target=claims, turns=turns)
    def work(self, turns) -> Any:
        return multiple(*self._turns("x", turns))

    @rule(target=claims, turns=turns)
    def work_elsewhere(self, turns) -> Any:
        return multiple(*self._turns("y", turns))

    def _turns(self, who: str, turns: list[tuple[timedelta, int, list[Outcome]]]) -> list[Run]:
        """Fire, claim, and settle some of what was claimed, turn by turn; return all of it."""
        store, runner, seen = self.stores[who], self.runners[who], []
        for wait, limit, ends in turns:
            self.now += wait
            self._fire(who)
            expected = self.model.claim(limit, runner, self.now)
            claimed = store.claim(limit=limit, runner=runner, now=self.now)
            assert [run.number for run in claimed] == [run.number for run in expected]
            given = {(run.number, run.lease) for run in self.claimed}
            assert not [run for run in claimed if (run.number, run.lease) in given]
            self.claimed += claimed
            # More ends than runs: some of them are told twice at once.
            self._settle(store, list(zip(cycle(claimed), ends, strict=False)) if claimed else [])
            seen += claimed
        return seen

    @rule(who=runners, ends=st.lists(st.tuples(claims, outcomes), min_size=1, max_size=3))
    def settle(self, who, ends) -> None:
        """Also twice, also long after the lease was lost, also by the other runner."""
        self._settle(self.stores[who], ends)

    def _settle(self, store: Archive, ends: list[tuple[Run, Outcome]]) -> None:
        with store.transaction():
            stops = {number: stop for runner in self.runners.values() for number, stop in store.stops(runner).items()}
            stored = store.settle(
                [
                    (
                        run,
                        settle(replace(run, stop=stops.get(run.number, run.stop)), outcome, now=self.now, jitter=0),
                        make_attempt(run, outcome),
                    )
                    for run, outcome in ends
                ]
            )
        valid = [
            (run.number, run.lease)
            for run, outcome in ends
            if self.model.settle(run.number, run.lease, outcome, run.spec, self.now)
        ]
        assert [(before.number, before.lease) for before, _, _ in stored] == valid

    @rule(who=runners, lost=st.booleans(), limit=st.integers(0, 2))
    def crash(self, who, lost, limit) -> None:
        """Kill a runner in a transaction; the other one rescues what it had, and somebody starts another."""
        self._die_in_a_transaction(self.stores[who], who, limit)
        self.stores.pop(who).close()
        [rescuer] = self.stores.values()
        dead = self.runners.pop(who)
        held = rescuer.processing_runs(dead)
        self._settle(rescuer, [(run, Lost("its runner died") if lost else Released(began=False)) for run in held])
        rescuer.stop_runner(dead, now=self.now)
        self._start(who)

    def _die_in_a_transaction(self, store: Archive, who: str, limit: int) -> None:
        """Nothing of it has happened."""
        with suppress(Crash), store.transaction():
            store.enqueue([NewRun(spec=make_spec(), run_at=self.now)], now=self.now)
            claimed = store.claim(limit=limit, runner=self.runners[who], now=self.now)
            store.settle([(run, settle(run, Exited(1), now=self.now, jitter=0), make_attempt(run)) for run in claimed])
            declare(store, make_job("a"), now=self.now)
            raise Crash

    @precondition(lambda self: self.model.runs)
    @rule(who=runners, verb=st.sampled_from(["cancel", "retry", "purge"]), place=places, spec=st.none() | specs)
    def change_by_hand(self, who, verb, place, spec) -> None:
        """What people do; what makes no sense for a run is left out."""
        store, known = self.stores[who], list(self.model.runs.values())
        run = known[place % len(known)]
        before = store.run(run.id)
        if verb == "cancel":
            assert store.change(before, cancel(before, now=self.now))
            self.model.cancel(run, self.now)
        elif verb == "retry" and before.state.is_final:
            new = before.spec if spec is None else make_spec(**spec)
            assert store.change(before, requeue(before, new, now=self.now))
            self.model.requeue(run, new, self.now)
        elif verb == "purge" and before.state.is_final:
            assert store.purge([before]) == [before]
            self.model.purge(run)

    def _late(self) -> list[Run]:
        """Return what runners believe to have of runs that are processing under another lease by now."""
        runs = self.model.runs
        return [run for run in self.claimed if run.number in runs and runs[run.number].lease not in (None, run.lease)]

    @precondition(lambda self: self._late())
    @rule(who=runners, place=places, outcome=outcomes)
    def come_too_late(self, who, place, outcome) -> None:
        late = self._late()
        run = late[place % len(late)]
        self._settle(self.stores[who], [(run, outcome)])
        assert not self.stores[who].change(run, cancel(run, now=self.now))

    @rule(who=runners, manifest=manifests, jump=st.sampled_from([NOTHING, MINUTE, -HOUR]))
    def apply(self, who, manifest, jump=NOTHING) -> None:
        self.now += jump
        declare(self.stores[who], *manifest, now=self.now)
        self.model.apply(manifest, self.now)
        assert not declare(self.stores[who], *manifest, now=self.now).writes

    @precondition(lambda self: 0 < len(self.model.declared()) < len(NAMES))
    @rule(who=runners, place=places)
    def rename(self, who, place) -> None:
        declared = [known.job for known in self.model.declared().values()]
        old = declared[place % len(declared)]
        name = next(name for name in NAMES if name not in self.model.declared())
        others = [job for job in declared if job is not old]
        self.apply(who, [*others, replace(old, name=name, renamed_from=old.name)])

    def _fire(self, who: str) -> None:
        """Account for the slots that are due, as a runner does; the other one then finds nothing to do."""
        store = self.stores[who]
        with store.transaction():
            pauses = store.pauses(since=NOW - 9999 * HOUR)
            for due in store.due_jobs(now=self.now):
                firing = fire(due.job, due.next_slot, self.now, is_unfinished=due.is_unfinished, pauses=pauses)
                found = firing.caught_up
                folded = None
                if found.first_folded and found.last_folded:
                    folded = (found.first_folded, found.last_folded, found.folded)
                after, replaces = found.next_slot, firing.replaces
                assert store.fire(due, firing.runs, after=after, replaces=replaces, folded=folded, now=self.now)
                self.fired.append(due)
        self.model.fire(self.now)
        assert self.stores["y" if who == "x" else "x"].due_jobs(now=self.now) == []

    @precondition(lambda self: self.fired)
    @rule(who=runners, place=places)
    def fire_what_the_other_runner_has_fired(self, who, place) -> None:
        due = self.fired[place % len(self.fired)]
        if self.model.jobs[due.id].next_slot != due.next_slot:
            run = NewRun(spec=due.job.spec, run_at=self.now, slot=due.next_slot)
            assert not self.stores[who].fire(due, [run], after=due.next_slot + HOUR, replaces=True, now=self.now)

    @precondition(lambda self: self.model.declared())
    @rule(who=runners, place=places)
    def trigger(self, who, place) -> None:
        declared = list(self.model.declared().values())
        known, store = declared[place % len(declared)], self.stores[who]
        expected = self.model.trigger(known, self.now)
        assert store.trigger(store.job(f"nightly/{known.name}"), now=self.now) == expected.id

    @rule(who=runners, scope=st.sampled_from(["", "nightly", "nightly/a"]), hours=st.none() | st.integers(0, 3))
    def pause_or_resume(self, who, scope, hours) -> None:
        if hours == 0:
            assert self.stores[who].resume(scope, author=AUTHOR, now=self.now) == self.model.resume(scope, self.now)
            return
        until = None if hours is None else self.now + hours * HOUR
        self.stores[who].pause(scope, until=until, reason=None, author=AUTHOR, now=self.now)
        self.model.pause(scope, until, self.now)

    @rule(jump=st.sampled_from([7 * HOUR, -HOUR, -7 * HOUR, 2 * MINUTE]))
    def set_the_clock(self, jump) -> None:
        self.now += jump

    # what always holds

    @invariant()
    def they_agree(self) -> None:
        for store in self.stores.values():
            runs = {run.number: run for run in store.runs()}
            assert {number: _as_model(run) for number, run in runs.items()} == {
                run.number: self._as_told(run) for run in self.model.runs.values()
            }
            assert {state: n for state, n in store.counts().items() if n} == Counter(r.state for r in runs.values())
            assert store.next_due() == min((run.run_at for run in self.model.waiting()), default=None)
            declared = self.model.declared()
            assert [(job.job, job.next_slot) for job in store.jobs()] == [
                (known.job, known.next_slot) for known in declared.values()
            ]
            assert store.next_slot() == min((j.next_slot for j in declared.values() if j.next_slot), default=None)

    @invariant()
    def nothing_is_lost_or_done_twice(self) -> None:
        runs = self.stores["x"].runs()
        assert {run.id for run in runs} >= self.acknowledged - self.model.purged
        for run in runs:
            assert (run.finished_at is not None) == run.state.is_final
            assert run.attempts <= self.model.runs[run.number].most
            assert (run.lease is not None) == (run.state is State.PROCESSING)
        slots = Counter((run.job, run.slot) for run in runs if run.slot)
        assert all(count == 1 for count in slots.values())

    @invariant()
    def nothing_waits_for_ever(self) -> None:
        """What waits for the run before it has one."""
        for job in {run.job for run in self.model.waiting() if run.is_held}:
            assert job
            assert not all(run.is_held for run in self.model.unfinished(job))

    def _as_told(self, run: ModelRun) -> dict[str, Any]:
        job = self.model.jobs[run.job] if run.job else None
        return {
            "id": run.id,
            "job": f"nightly/{job.name}" if job else None,
            "reason": run.skipped,
            "run_at": None if run.finished_at else run.run_at,
            **{key: getattr(run, key) for key in _SAME},
        }


_SAME = (
    *("number", "state", "spec", "attempts", "interruptions", "lease", "runner", "stop", "slot"),
    *("scheduled_at", "created_at", "updated_at", "started_at", "finished_at"),
)


def _as_model(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "job": run.job,
        "reason": run.reason if run.state is State.SKIPPED else None,
        "run_at": None if run.finished_at else run.run_at,
        **{key: getattr(run, key) for key in _SAME},
    }


def search(**kind: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catchup, "MOST_RECORDED", MOST_RECORDED)
        patch.setattr(catchup, "MOST_CAUGHT_UP", MOST_CAUGHT_UP)
        run_state_machine_as_test(StoreAndModel, settings=settings(stateful_step_count=50, deadline=None, **kind))


def test_the_store_does_what_the_model_says():
    search(max_examples=60, derandomize=True)  # the same every time


if __name__ == "__main__":
    search(max_examples=int(sys.argv[1]))  # others every time
