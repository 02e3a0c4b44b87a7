"""A disk that fails at every call it gets, and one whose power goes: whole or not at all, and nothing lost."""

import contextlib
import random
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

import apsw
import pytest

from queuectl import presence
from queuectl.errors import DatabaseBusy, DatabaseUnavailable
from queuectl.executors import ExecutorWorkers
from queuectl.job import NewRun, State
from queuectl.lifecycle import settle
from queuectl.outcome import Exited
from queuectl.presence import Presence
from queuectl.runner import Runner
from queuectl.spool import Spool
from queuectl.store import Store, database
from tests.support.clocks import ManualClock
from tests.support.disk import BROKEN, FULL, NO_SYNC, SOUND, after_power_cut, bad_disk
from tests.support.factories import NOW, make_attempt, make_job, make_spec
from tests.support.inline import HeldExecutor, InlineExecutor
from tests.support.queue import declare, enqueue, register

REFUSED = (DatabaseUnavailable, DatabaseBusy)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def disk():
    with bad_disk() as found:
        yield found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue.db"


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A queue of which a part lies in the -wal, as a runner that was killed leaves it: its files by their ends."""
    path = tmp_path_factory.mktemp("killed") / "queue.db"
    with Store(path) as store:
        declare(store, make_job("a"), make_job("b"), make_job("c", enabled=False))
        enqueue(store, priority=3), enqueue(store, priority=2)
        store.claim(limit=1, runner=register(store), now=NOW)
        store._connection.wal_checkpoint()
        enqueue(store)
        return {end: path.with_name(f"queue.db{end}").read_bytes() for end in ("", "-wal")}


def put_down(files, path):
    """Let the database at ``path``, which nobody has open, consist of these files."""
    for end in ("", "-wal", "-journal", "-shm"):
        if end in files:
            path.with_name(path.name + end).write_bytes(files[end])
        else:
            path.with_name(path.name + end).unlink(missing_ok=True)
    return path


def everything(path):
    """Return all rows of all tables, past the bad disk."""
    with contextlib.closing(apsw.Connection(str(path), vfs=SOUND)) as connection:
        return rows(connection)


def rows(connection):
    with connection:  # one look instead of one for each table
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for (table,) in tables}


def assert_intact(path):
    with Store(path) as store:
        assert store.integrity_problems() == []


def put_in(store):
    store.enqueue([NewRun(spec=make_spec(command="x" * 500), run_at=NOW)] * 20, now=NOW)


def take(store):
    store.claim(limit=2, runner=1, now=NOW)


def settle_and_take(store):
    run = store.processing_runs(1)[0]
    with store.transaction():
        store.settle([(run, settle(run, Exited(1), now=NOW, jitter=0), make_attempt(run, Exited(1)))])
        store.claim(limit=2, runner=1, now=NOW)


def declare_anew(store):
    declare(store, make_job("a", retries=1), make_job("c"), make_job("d"), now=NOW)


OPERATIONS = {"enqueue": put_in, "claim": take, "settle and claim": settle_and_take, "apply": declare_anew}

bad_days = pytest.mark.parametrize(
    ("fault", "lasting"),
    [
        pytest.param(fault, lasting, id=f"{name} {'for ever' if lasting else 'once'}")
        for name, fault in {"full": FULL, "not synced": NO_SYNC, "broken": BROKEN}.items()
        for lasting in (False, True)
    ],
)


def attempted(operation, *arguments):
    """Return what an operation returned, and the error with which it was refused, or None."""
    try:
        return operation(*arguments), None
    except REFUSED as error:
        return None, error


def assert_clear(error, *paths):
    assert str(error).startswith(tuple(f"`{path}` " for path in paths)), error
    assert error.hint


@bad_days
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_on_a_bad_disk_is_done_or_refused_and_then_possible(disk, killed, path, operation, fault, lasting):
    with Store(put_down(killed, path)) as store:
        before = everything(store.path)
        operation(store)
        done = everything(store.path)

    for number in count(1):
        with Store(put_down(killed, path)) as store:
            disk.fail(fault, at=number, lasting=lasting)
            _, error = attempted(operation, store)
            has_failed = disk.heal()
            if error:
                assert_clear(error, store.path)
                assert everything(store.path) == before
                operation(store)
            assert everything(store.path) == rows(store._connection) == done
        assert_intact(store.path)
        assert everything(store.path) == done
        if not has_failed:
            break
    assert number > 1


SECOND_STEP = "ALTER TABLE runs ADD COLUMN colour TEXT; UPDATE runs SET colour = 'red'"


@bad_days
@pytest.mark.parametrize("kind", ["new", "killed", "old"])
def test_a_queue_on_a_bad_disk_is_opened_or_refused_and_then_possible(
    disk, killed, path, monkeypatch, kind, fault, lasting
):
    files = {} if kind == "new" else killed
    if kind == "old":
        steps = [*database.migrations(), SECOND_STEP]
        monkeypatch.setattr(database, "migrations", lambda: steps)
    before = everything(put_down(files, path))
    with Store(put_down(files, path)) as store:
        done = everything(store.path)

    for number in count(1):
        put_down(files, path)
        disk.fail(fault, at=number, lasting=lasting)
        store, error = attempted(Store, path)
        has_failed = disk.heal()
        if store:
            store.close()
        if error:
            assert_clear(error, path)
            assert everything(path) in (before, done)  # what a failed sync did not keep from the disk is whole
        assert_intact(path)
        assert everything(path) == done
        if not has_failed:
            break


@bad_days
def test_a_backup_on_a_bad_disk_is_whole_or_not_there(disk, killed, path, fault, lasting):
    copy = path.with_name("copy.db")
    before = everything(put_down(killed, path))

    for number in count(1):
        put_down({}, copy)
        with Store(path) as store:
            disk.fail(fault, at=number, lasting=lasting)
            _, error = attempted(store.backup, copy)
            has_failed = disk.heal()
            if error:
                assert_clear(error, copy, path)
                assert list(path.parent.glob("copy.db*")) == []
                store.backup(copy)
            assert everything(copy) == everything(path) == before
        if not has_failed:
            break
    assert number > 1


def test_a_change_whose_sync_failed_is_refused_and_may_be_there_whole_when_the_queue_is_opened_again(disk, path):
    with Store(path) as store:
        store._connection.set_wal_hook(None)
        put_in(store)
        before = store.counts()[State.PENDING]
        disk.fail(NO_SYNC, at=1, lasting=True)

        _, error = attempted(put_in, store)

        assert store.counts()[State.PENDING] == before
        assert "look before you repeat it" in error.hint
    disk.heal()
    with Store(path) as store:
        assert store.counts()[State.PENDING] in (before, 2 * before)


def steps(store):
    """Return what a queue goes through: one transaction each."""
    yield lambda: register(store)
    for _ in range(2):
        yield lambda: put_in(store)
        yield lambda: declare(store, make_job("a"), make_job("b"))
        for _ in range(2):
            yield lambda: take(store)
            yield lambda: settle_and_take(store)
        yield lambda: store.beat(1, now=LATER)
        yield lambda: declare(store, make_job("a", retries=1))


def live(path, disk, *, durability=None, fails=lambda: False):
    """Use a new queue; return its content after each acknowledged transaction, with the length of the log then.

    Whenever ``fails`` says so, the disk syncs nothing, until the transaction has been refused.
    """
    acknowledged = []
    for _ in range(2):  # the second time it is opened as it was closed
        with Store(path) as store:
            if durability:
                store._connection.pragma("synchronous", durability)
            acknowledged.append((len(disk.log), everything(path)))
            for step in steps(store):
                if fails():
                    disk.fail(NO_SYNC, at=1, lasting=True)
                _, error = attempted(step)
                disk.heal()
                if error:
                    step()
                acknowledged.append((len(disk.log), everything(path)))
    return acknowledged


def losses(disk, acknowledged, path):
    """Yield the power cuts after which something is lost that was acknowledged, or there in part."""
    drawn = random.Random(1)
    log, disk.log = disk.log, []
    kinds = ("synced", "unsynced", "deleted")
    syncs = [length for length, event in enumerate(log, start=1) if event.kind in kinds]
    # Most hangs in the balance right before a sync, and nothing may right after it.
    for cut in sorted({*syncs, *(length - 1 for length in syncs), *range(0, len(log), 23)}):
        done = [content for length, content in acknowledged if length <= cut][-1:]
        under_way = [content for length, content in acknowledged if length > cut][:1]
        for share in (0, drawn.choice([0.1, 0.5, 0.9, 1])):
            if found_after(log[:cut], path, drawn, share) not in done + under_way:
                yield cut, share


def found_after(log, path, drawn, share):
    """Return what the queue holds after a power cut at the end of ``log`` that spares this share of the rest."""
    files = after_power_cut(log, lambda: drawn.random() < share)
    put_down({name.removeprefix("queue.db"): content for name, content in files.items()}, path)
    with Store(path) as store:
        assert store.integrity_problems() == []
        return rows(store._connection)


def test_a_power_cut_loses_nothing_that_was_acknowledged(disk, path):
    acknowledged = live(path, disk)

    assert list(losses(disk, acknowledged, path)) == []


def test_a_power_cut_after_syncs_that_failed_loses_nothing_that_was_acknowledged(disk, path):
    drawn = random.Random(2)
    acknowledged = live(path, disk, fails=lambda: drawn.random() < 0.5)

    assert "unsynced" in {event.kind for event in disk.log}
    assert list(losses(disk, acknowledged, path)) == []


@pytest.mark.parametrize("durability", ["NORMAL", "OFF"])
def test_a_power_cut_is_seen_to_lose_what_was_not_synced(disk, path, durability):
    acknowledged = live(path, disk, durability=durability)

    assert next(losses(disk, acknowledged, path))


@dataclass
class Listener:
    """Who a runner tells what it does."""

    ended: list = field(default_factory=list)
    troubles: list = field(default_factory=list)

    def settled(self, run, after, attempt):
        self.ended.append((run.id, after.state))

    def troubled(self, error):
        self.troubles.append(error)


@contextlib.contextmanager
def running(store, executor, listener):
    """A runner that lives."""
    spool = Spool(str(store.path))
    spool.prepare()
    Path(spool.runner_lock(1)).write_text(presence._boot())  # of the runner that was killed, in `killed`
    runner = register(store)
    workers = ExecutorWorkers(executor, 2, spool, output_limit=1 << 20, wake=lambda: None)
    with contextlib.closing(Presence(spool, runner)):
        yield Runner(store, workers, spool, id=runner, clock=ManualClock(), chance=lambda: 0.0, reporter=listener)


@bad_days
def test_a_runner_on_a_bad_disk_keeps_its_outcomes_and_stores_each_exactly_once(disk, killed, path, fault, lasting):
    for number in count(1):
        listener, executor = Listener(), HeldExecutor()
        with Store(put_down(killed, path)) as store, running(store, executor, listener) as runner:
            runner.round()
            claimed = sorted(store.processing_runs(runner.id), key=lambda run: -run.spec.priority)
            attempts = [make_attempt(claimed[0], Exited(0)), make_attempt(claimed[1], Exited(1))]
            for future, attempt in zip(executor.futures, attempts, strict=True):
                future.set_result(attempt)

            disk.fail(fault, at=number, lasting=lasting)
            for _ in range(3):
                runner.round(beat=True, rescue=True)
            has_failed = disk.heal()
            runner.round(beat=True, rescue=True)

            assert listener.ended == [(claimed[0].id, State.COMPLETED), (claimed[1].id, State.FAILED)]
            assert [store.attempts(run) for run in claimed] == [[attempt] for attempt in attempts]
            assert (runner.tally.completed, runner.tally.failed) == (1, 1)
            begun = store.processing_runs(runner.id)
            assert [future.done() for future in executor.futures] == [True, True] + [False] * len(begun)
            assert len(begun) == 2
        assert_intact(store.path)
        if not has_failed:
            break
    assert number > 1


def test_a_command_whose_end_finds_the_disk_full_runs_once_and_is_settled_once(disk, path, tmp_path):
    listener = Listener()
    with Store(path) as store, running(store, InlineExecutor(), listener) as runner:
        run = enqueue(store, command=f"echo x >> {tmp_path}/effect")
        runner.round()
        disk.fail(FULL, at=1, lasting=True)

        for _ in range(3):
            runner.round()
        assert (store.run(run.id).state, listener.ended) == (State.PROCESSING, [])
        assert [str(trouble) for trouble in listener.troubles] == [f"`{store.path}` cannot grow: the disk is full"] * 3
        disk.heal()
        for _ in range(3):
            runner.round()

        assert (store.run(run.id).state, listener.ended) == (State.COMPLETED, [(run.id, State.COMPLETED)])
        assert len(store.attempts(run)) == 1
    assert (tmp_path / "effect").read_text() == "x\n"
