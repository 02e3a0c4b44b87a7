"""A newer queuectl on a queue that an older one works on, and the other way round."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import apsw

from queuectl.store import Store, database
from queuectl.store.statements import migrations
from tests.support.waiting import eventually

NEXT = "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"
KNOWN = len(migrations())
REFUSED = f"has schema version {KNOWN + 1}; this queuectl knows {KNOWN}"


def migrate(connection):
    """Do what a queuectl of the next version does when it opens the queue, but for the commit."""
    connection.set_busy_timeout(10_000)
    connection.execute(f"BEGIN IMMEDIATE; {NEXT}; PRAGMA user_version = {KNOWN + 1}")


def test_a_runner_whose_queue_is_migrated_under_it_settles_what_runs_and_stops_with_the_reason(scene, tmp_path):
    go = tmp_path / "go"
    scene.queuectl.environ = {**scene.queuectl.environ, "QUEUECTL_BUSY_TIMEOUT": "0.2s"}
    scene.job("x", f"while [ ! -e {go} ]; do sleep 0.02; done")
    runner = scene.runner("--workers", "1")
    scene.began("x")
    with contextlib.closing(apsw.Connection(str(scene.database))) as newer:
        migrate(newer)
        eventually(lambda: "trying again" in scene.said())  # it takes as long as it takes
        newer.execute("COMMIT")
        go.touch()

        assert runner.wait(30) == 69

        assert newer.execute("SELECT given_id, state, attempts, colour FROM runs").fetchall() == [
            ("x", "completed", 1, "red")
        ]
        assert newer.execute("SELECT count(*) FROM runners WHERE stopped_at IS NULL").fetchall() == [(0,)]
        newer.execute(f"PRAGMA user_version = {KNOWN}")  # for whoever looks at the scene afterwards
    assert REFUSED in scene.said()
    assert (scene.times("x", "began"), scene.times("x", "ended")) == (1, 1)


def test_an_older_queuectl_that_meets_a_newer_queue_refuses_and_leaves_it_as_it_is(scene):
    scene.job("x", "true")
    with contextlib.closing(apsw.Connection(str(scene.database))) as newer:
        migrate(newer)
        newer.execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
    before = scene.database.read_bytes()

    for words in (["run", "--once"], ["enqueue", "true"], ["list"], ["cancel", "x"]):
        done = scene.queuectl(*words, code=69)
        assert REFUSED in done.stderr
        assert "upgrade this one" in done.stderr

    assert scene.database.read_bytes() == before


def test_many_that_open_an_older_queue_at_once_migrate_it_once_and_lose_nothing(scene, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(database, "migrations", lambda: migrations()[:1])
        Store(scene.database).close()
    with contextlib.closing(apsw.Connection(str(scene.database))) as connection:
        [(spec,)] = _spec_of_a_run(scene)
        connection.execute(
            "INSERT INTO runs (given_id, state, priority, spec, scheduled_at, run_at, created_at, updated_at)"
            " VALUES ('old', 'pending', 0, ?, 1, 1, 1, 1)",
            (spec,),
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: scene.queuectl("enqueue", "--id", f"new{number}", "true"), range(8)))

    with Store(scene.database) as store:
        assert (store.schema_version(), store.integrity_problems()) == (KNOWN, [])
    scene.queuectl("run", "--drain")
    assert scene.counts() == {"completed": 9}


def _spec_of_a_run(scene):
    """Return a spec as it is stored, from a queue of its own."""
    other = scene.folder / "other.db"
    scene.queuectl("enqueue", "--db", str(other), "true")
    with contextlib.closing(apsw.Connection(str(other))) as connection:
        return connection.execute("SELECT spec FROM runs").fetchall()
