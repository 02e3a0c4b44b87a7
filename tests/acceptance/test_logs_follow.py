"""`queuectl logs -f`, read while jobs write."""

import signal
import subprocess

import apsw
import pytest

from tests.acceptance.conftest import COMMAND
from tests.support.waiting import eventually


@pytest.fixture
def follow(queuectl, tmp_path):
    """Start `logs -f` into a file; return the process and the file."""

    def start(*arguments):
        out = tmp_path / "followed"
        with out.open("wb") as target:
            process = subprocess.Popen(
                [COMMAND, "logs", "-f", *arguments],
                cwd=queuectl.folder,
                env=queuectl.environ,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.DEVNULL,
            )
        queuectl.started.append(process)
        return process, out

    return start


def test_output_is_shown_while_it_is_written_and_ends_with_the_run(queuectl, follow, tmp_path):
    go = tmp_path / "go"
    queuectl("enqueue", "--id", "x", f"echo one; while [ ! -e {go} ]; do sleep 0.02; done; echo two")
    process, out = follow("x")
    queuectl.start("run")

    eventually(lambda: out.read_text() == "one\n")
    go.touch()

    assert process.wait(30) == 0
    assert out.read_text() == "one\ntwo\n"


def test_following_goes_from_attempt_to_attempt(queuectl, follow):
    job = '{"id": "x", "command": "echo $QUEUECTL_ATTEMPT; [ $QUEUECTL_ATTEMPT = 3 ]", "retry_delay": 0.3}'
    queuectl("enqueue", job)
    process, out = follow("x")
    queuectl.start("run")

    assert process.wait(30) == 0
    assert out.read_text() == "1\n2\n3\n"


def test_following_a_run_that_ended_prints_its_last_attempt(queuectl, follow):
    queuectl("enqueue", '{"id": "x", "command": "echo $QUEUECTL_ATTEMPT; exit 1", "retries": 1, "retry_delay": 0}')
    queuectl("run", "--drain", code=1)

    process, out = follow("x")

    assert process.wait(30) == 0
    assert out.read_text() == "2\n"


def test_following_is_left_with_ctrl_c(queuectl, follow, tmp_path):
    go = tmp_path / "go"
    queuectl("enqueue", "--id", "x", f"echo one; while [ ! -e {go} ]; do sleep 0.02; done")
    process, out = follow("x")
    queuectl.start("run")
    eventually(lambda: out.read_text() == "one\n")

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130


def test_following_one_attempt_is_a_contradiction(queuectl):
    queuectl("enqueue", "--id", "x", "true")

    assert "`--follow`" in queuectl("logs", "-f", "--attempt", "1", "x", code=64).stderr


def test_a_reader_that_goes_away_ends_the_following_of_a_silent_job(queuectl, tmp_path):
    queuectl("enqueue", "--id", "x", "echo one; exec sleep 300")
    queuectl.start("run")
    followed = f"{COMMAND} logs -f x | head -1"

    done = subprocess.run(
        ["sh", "-c", followed], cwd=queuectl.folder, env=queuectl.environ, capture_output=True, timeout=60, check=True
    )

    assert (done.stdout, done.stderr) == (b"one\n", b"")


def test_a_run_that_is_purged_is_not_followed_any_more(queuectl, follow, tmp_path):
    queuectl("enqueue", '{"id": "x", "command": "echo one; exit 1", "retry_delay": "1h"}')
    queuectl("run", "--once")
    process, out = follow("x")
    eventually(lambda: out.read_text() == "one\n")

    with apsw.Connection(queuectl.environ["QUEUECTL_DB"]) as connection:
        connection.execute("DELETE FROM runs")

    assert process.wait(60) == 3
