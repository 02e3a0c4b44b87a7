"""What ends a runner, and what it leaves."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import eventually


def is_gone(pid):
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def running(queuectl, tmp_path):
    """Start a runner with one run under way; return the process, and the pid of the job."""

    def start(command="exec sleep 300", *options):
        marker = tmp_path / "job"
        queuectl("enqueue", "--id", "x", f"echo $$ > {marker}.tmp; mv {marker}.tmp {marker}; {command}")
        runner = queuectl.start("run", "--workers", "2", *options)
        return runner, int(eventually(lambda: marker.exists() and marker.read_text()))

    return start


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_running_attempts_finish_and_starts_nothing_new(queuectl, running, tmp_path, sig):
    go = tmp_path / "go"
    runner, _ = running(f"while [ ! -e {go} ]; do sleep 0.02; done")

    runner.send_signal(sig)
    queuectl("enqueue", "--id", "later", "true")
    go.touch()

    assert runner.wait(30) == 0
    assert (queuectl.json("show", "x")["state"], queuectl.json("show", "later")["state"]) == ("completed", "pending")


def test_ctrl_c_reaches_the_whole_group_and_costs_no_attempt(queuectl, running, tmp_path):
    go = tmp_path / "go"
    runner, _ = running(f"while [ ! -e {go} ]; do sleep 0.02; done")

    os.killpg(runner.pid, signal.SIGINT)
    go.touch()

    assert runner.wait(30) == 0
    assert queuectl.json("show", "x")["state"] == "completed"


def test_sigterm_to_every_process_of_the_runner_as_systemd_sends_it_costs_no_attempt(queuectl, running, tmp_path):
    go = tmp_path / "go"
    runner, _ = running(f"while [ ! -e {go} ]; do sleep 0.02; done")

    os.killpg(runner.pid, signal.SIGTERM)
    go.touch()

    assert runner.wait(30) == 0
    assert queuectl.json("show", "x")["state"] == "completed"


def test_an_attempt_that_outlives_the_drain_time_out_is_released_uncharged(queuectl, running):
    runner, job = running("exec sleep 300", "--drain-timeout", "0.2s")

    runner.terminate()

    assert runner.wait(30) == 0
    run = queuectl.json("show", "x")
    assert (run["state"], run["attempts"], is_gone(job)) == ("pending", 0, True)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(queuectl, running, sig):
    runner, job = running("trap '' TERM; while :; do sleep 1; done")

    runner.send_signal(sig)
    eventually(lambda: queuectl.json("status")["runners"])
    runner.send_signal(sig)

    assert runner.wait(30) == 128 + sig
    run = queuectl.json("show", "x")
    assert (run["state"], run["attempts"], is_gone(job)) == ("pending", 0, True)


def test_a_killed_runner_leaves_nothing_running_and_its_run_is_rescued(queuectl, running):
    runner, job = running("exec sleep 300")

    runner.kill()
    runner.wait()
    eventually(lambda: is_gone(job))
    rescuer = queuectl.start("run")

    eventually(lambda: queuectl.json("show", "x")["reason"] == "lost: the runner died")
    rescuer.terminate()
    rescuer.wait(30)
    assert [runner["pid"] for runner in queuectl.json("status")["runners"]] == []


def test_a_drain_waits_until_the_runs_of_a_killed_runner_are_rescued(queuectl, running):
    runner, _ = running("trap '' TERM; [ -e began ] || while touch began; do sleep 1; done")

    runner.kill()
    queuectl("run", "--drain")

    run = queuectl.json("show", "x")
    assert (run["state"], run["attempts"], run["interruptions"]) == ("completed", 1, 1)


def test_without_retries_an_attempt_that_was_ended_by_a_shutdown_is_not_run_again(queuectl, tmp_path):
    queuectl("enqueue", "--id", "x", "--retries", "0", f"echo began >> {tmp_path}/effect; sleep 300")
    runner = queuectl.start("run", "--drain-timeout", "0")
    eventually((tmp_path / "effect").exists)

    runner.terminate()
    assert runner.wait(30) == 0
    queuectl("run", "--drain")

    assert queuectl.json("show", "x")["state"] == "dead"
    assert (tmp_path / "effect").read_text() == "began\n"


def test_cancelling_a_running_run_ends_its_tree(queuectl, running):
    runner, job = running("exec sleep 300")

    queuectl("cancel", "x")

    eventually(lambda: queuectl.json("show", "x")["state"] == "cancelled")
    assert is_gone(job)
    runner.terminate()
    assert runner.wait(30) == 0


def test_a_reader_that_goes_away_stops_the_runner_gently(queuectl, tmp_path):
    queuectl("enqueue", "-", input="true\n" * 3)
    reading, writing = os.pipe()
    runner = queuectl.start("run", stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)

    queuectl("enqueue", "true")

    assert runner.wait(30) == 0


def test_a_pipe_to_head_ends(queuectl):
    queuectl("enqueue", "-", input="true\n" * 20)
    shell = "queuectl run --drain | head -1"

    done = subprocess.run(
        ["sh", "-c", shell], check=True, env=queuectl.environ, cwd=queuectl.folder, capture_output=True, timeout=60
    )

    assert (done.stderr, done.stdout.count(b"\n")) == (b"", 1)
