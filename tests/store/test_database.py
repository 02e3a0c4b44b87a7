import errno
import os
import re
import stat
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from queuectl.errors import DatabaseBusy, DatabaseUnavailable, QueuectlError
from queuectl.spool import Spool
from queuectl.store.archive import Archive
from queuectl.store.statements import HERE, statements
from queuectl.store.trouble import explained
from tests.support.queue import enqueue


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue" / "queue.db"


def test_the_database_is_readable_by_its_owner_only(path):
    with Archive(path) as store:
        enqueue(store)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(("queue.db", "queue.db-wal", "queue.db-shm", ".gitignore"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_is_made_for_a_queue_stays_out_of_git(path):
    with Archive(path):
        pass
    present = path.parent.parent / "queue.db"
    with Archive(present):
        pass

    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert not (present.parent / ".gitignore").exists()


def test_reading_a_queue_that_does_not_exist_finds_it_empty_and_does_not_make_it(path):
    with Archive(path, create=False) as store:
        assert store.runs() == []

    assert not path.exists()


def test_what_was_committed_is_there_after_opening_again(path):
    with Archive(path) as store:
        run = enqueue(store)

    with Archive(path) as store:
        assert store.run(run.id) == run


def test_every_commit_is_synced_to_the_disk(path):
    with Archive(path) as store:
        assert store._connection.pragma("synchronous") == 2
        assert store._connection.pragma("journal_mode") == "wal"


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.parent.mkdir()
    path.write_text("precious notes " * 100)

    with pytest.raises(DatabaseUnavailable, match="is not a SQLite database"):
        Archive(path)
    assert path.read_text() == "precious notes " * 100


def test_a_database_of_another_program_is_refused_and_left_as_it_is(path):
    path.parent.mkdir()
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(DatabaseUnavailable, match="is a database of another program"):
        Archive(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_with_what_to_do(path):
    with Archive(path) as store:
        store._connection.pragma("user_version", 999)

    with pytest.raises(DatabaseUnavailable, match="has schema version 999") as caught:
        Archive(path)
    assert "upgrade" in caught.value.hint


def test_a_path_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(DatabaseUnavailable, match="cannot make the folder"):
        Archive(tmp_path / "file" / "queue.db")


def failure(code):
    error = apsw.exception_for(code)
    error.args = ("it says little",)
    return error


CANNOT_OPEN, READ_ONLY = apsw.SQLITE_CANTOPEN, apsw.SQLITE_READONLY_DIRECTORY


@pytest.mark.parametrize(
    ("code", "number", "told"),
    [
        (apsw.SQLITE_FULL, 0, "cannot grow: the disk is full"),
        (apsw.SQLITE_IOERR_SHMSIZE, errno.ENOSPC, "cannot grow: the disk is full"),
        (apsw.SQLITE_IOERR_WRITE, errno.EDQUOT, "cannot grow: the quota on this disk is used up"),
        (apsw.SQLITE_IOERR_WRITE, errno.EFBIG, "cannot grow: files may not be larger"),
        (apsw.SQLITE_IOERR_WRITE, errno.EROFS, "lies on a read-only file system"),
        (apsw.SQLITE_IOERR_READ, errno.EIO, "cannot be used: the disk failed (Input/output error, IOERR_READ)"),
        (apsw.SQLITE_IOERR_READ, errno.ENOENT, "cannot be used: the disk failed (IOERR_READ)"),
        (CANNOT_OPEN, errno.EMFILE, "cannot be opened: this process has too many open files"),
        (CANNOT_OPEN, errno.ENOENT, "cannot be used: it says little"),
        (apsw.SQLITE_CORRUPT, 0, "is damaged: it says little"),
        (apsw.SQLITE_NOTADB, 0, "is not a SQLite database"),
    ],
)
def test_what_keeps_sqlite_from_working_is_told_with_what_to_do(tmp_path, code, number, told):
    (tmp_path / "queue.db").touch()

    error = explained(tmp_path / "queue.db", failure(code), number)

    assert isinstance(error, DatabaseUnavailable)
    assert str(error).startswith(f"`{tmp_path}/queue.db` {told}")
    assert error.hint


def test_a_failing_disk_is_to_be_looked_at(tmp_path):
    error = explained(tmp_path / "queue.db", failure(apsw.SQLITE_IOERR_WRITE), errno.EIO)

    assert "the system's log" in error.hint
    assert "`queuectl doctor`" in error.hint


def test_a_mistake_of_ours_is_not_explained_away(tmp_path):
    with pytest.raises(apsw.ConstraintError):
        explained(tmp_path / "queue.db", failure(apsw.SQLITE_CONSTRAINT))


@pytest.mark.parametrize("code", [CANNOT_OPEN, READ_ONLY])
@pytest.mark.parametrize(
    ("barred", "told"),
    [
        ("queue.db", "cannot be used: this user may not write `{folder}/queue.db`"),
        ("queue.db-wal", "cannot be used: this user may not write `{folder}/queue.db-wal`"),
        ("", "cannot be used: this user may not write its folder `{folder}`"),
    ],
)
def test_what_a_user_may_not_write_is_named(tmp_path, monkeypatch, code, barred, told):
    for name in ("queue.db", "queue.db-wal"):
        (tmp_path / name).touch()
    monkeypatch.setattr("os.access", lambda file, mode: Path(file) != tmp_path / barred)

    error = explained(tmp_path / "queue.db", failure(code), errno.ENOENT)

    assert str(error) == f"`{tmp_path}/queue.db` {told.format(folder=tmp_path)}"
    assert error.hint


@pytest.mark.parametrize(
    ("f_flag", "f_favail", "f_bavail", "told"),
    [
        (os.ST_RDONLY, 9, 9, "lies on a read-only file system"),
        (0, 0, 9, "cannot be used: the disk has no room for one more file"),
        (0, 9, 0, "cannot grow: the disk is full"),
        (0, 9, 9, "cannot be used: it says little"),
    ],
)
def test_what_the_disk_does_not_allow_is_told(tmp_path, monkeypatch, f_flag, f_favail, f_bavail, told):
    disk = SimpleNamespace(f_flag=f_flag, f_files=9, f_favail=f_favail, f_bavail=f_bavail)
    monkeypatch.setattr("os.statvfs", lambda folder: disk)

    assert str(explained(tmp_path / "queue.db", failure(CANNOT_OPEN))) == f"`{tmp_path}/queue.db` {told}"


def test_a_folder_in_the_place_of_the_database_is_named(tmp_path):
    with pytest.raises(DatabaseUnavailable, match="is a folder"):
        Archive(tmp_path)


def leave_output(path):
    output = path.parent / f"{path.name}.d" / "output" / "0"
    output.mkdir(parents=True)
    (output / "1.1.stdout").write_text("done")


@pytest.mark.parametrize("create", [True, False])
def test_an_empty_database_beside_outputs_was_truncated_and_is_refused_and_left_as_it_is(path, create):
    leave_output(path)
    path.touch()

    with pytest.raises(DatabaseUnavailable, match=r"is empty, but `.*queue\.db\.d` holds outputs of a queue") as caught:
        Archive(path, create=create)
    assert "restore a backup, or remove the folder" in caught.value.hint
    assert [file.name for file in path.parent.glob("queue.db*") if file.is_file()] == ["queue.db"]
    assert path.stat().st_size == 0


def test_an_empty_file_without_outputs_becomes_a_queue(path):
    (path.parent / "queue.db.d" / "output").mkdir(parents=True)
    path.touch()

    with Archive(path) as store:
        assert store.runs() == []


def test_a_database_that_another_program_holds_is_busy(path):
    with (
        Archive(path) as holder,
        Archive(path, busy_timeout=0.01) as store,
        holder.transaction(),
        pytest.raises(DatabaseBusy),
    ):
        enqueue(store)


def test_two_that_open_a_new_queue_at_once_make_one_schema(path):
    with Archive(path) as first, Archive(path) as second:
        run = enqueue(first)

        assert second.run(run.id) == run


def test_a_backup_is_a_whole_queue(path, tmp_path):
    copy = tmp_path / "copy.db"
    with Archive(path) as store:
        run = enqueue(store)
        store.backup(copy)

    with Archive(copy) as store:
        assert store.run(run.id) == run
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_backup_never_overwrites(path, tmp_path):
    (tmp_path / "copy.db").write_text("precious")

    with Archive(path) as store, pytest.raises(QueuectlError, match="exists already"):
        store.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


HOT = {
    "due_first": ("runs_waiting",),
    "due_runs": ("runs_waiting",),
    "claim_runs": ("INTEGER PRIMARY KEY",),
    "next_due": ("runs_waiting",),
    "settle_run": ("INTEGER PRIMARY KEY",),
    "stops": ("runs_processing",),
    "first_waiting": ("runs_waiting", "INTEGER PRIMARY KEY"),
    "next_slots": ("jobs_due",),
    "states_of": ("INTEGER PRIMARY KEY",),
    "completed_of_running": ("runs_running", "PRIMARY KEY"),
    "processing_runs": ("runs_processing",),
    "run_by_given_id": ("runs_given_id",),
    "running_runners": ("runners_running",),
    "attempts_of": ("PRIMARY KEY",),
    "oldest_span": ("PRIMARY KEY",),
    "next_hook": ("hooks_waiting",),
    "claim_hooks": ("hooks_waiting", "INTEGER PRIMARY KEY"),
    "hooks_of": ("sqlite_autoindex_hooks_1",),
    "job_by_name": ("sqlite_autoindex_jobs_1", "runs_of_job"),
    "declarations": ("PRIMARY KEY",),
    "run_of_slot": ("runs_slot",),
    "latest_slot": ("runs_slot",),
    "run_in_stead": ("runs_slot",),
    "run_before": ("runs_of_job",),
    "newest_run_until": ("runs_of_job",),
    "folded_with": ("folded_slots_of_job",),
    "ahead": ("runs_waiting",),
    "interventions_of": ("interventions_of_run",),
    "runner_lives": ("runners_ended", "runners_started", "runners_running", "runs_processing", "PRIMARY KEY"),
    "silences_of": ("silences_of_runner",),
    "due_count": ("runs_waiting",),
    "latest_results": ("runs_of_job",),
    "newest_number": ("runs",),
    "recorded_slots": ("runs_slot",),
    "history_of_run": ("PRIMARY KEY",),
    "origin_of_run": ("PRIMARY KEY",),
}


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_searches_an_index_and_sorts_nothing(path, name):
    with Archive(path) as store:
        details = [
            row[3]
            for row in store._connection.execute(
                "EXPLAIN QUERY PLAN " + statements()[name], dict.fromkeys(_names(name), 1)
            )
        ]

    for index in HOT[name]:
        assert any(index in detail for detail in details), details
    assert not [detail for detail in details if "TEMP B-TREE" in detail or detail == "SCAN runs"]


def _names(statement):
    return re.findall(r":(\w+)", statements()[statement])


def test_every_statement_says_what_it_is_for():
    for name, sql in statements().items():
        assert sql.startswith("--"), f"{name} has no line on what it is for"


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_the_durability_is_that_of_sqlite_s_commits(tmp_path, durability, level):
    with Archive(tmp_path / "queue.db", durability=durability) as store:
        assert store._execute("PRAGMA synchronous") == [(level,)]


def test_a_new_queue_does_not_take_over_what_a_deleted_one_left(tmp_path):
    path = tmp_path / "queue.db"
    for _ in range(2):
        with Archive(path):
            Spool(str(path)).prepare()
        path.unlink()

    with Archive(path):
        left = sorted(entry.name for entry in tmp_path.iterdir() if entry.is_dir())

    assert left == ["queue.db.d.1", "queue.db.d.2"]


def test_who_only_looks_for_a_queue_leaves_alone_what_a_deleted_one_left(tmp_path):
    path = tmp_path / "queue.db"
    Spool(str(path)).prepare()

    with Archive(path, create=False):
        assert [entry.name for entry in tmp_path.iterdir()] == ["queue.db.d"]


def test_a_queue_that_is_opened_for_reading_cannot_be_written(path):
    with Archive(path) as store:
        run = enqueue(store)

    with Archive(path, read_only=True) as store:
        assert store.run(run.id) == run
        with pytest.raises(DatabaseUnavailable):
            enqueue(store)


def test_who_reads_sees_what_another_commits_meanwhile(path):
    with Archive(path) as store, Archive(path, read_only=True) as reader:
        run = enqueue(store)

        assert reader.run(run.id) == run


def test_there_is_nothing_to_read_where_no_queue_is(path):
    with pytest.raises(DatabaseUnavailable, match="there is no queue"):
        Archive(path, read_only=True)
    assert not path.parent.exists()

    path.parent.mkdir()
    path.touch()
    with pytest.raises(DatabaseUnavailable, match="there is no queue"):
        Archive(path, read_only=True)
    assert path.stat().st_size == 0


def test_an_older_schema_is_not_migrated_by_who_only_reads(path):
    with Archive(path) as store:
        store._execute("PRAGMA user_version = 1")

    with pytest.raises(DatabaseUnavailable, match="schema version 1") as raised:
        Archive(path, read_only=True)
    assert raised.value.hint == "`queuectl status` brings it up to date"


def test_migrations_are_numbered_without_gaps_and_no_number_is_given_twice():
    numbers = sorted(file.name[:4] for file in (HERE / "migrations").glob("*.sql"))

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
