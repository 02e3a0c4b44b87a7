"""`queuectl wait`, `enqueue --wait` and `enqueue --follow`: a script that goes on when a run is over."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import COMMAND
from tests.support.waiting import eventually


@pytest.fixture
def waiting(queuectl):
    """Start a command and return its process, with pipes; it is ended with the test."""

    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=queuectl.folder,
            env=queuectl.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def settled(queuectl):
    """A queue with one run that was completed, and one that died with exit code 7."""
    queuectl("enqueue", "--id", "good", "true")
    queuectl("enqueue", "--id", "bad", "--retries", "0", "exit 7")
    queuectl("run", "--drain", code=1)
    return queuectl


def test_waiting_ends_with_the_last_of_the_runs(queuectl, waiting):
    queuectl("enqueue", "-", input="true\nsleep 0.2\ntrue\n")
    process = waiting("wait", "r1", "r2", "r3")
    queuectl.start("run", "--drain")

    out, _ = process.communicate(timeout=60)

    assert (process.returncode, sorted(out.splitlines())) == (0, ["r1  completed", "r2  completed", "r3  completed"])


def test_a_run_that_was_not_completed_fails_the_wait(settled):
    done = settled("wait", "good", "bad", code=1)

    assert done.stdout == "good  completed\nbad  dead  exit code 7\n"


def test_a_wait_for_any_ends_with_the_first(queuectl):
    queuectl("enqueue", "--id", "never", "--in", "1h", "true")
    queuectl("enqueue", "--id", "now", "true")
    queuectl("run", "--once")

    assert queuectl("wait", "never", "now", "--any").stdout == "now  completed\n"


def test_a_run_that_has_a_name_can_be_waited_for_by_its_number(settled):
    assert settled("wait", "bad", "r1", code=1).stdout == "bad  dead  exit code 7\ngood  completed\n"


def test_a_wait_in_vain_says_for_what(queuectl):
    queuectl("enqueue", "--id", "never", "--in", "1h", "true")

    said = queuectl("wait", "never", "--timeout", "0.1s", code=124).stderr

    assert said.startswith("no runner is alive: nothing runs until one is started\n")
    assert said.endswith("error: not over within 100ms: `never`\n")


def test_a_wait_can_exit_as_the_command_did(settled):
    settled("wait", "good", "bad", "--propagate", code=7)


def test_a_wait_prints_the_runs_as_json(settled):
    found = settled("wait", "good", "--json").stdout

    assert '"id": "good"' in found


def test_a_run_that_a_person_cancels_is_over(queuectl, waiting):
    queuectl("enqueue", "--id", "later", "--in", "1h", "true")
    process = waiting("wait", "later")
    queuectl("cancel", "later")

    assert process.communicate(timeout=60)[0] == "later  cancelled  cancelled before it ran\n"
    assert process.returncode == 1


def test_a_run_that_is_purged_is_not_waited_for(settled, waiting):
    settled("enqueue", "--id", "later", "--in", "1h", "true")
    process = waiting("wait", "later", "bad")
    assert process.stdout.readline() == "bad  dead  exit code 7\n"

    settled("dlq", "purge", "bad", "--yes")  # it is over already: nobody misses it
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_ctrl_c_leaves_the_run_alone_and_says_so(queuectl, waiting):
    queuectl("enqueue", "--id", "later", "--in", "1h", "true")
    process = waiting("wait", "later")
    assert process.stderr.readline() == "no runner is alive: nothing runs until one is started\n"

    process.send_signal(signal.SIGINT)

    _, said = process.communicate(timeout=60)
    assert (process.returncode, queuectl.json("show", "later")["state"]) == (130, "pending")
    assert said == "\nleft as it is: `later`; `queuectl wait later` waits again\n"


def test_what_is_selected_is_waited_for_if_it_is_not_over(settled, waiting):
    settled("enqueue", "--id", "one", "--tag", "batch", "true")
    settled("enqueue", "--id", "two", "--tag", "other", "--in", "1h", "true")
    process = waiting("wait", "--tag", "batch")
    settled("run", "--once")

    assert process.communicate(timeout=60)[0] == "one  completed\n"


def test_where_nothing_is_selected_there_is_nothing_to_wait_for(settled):
    assert settled("wait", "--all").stderr == "no run to wait for\n"


@pytest.mark.parametrize("arguments", [(), ("--state", "dead"), ("good", "--all")], ids=" ".join)
def test_a_wait_has_to_say_for_what(settled, arguments):
    settled("wait", *arguments, code=64)


def test_a_database_that_is_removed_ends_the_wait(queuectl, waiting):
    queuectl("enqueue", "--id", "later", "--in", "1h", "true")
    process = waiting("wait", "later")
    process.stderr.readline()

    Path(queuectl.environ["QUEUECTL_DB"]).unlink()

    assert process.wait(60) == 69


def test_waiting_for_what_is_not_there_is_refused(queuectl):
    queuectl("wait", "nothing", code=3)


def test_enqueue_waits_for_all_that_it_queued(queuectl, waiting):
    queuectl.start("run")
    done = queuectl("enqueue", "--wait", "--retries", "0", "-", input="true\nexit 3\n", code=1)

    assert (done.stdout, done.stderr.splitlines()[-1]) == ("r1\nr2\n", "r2  dead  exit code 3")


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [("exit 7", (), 7), ("kill -9 $$", (), 137), ("sleep 60", ("--timeout", "0.1s"), 124), ("true", (), 0)],
)
def test_enqueue_exits_as_the_command_did(queuectl, command, options, code):
    queuectl.start("run")

    queuectl("enqueue", "--wait", "--propagate", "--retries", "0", *options, command, code=code)


def test_following_passes_both_streams_on_and_nothing_else_to_stdout(queuectl):
    queuectl.start("run")
    eventually(lambda: queuectl.json("worker", "list"))

    done = queuectl("enqueue", "--follow", "--propagate", "--retries", "0", "echo out; echo err >&2; exit 5", code=5)

    assert (done.stdout, done.stderr) == ("out\n", "r1\nerr\nr1  dead  exit code 5\n")


@pytest.mark.parametrize("arguments", [("--propagate", "true"), ("--follow", "-")], ids=" ".join)
def test_options_that_need_others_are_refused(queuectl, arguments):
    queuectl("enqueue", *arguments, input="", code=64)
