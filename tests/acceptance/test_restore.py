"""`queuectl restore`: a backup in the place of a queue."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.support.waiting import eventually


@pytest.fixture
def database(queuectl):
    return Path(queuectl.environ["QUEUECTL_DB"])


@pytest.fixture
def backup(queuectl, tmp_path):
    """Return a function that makes a backup and returns its path."""

    def make(name="backup.db"):
        return queuectl("backup", str(tmp_path / name)).stdout.strip()

    return make


def test_the_queue_is_as_it_was_and_what_came_later_is_set_aside(queuectl, database, backup):
    queuectl("enqueue", "--id", "first", "echo first")
    queuectl("run", "--drain")
    queuectl("enqueue", "--id", "second", "echo second")
    copy = backup()
    before = Path(copy).read_bytes()
    queuectl("enqueue", "--id", "third", "true")
    queuectl("run", "--drain")

    said = queuectl("restore", copy).stderr

    assert f"{database}.1" in said
    assert queuectl.states() == [("first", "completed"), ("second", "pending")]
    assert queuectl("logs", "first").stdout == "first\n"
    assert [run["id"] for run in queuectl.json("list", "--db", f"{database}.1")] == ["third", "second", "first"]
    assert Path(copy).read_bytes() == before


def test_what_runs_after_a_restore_keeps_its_own_output(queuectl, backup):
    queuectl("enqueue", "true")
    queuectl("run", "--drain")
    copy = backup()
    queuectl("enqueue", "echo of another past")
    queuectl("run", "--drain")

    queuectl("restore", copy)
    queuectl("enqueue", "echo of this one")
    queuectl("run", "--drain")

    assert queuectl("logs", "r2").stdout == "of this one\n"


def test_what_was_under_way_is_interrupted_and_without_retries_does_not_begin_again(queuectl, backup, tmp_path):
    gate = tmp_path / "gate"
    wait = f"until [ -e {gate} ]; do sleep 0.05; done"
    queuectl("enqueue", "--id", "again", "--in", "0s", wait)
    queuectl("enqueue", "--id", "once", "--retries", "0", wait)
    runner = queuectl.start("run", "--workers", "2")
    eventually(lambda: [state for _, state in queuectl.states()] == ["processing"] * 2)
    copy = backup()
    gate.touch()
    runner.send_signal(signal.SIGTERM)
    runner.wait(timeout=60)

    said = queuectl("restore", copy).stderr
    queuectl("run", "--drain", code=None)

    assert "2 runs had been under way: interrupted" in said
    assert queuectl.states() == [("again", "completed"), ("once", "dead")]
    assert queuectl.json("show", "again")["interruptions"] == 1


def test_it_is_refused_while_a_runner_works_even_if_the_database_is_gone(queuectl, database, backup):
    queuectl("enqueue", "true")
    copy = backup()
    queuectl.start("run")
    eventually(lambda: any(each["alive"] for each in queuectl.json("status")["runners"]))

    refused = queuectl("restore", copy, code=1)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    without = queuectl("restore", copy, code=1)

    assert refused.stderr == without.stderr
    assert "error: runner 1 works on" in refused.stderr
    assert "queuectl worker stop --all" in refused.stderr


def test_a_queue_that_is_damaged_or_gone_is_replaced(queuectl, database, backup):
    queuectl("enqueue", "--id", "kept", "true")
    copy = backup()
    database.write_bytes(b"no database at all" * 1000)

    queuectl("restore", copy)
    states = queuectl.states()
    database.unlink()
    shutil.rmtree(f"{database}.d", ignore_errors=True)
    queuectl("restore", copy)

    assert states == queuectl.states() == [("kept", "pending")]


@pytest.mark.parametrize("spoil", ["missing", "empty", "foreign", "cut"])
def test_what_is_no_backup_is_refused_and_changes_nothing(queuectl, database, backup, tmp_path, spoil):
    queuectl("enqueue", "--id", "kept", "true")
    bad = Path(backup("bad.db"))
    match spoil:
        case "missing":
            bad.unlink()
        case "empty":
            bad.write_bytes(b"")
        case "foreign":
            bad.write_bytes(b"something else" * 1000)
        case "cut":
            bad.write_bytes(bad.read_bytes()[: 5 * 4096])
    before = sorted(path.name for path in database.parent.iterdir() if path.suffix not in ("-wal", "-shm"))

    said = queuectl("restore", str(bad), code=69).stderr

    assert said.startswith("error: ")
    assert f"`{bad}`" in said or "the backup is damaged" in said
    assert queuectl.states() == [("kept", "pending")]
    assert sorted(path.name for path in database.parent.iterdir() if path.suffix not in ("-wal", "-shm")) == before


def test_a_queue_in_use_is_no_backup(queuectl, database, tmp_path):
    queuectl("enqueue", "true")
    other = tmp_path / "other.db"
    queuectl("enqueue", "--db", str(other), "true")
    queuectl.start("run", "--db", str(other))
    eventually(lambda: Path(f"{other}-wal").exists() and Path(f"{other}-wal").stat().st_size)

    assert "is in use" in queuectl("restore", str(other), code=69).stderr
