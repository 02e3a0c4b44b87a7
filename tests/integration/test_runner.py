"""The runner's round, called one at a time against a real queue."""

from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from queuectl import attempt
from queuectl.errors import DatabaseBusy, DatabaseUnavailable
from queuectl.executors import ExecutorWorkers
from queuectl.job import State
from queuectl.journal import Journal
from queuectl.lifecycle import cancel
from queuectl.presence import Presence
from queuectl.runner import Runner
from queuectl.spool import Spool
from queuectl.store import Store
from tests.support.clocks import ManualClock
from tests.support.factories import NOW, make_attempt
from tests.support.inline import HeldExecutor, InlineExecutor
from tests.support.queue import enqueue, register


@dataclass
class Listener:
    lines: list = field(default_factory=list)
    troubles: list = field(default_factory=list)

    def settled(self, run, after, attempt):
        self.lines.append((run.id, after.state))

    def troubled(self, error):
        self.troubles.append(error)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "queue.db", busy_timeout=0.01) as opened:
        yield opened


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def living():
    """The proofs of life of the runners, by their ids."""
    found = {}
    yield found
    for presence in found.values():
        presence.close()


@pytest.fixture
def make_runner(store, clock, listener, living):
    def make(executor, size=1):
        spool = Spool(str(store.path))
        spool.prepare()
        runner = register(store)
        living[runner] = Presence(spool, runner)
        workers = ExecutorWorkers(executor, size, spool, output_limit=1 << 20, wake=lambda: None)
        return Runner(store, workers, spool, id=runner, clock=clock, chance=lambda: 0.0, reporter=listener)

    return make


@pytest.fixture
def die(living):
    """Let a runner be dead for all others."""
    return lambda runner: living.pop(runner.id).close()


def test_a_round_starts_what_is_due_and_the_next_one_settles_it(store, make_runner, listener):
    run = enqueue(store)
    runner = make_runner(InlineExecutor())

    runner.round()
    assert store.run(run.id).state is State.PROCESSING
    runner.round()

    assert (store.run(run.id).state, listener.lines) == (State.COMPLETED, [(run.id, State.COMPLETED)])


def test_an_executor_s_process_stays_in_its_folder(store, make_runner, tmp_path):
    run = enqueue(store, command="true", cwd=str(tmp_path))
    runner = make_runner(InlineExecutor())
    before = Path.cwd()

    runner.round()
    runner.round()

    assert (store.run(run.id).state, Path.cwd()) == (State.COMPLETED, before)


def test_a_job_that_succeeds_on_its_third_attempt_waits_longer_each_time(store, make_runner, clock, tmp_path):
    counter = tmp_path / "count"
    run = enqueue(store, command=f"echo x >> {counter}; [ $(wc -l < {counter}) -ge 3 ]")
    runner = make_runner(InlineExecutor())
    due = []

    for _ in range(3):
        runner.round()
        due.append(runner.round())
        clock.advance(seconds=60)

    assert due == [NOW + timedelta(seconds=2), NOW + timedelta(seconds=60 + 4), None]
    assert [attempt.number for attempt in store.attempts(run)] == [1, 2, 3]
    assert store.run(run.id).state is State.COMPLETED


def test_a_runner_claims_no_more_than_its_workers_can_start(store, make_runner):
    for _ in range(5):
        enqueue(store)
    runner = make_runner(HeldExecutor(), size=2)

    runner.round()
    runner.round()

    assert store.counts()[State.PROCESSING] == 2


def test_a_round_says_when_the_next_run_is_due_if_a_worker_is_free_for_it(store, make_runner):
    later = NOW + timedelta(minutes=1)
    enqueue(store)
    enqueue(store, run_at=later)

    assert make_runner(HeldExecutor(), size=2).round() == later
    assert make_runner(HeldExecutor(), size=1).round() == later


def test_an_exception_out_of_a_future_means_that_the_attempt_is_lost(store, make_runner):
    run = enqueue(store)
    executor = HeldExecutor()
    runner = make_runner(executor)
    runner.round()

    executor.futures[0].set_exception(BrokenExecutor("the cluster is gone"))
    runner.round()

    assert store.run(run.id).reason == "lost: BrokenExecutor: the cluster is gone"


def test_a_stopping_runner_gives_back_what_has_not_begun_and_claims_nothing(store, make_runner):
    run = enqueue(store)
    runner = make_runner(HeldExecutor())
    runner.round()

    runner.stop()
    runner.round()
    runner.round()

    after = store.run(run.id)
    assert (after.state, after.attempts, runner.is_idle()) == (State.PENDING, 0, True)


def test_a_cancel_that_comes_with_the_end_of_a_failed_attempt_is_not_lost(store, make_runner):
    run = enqueue(store)
    executor = HeldExecutor()
    runner = make_runner(executor)
    runner.round()
    running = store.run(run.id)
    store.change(running, cancel(running, now=NOW))

    executor.futures[0].set_exception(BrokenExecutor("gone"))
    runner.round()

    assert store.run(run.id).state is State.CANCELLED


def test_a_busy_database_costs_no_outcome(store, make_runner, listener, tmp_path):
    run = enqueue(store)
    runner = make_runner(InlineExecutor())
    runner.round()

    with Store(store.path) as other, other.transaction():
        runner.round()
    runner.round()

    assert [type(error) for error in listener.troubles] == [DatabaseBusy]
    assert store.run(run.id).state is State.COMPLETED


def test_a_run_of_a_dead_runner_that_had_not_begun_goes_back_uncharged(store, make_runner, die):
    run = enqueue(store)
    dead = make_runner(HeldExecutor())
    dead.round()
    die(dead)

    rescuer = make_runner(HeldExecutor())
    rescuer.stop()
    rescuer.round(rescue=True)

    after = store.run(run.id)
    assert (after.state, after.attempts) == (State.PENDING, 0)


def test_a_run_of_a_dead_runner_is_decided_once_however_long_nothing_can_be_stored(
    store, make_runner, die, monkeypatch
):
    run = enqueue(store)
    dead = make_runner(HeldExecutor())
    dead.round()
    die(dead)
    rescuer = make_runner(HeldExecutor())
    rescuer.stop()

    def full(*_):
        raise DatabaseUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "settle", full)
        for _ in range(5):
            rescuer.round(rescue=True)
    assert len(rescuer._unsettled) == 1
    rescuer.round()

    assert store.run(run.id).state is State.PENDING


def test_a_command_that_cannot_be_written_down_waits_uncharged_and_the_runner_says_why(
    store, make_runner, listener, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(attempt, "_TROUBLE_WAIT", 0)
    monkeypatch.setattr(Journal, "_next_file", full)
    run = enqueue(store, retries=0)
    runner = make_runner(InlineExecutor())

    runner.round()
    runner.stop()
    runner.round()

    after = store.run(run.id)
    assert (after.state, after.attempts, after.interruptions) == (State.PENDING, 0, 0)
    assert [str(error) for error in listener.troubles] == ["no command can be started: No space left on device"]


def test_a_run_whose_end_was_written_down_is_settled_from_it_and_not_run_again(store, make_runner, die, tmp_path):
    run = enqueue(store, command=f"echo x >> {tmp_path}/effect")
    dead = make_runner(InlineExecutor())
    dead.round()  # executes, and dies before it settles
    die(dead)

    make_runner(InlineExecutor()).round(rescue=True)

    assert store.run(run.id).state is State.COMPLETED
    assert (tmp_path / "effect").read_text() == "x\n"


def test_a_dead_runner_with_nothing_left_is_recorded_as_stopped(store, make_runner, die):
    dead = make_runner(InlineExecutor())
    die(dead)

    rescuer = make_runner(InlineExecutor())
    rescuer.round(rescue=True)

    assert [runner.id for runner in store.running_runners()] == [rescuer.id]
    assert dead.id != rescuer.id


def test_a_runner_knows_that_it_has_not_yet_rescued_everything(store, make_runner, die):
    run = enqueue(store, command="true")
    dead = make_runner(HeldExecutor())
    dead.round()
    die(dead)
    claimed = store.run(run.id)
    journal = Journal(Spool(str(store.path)).journal(claimed.runner, claimed.execution))
    journal.begin(claimed.execution)  # as a process of the dead runner's job has
    rescuer = make_runner(HeldExecutor())

    rescuer.round(rescue=True)
    assert (rescuer.is_rescuing, store.run(run.id).state) == (True, State.PROCESSING)
    journal.let_go()
    rescuer.round(rescue=True)

    assert (rescuer.is_rescuing, store.run(run.id).state) == (False, State.FAILED)


def test_a_stale_answer_does_not_disturb_a_run_that_was_rescued(store, make_runner, die):
    run = enqueue(store)
    executor = HeldExecutor()
    slow = make_runner(executor)
    slow.round()
    die(slow)
    claimed = store.run(run.id)
    rescuer = make_runner(HeldExecutor())
    rescuer.round(rescue=True)
    rescuer.round()

    executor.futures[0].set_result(make_attempt(claimed))
    slow.round()

    assert (store.run(run.id).state, store.run(run.id).runner) == (State.PROCESSING, rescuer.id)


def test_answers_gather_for_a_common_commit_only_while_no_worker_idles(store, make_runner):
    for _ in range(200):
        enqueue(store)
    executor = HeldExecutor()
    runner = make_runner(executor, size=2)
    runner.round()
    assert runner.gathering() == 0

    def answer_all():
        for number, future in enumerate(executor.futures, start=1):
            if not future.done():
                future.set_result(make_attempt(store.run(f"r{number}"), seconds=0.001))

    for _ in range(3):  # the runs turn out to be short, and more is claimed ahead
        answer_all()
        runner.round()

    assert len(executor.futures) > 40
    assert 0 < runner.gathering() <= 0.010
