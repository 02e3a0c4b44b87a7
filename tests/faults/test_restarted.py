"""The machine stopped: locks are gone, what was not synced may be, and every process number means somebody else."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import eventually


@pytest.fixture
def bystander():
    """A process that has nothing to do with the queue."""
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def switched_off(scene):
    """Kill all that there is, and return whether there was nothing: a job may begin another process meanwhile."""
    pids = scene.processes()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ends when its runner does
            os.kill(pid, signal.SIGKILL)
    return not pids


def restart_machine(scene, runner, bystander, *, journals_are_lost=False):
    """Let the queue find what a machine that was switched off and on again leaves of a runner with all its processes.

    All numbers that were written down are now the bystander's.
    """
    eventually(lambda: switched_off(scene))
    runner.wait()
    scene.record_pid(runner.pid, bystander.pid)
    [lock] = Path(f"{scene.database}.d/runners").glob("*.lock")
    lock.write_text("another boot")
    for journal in Path(f"{scene.database}.d/running").iterdir():
        if journals_are_lost:
            journal.unlink()
        else:
            _, _, rest = journal.read_bytes().partition(b"\n")
            journal.write_bytes(b"worker %d\n%s" % (bystander.pid, rest))


def long_at_first(tmp_path):
    once = tmp_path / "once"
    return f"if [ ! -e {once} ]; then touch {once}; sleep 300; fi"


@pytest.mark.parametrize("journals_are_lost", [False, True])
def test_what_ran_when_the_machine_stopped_is_lost_and_runs_again(scene, tmp_path, bystander, journals_are_lost):
    scene.job("x", long_at_first(tmp_path))
    runner = scene.runner()
    scene.began("x")
    eventually((tmp_path / "once").exists)
    restart_machine(scene, runner, bystander, journals_are_lost=journals_are_lost)

    scene.queuectl("run", "--drain")

    assert (scene.show("x"), scene.outcomes("x")) == (("completed", 1), ["lost", "exited"])
    assert "lost: the machine was restarted" in scene.queuectl("show", "x").stdout
    assert bystander.poll() is None


@pytest.mark.parametrize("journals_are_lost", [False, True])
def test_without_retries_what_ran_when_the_machine_stopped_does_not_run_twice(scene, bystander, journals_are_lost):
    scene.job("x", "sleep 300", "--retries", "0")
    runner = scene.runner()
    scene.began("x")
    restart_machine(scene, runner, bystander, journals_are_lost=journals_are_lost)

    scene.queuectl("run", "--drain", code=1)

    assert (scene.show("x")[0], scene.times("x", "began"), bystander.poll()) == ("dead", 1, None)


def test_what_had_ended_when_the_machine_stopped_is_settled_as_it_ended(scene, bystander):
    restart_machine(scene, scene.ended_unheard("x"), bystander)

    scene.queuectl("run", "--drain")

    assert (scene.show("x"), scene.outcomes("x"), scene.times("x", "began")) == (("completed", 1), ["exited"], 1)
    assert bystander.poll() is None


def test_a_queue_that_was_restored_from_a_backup_runs_nothing_twice_that_must_not(scene, tmp_path):
    scene.job("x", "sleep 300", "--retries", "0")
    scene.runner("--drain-timeout", "0")
    scene.began("x")
    copy = tmp_path / "elsewhere" / "queue.db"
    copy.parent.mkdir()
    scene.queuectl("backup", str(copy))

    scene.queuectl("run", "--drain", "--db", str(copy), code=1)

    assert scene.queuectl.json("show", "x", "--db", str(copy))["state"] == "dead"
    assert scene.times("x", "began") == 1
