"""kill -9, one part at a time: no run is lost, none overlaps itself, nothing is left."""

import os
import signal

import pytest

from tests.faults.conftest import parent_of, state_of
from tests.support.waiting import eventually


@pytest.fixture
def long_at_first(tmp_path):
    """The body of a job whose first attempt takes for ever and whose next one is short."""

    def body(name="x"):
        once = tmp_path / f"{name}.once"
        return f"if [ ! -e {once} ]; then touch {once}; sleep 300; fi"

    return body


def test_a_killed_worker_costs_one_attempt_and_the_next_one_completes(scene, long_at_first):
    scene.job("x", long_at_first())
    scene.runner("--workers", "2")
    worker, job = scene.began("x")

    os.kill(worker, signal.SIGKILL)

    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), scene.times("x", "ended"), state_of(job)) == (["lost", "exited"], 1, None)


def test_all_workers_killed_together_cost_one_attempt_each(scene, long_at_first):
    for name in ("x", "y"):
        scene.job(name, long_at_first(name))
    scene.runner("--workers", "2")

    for name in ("x", "y"):
        os.kill(scene.began(name)[0], signal.SIGKILL)

    for name in ("x", "y"):
        scene.becomes(name, "completed")
        assert (scene.outcomes(name), scene.times(name, "ended")) == (["lost", "exited"], 1)


def test_a_killed_forkserver_costs_nothing_and_a_killed_worker_is_still_replaced(scene, tmp_path, long_at_first):
    go = tmp_path / "go"
    scene.job("x", f"while [ ! -e {go} ]; do sleep 0.02; done")
    scene.job("y", long_at_first("y"))
    scene.runner("--workers", "2")
    forkserver = parent_of(scene.began("x")[0])
    worker, _ = scene.began("y")
    os.kill(forkserver, signal.SIGKILL)
    eventually(lambda: not state_of(forkserver))

    os.kill(worker, signal.SIGKILL)

    scene.becomes("y", "completed")
    go.touch()
    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), scene.outcomes("y")) == (["exited"], ["lost", "exited"])


def test_a_killed_job_leader_is_a_failed_attempt_and_its_children_end(scene, tmp_path):
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; sleep 300 & sleep 300; fi")
    scene.runner()
    _, job = scene.began("x")
    eventually(once.exists)

    os.kill(job, signal.SIGKILL)

    scene.becomes("x", "completed")
    assert scene.outcomes("x") == ["signalled", "exited"]


@pytest.mark.parametrize("rescuer", ["idle", "busy"])
def test_the_run_of_a_killed_runner_is_rescued_by_another_within_seconds(scene, tmp_path, long_at_first, rescuer):
    scene.job("x", long_at_first())
    runner = scene.runner("--workers", "2")
    worker, job = scene.began("x")
    forkserver = parent_of(worker)
    go = tmp_path / "go"
    if rescuer == "busy":
        scene.freeze(runner.pid)  # so that the other one takes it
        scene.job("long", f"while [ ! -e {go} ]; do sleep 0.02; done")
    scene.runner("--workers", "2")
    if rescuer == "busy":
        scene.began("long")

    runner.kill()
    runner.wait()

    scene.becomes("x", "completed", within=12)
    go.touch()
    assert (scene.outcomes("x"), scene.times("x", "ended")) == (["lost", "exited"], 1)
    eventually(lambda: not [pid for pid in (worker, job, forkserver) if state_of(pid)])


@pytest.mark.parametrize("body", ["sleep 300", "trap '' TERM INT HUP; while :; do sleep 1; done"])
def test_the_jobs_of_a_runner_that_was_killed_with_its_workers_are_ended_before_they_run_again(scene, tmp_path, body):
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; {body}; fi")
    runner = scene.runner()
    _, job = scene.began("x")
    eventually(once.exists)

    scene.kill_with_workers(runner)
    assert state_of(job)
    scene.queuectl("run", "--drain")

    assert (scene.show("x")[0], scene.outcomes("x"), state_of(job)) == ("completed", ["lost", "exited"], None)


def test_an_attempt_that_ended_while_its_runner_was_dying_is_not_run_again(scene):
    runner = scene.ended_unheard("x")

    runner.kill()
    runner.wait()
    scene.queuectl("run", "--drain")

    assert (scene.show("x"), scene.outcomes("x"), scene.times("x", "began")) == (("completed", 1), ["exited"], 1)


def test_a_job_that_ends_by_itself_right_after_its_runner_died_is_not_run_again(scene):
    scene.job("x", "runner=$(ps -o ppid= $(ps -o ppid= $PPID)); while [ -d /proc/$((runner)) ]; do :; done")
    runner = scene.runner()
    scene.began("x")
    scene.runner("--workers", "1")

    runner.kill()
    runner.wait()

    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), scene.times("x", "began")) == (["exited"], 1)


def test_without_retries_a_run_whose_worker_was_killed_does_not_run_twice(scene):
    scene.job("x", "sleep 300", "--retries", "0")
    scene.runner()
    worker, _ = scene.began("x")

    os.kill(worker, signal.SIGKILL)

    scene.becomes("x", "dead")
    assert scene.times("x", "began") == 1


def test_what_a_killed_runner_had_claimed_and_not_begun_is_not_lost(scene):
    scene.queuectl("enqueue", "-", input="sleep 0.01\n" * 300)  # quick ones: the runner claims ahead
    runner = scene.runner("--workers", "2")
    eventually(lambda: scene.counts().get("completed", 0) > 20)

    runner.kill()
    runner.wait()
    scene.queuectl("run", "--drain", "--workers", "4")

    assert scene.counts() == {"completed": 300}


def test_the_helpers_of_a_killed_runner_end_without_a_word(scene):
    runner = scene.runner("--workers", "2")

    runner.kill()
    runner.wait()

    eventually(lambda: not scene.processes())
    assert scene.said() == ""


def test_a_runner_that_is_killed_again_and_again_loses_no_run(scene):
    count = 30
    for number in range(count):
        scene.job(f"x{number}", "sleep 0.05")
    for done in (5, 10, 15, 20):
        runner = scene.runner("--workers", "3")
        eventually(lambda done=done: scene.counts().get("completed", 0) >= done)
        runner.kill()
        runner.wait()

    scene.queuectl("run", "--drain")

    assert scene.counts() == {"completed": count}
    assert all(scene.times(f"x{number}", "ended") >= 1 for number in range(count))
