"""What can happen to the file: a runner goes on later, or says why it does not, and never makes it worse."""

import contextlib
import os
import subprocess

import apsw
import pytest

from tests.support.waiting import eventually


@contextlib.contextmanager
def locked(database, mode="IMMEDIATE"):
    """Hold the database as another program does."""
    other = apsw.Connection(str(database))
    other.set_busy_timeout(10_000)
    other.execute(f"BEGIN {mode}; UPDATE runs SET updated_at = updated_at")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture
def impatient(scene):
    """A scene whose runners wait for others no longer than a moment."""
    scene.queuectl.environ = {**scene.queuectl.environ, "QUEUECTL_BUSY_TIMEOUT": "0.2s"}
    return scene


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_runner_outlasts_a_program_that_locks_the_database_and_keeps_its_outcome(impatient, tmp_path, mode):
    scene, go = impatient, tmp_path / "go"
    scene.job("x", f"while [ ! -e {go} ]; do sleep 0.02; done")
    scene.job("y", "true", "--in", "1s")
    runner = scene.runner("--workers", "1")
    scene.began("x")

    with locked(scene.database, mode):
        go.touch()
        eventually(lambda: scene.said().count("trying again") >= 3)

    scene.becomes("x", "completed")
    scene.becomes("y", "completed")
    assert (scene.outcomes("x"), scene.times("x", "began"), runner.poll()) == (["exited"], 1, None)


def test_a_drain_that_waits_for_a_retry_outlasts_a_lock(impatient, tmp_path):
    scene = impatient
    scene.queuectl.environ = {**scene.queuectl.environ, "QUEUECTL_RETRY_DELAY": "1s"}
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; exit 1; fi")
    runner = scene.runner("--drain")
    scene.becomes("x", "failed")

    with locked(scene.database, "EXCLUSIVE"):
        eventually(lambda: scene.said().count("trying again") >= 2)

    assert runner.wait(20) == 0
    assert scene.show("x") == ("completed", 2)


def test_a_command_that_finds_the_database_locked_says_so(impatient):
    impatient.job("x", "true")

    with locked(impatient.database):
        done = impatient.queuectl("enqueue", "true", code=None)

    assert done.returncode != 0
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: os.truncate(file, 5000),
        lambda file: file.write_bytes(b"not a database " * 1000),
        lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\x5a" * 60_000),
    ],
    ids=["truncated to a page", "overwritten", "damaged"],
)
def test_a_runner_that_starts_on_a_spoilt_database_refuses_in_a_sentence(scene, spoil):
    scene.job("x", "true")
    spoil(scene.database)
    before = scene.database.read_bytes()

    done = scene.queuectl("run", "--once", code=None)

    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert scene.database.read_bytes() == before


def test_a_database_that_was_truncated_to_nothing_is_not_taken_for_a_new_queue(scene):
    scene.job("x", "echo precious")
    scene.queuectl("run", "--drain")
    os.truncate(scene.database, 0)

    for words in (["enqueue", "true"], ["run", "--once"], ["list"], ["doctor"]):
        done = scene.queuectl(*words, code=69)
        assert done.stderr.startswith(f"error: `{scene.database}` is empty, but ")

    assert scene.database.stat().st_size == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: os.truncate(file, 0),
        lambda file: os.truncate(file, 5000),
        lambda file: file.write_bytes(b"not a database " * 1000),
    ],
    ids=["truncated to nothing", "truncated to a page", "overwritten"],
)
def test_a_runner_whose_database_is_spoilt_under_it_says_so_in_a_sentence(scene, tmp_path, spoil):
    go = tmp_path / "go"
    scene.job("x", f"while [ ! -e {go} ]; do sleep 0.02; done")
    runner = scene.runner("--workers", "1")
    scene.began("x")
    with contextlib.closing(apsw.Connection(str(scene.database))) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    spoil(scene.database)
    go.touch()

    eventually(scene.said)
    runner.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):  # it keeps its outcome as long as it may
        runner.wait(1)
    runner.kill()
    assert scene.said().splitlines()[0].startswith(("error: ", "warning: "))


def test_a_runner_whose_database_was_replaced_refuses_and_touches_neither(scene, tmp_path):
    scene.job("x", "true")
    scene.queuectl("run", "--drain")
    runner = scene.runner("--workers", "1")
    other = tmp_path / "other.db"
    scene.queuectl("enqueue", "--id", "theirs", "--db", str(other), "true")
    with contextlib.closing(apsw.Connection(str(other))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = other.read_bytes()

    other.replace(scene.database)

    assert runner.wait(20) != 0
    assert scene.said().count("\n") <= 3
    assert "replaced" in scene.said()
    assert scene.database.read_bytes() == before


@pytest.fixture
def small_disk(scene, tmp_path):
    """A scene whose queue is on a disk of 2 MiB; return the folder where it is mounted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2M", "queuectl", mount], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    scene.queuectl.environ = {**scene.queuectl.environ, "QUEUECTL_DB": str(mount / "queue.db")}
    yield mount
    for process in scene.queuectl.started:
        if process.poll() is None:
            process.kill()
            process.wait()
    eventually(lambda: subprocess.run(["umount", mount], capture_output=True, check=False).returncode == 0)


def fill(mount):
    """Leave no byte free; return the file that takes the room."""
    ballast = mount / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return ballast


FULL = "error: `{}` cannot grow: the disk is full\n\nhint: make room on the disk\n"


def test_a_runner_on_a_full_disk_keeps_its_outcomes_and_goes_on_when_there_is_room(scene, small_disk, tmp_path):
    go = tmp_path / "go"
    scene.job("x", f"while [ ! -e {go} ]; do sleep 0.02; done; echo much")
    scene.job("y", f"while [ ! -e {go} ]; do sleep 0.02; done; exit 1", "--retries", "0")
    runner = scene.runner("--workers", "2")
    scene.began("x")
    scene.began("y")
    ballast = fill(small_disk)
    go.touch()
    eventually(lambda: "the disk is full" in scene.said())
    assert scene.show("x") == ("processing", 1)

    ballast.unlink()

    scene.becomes("x", "completed")
    scene.becomes("y", "dead")
    assert (scene.outcomes("x"), scene.times("x", "began"), runner.poll()) == (["exited"], 1, None)


def test_enqueueing_and_starting_on_a_full_disk_say_so_and_lose_nothing(scene, small_disk):
    scene.job("x", "true")
    ballast = fill(small_disk)

    for words in (["enqueue", "-"], ["run", "--once"]):
        done = scene.queuectl(*words, input="true\n" * 1000, code=69)
        assert done.stderr == FULL.format(scene.database)

    ballast.unlink()
    scene.queuectl("run", "--drain")
    assert scene.counts() == {"completed": 1}


def test_a_read_only_database_is_refused_in_a_sentence_and_used_once_it_can_be_written(scene, small_disk):
    scene.job("x", "true")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        for words in (["enqueue", "true"], ["run", "--once"]):
            done = scene.queuectl(*words, code=69)
            assert done.stderr.startswith(
                f"error: `{scene.database}` lies on a read-only file system\n\nhint: mount it"
            )
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)

    scene.queuectl("run", "--drain")
    assert scene.counts() == {"completed": 1}
