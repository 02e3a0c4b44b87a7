"""SIGSTOP: what stands still has not died, and what is believed to be dead must be."""

import os
import signal

import pytest

from tests.faults.conftest import parent_of, state_of
from tests.support.waiting import eventually


@pytest.fixture
def gate(tmp_path):
    """A body that waits for a file, and the file."""
    go = tmp_path / "go"
    return f"while [ ! -e {go} ]; do sleep 0.02; done", go


def test_a_frozen_runner_keeps_its_run_and_goes_on_when_it_wakes(scene, gate):
    body, go = gate
    scene.job("x", body)
    runner = scene.runner("--workers", "1")
    scene.began("x")
    scene.freeze(runner.pid)
    scene.queuectl("run", "--once")  # looks around for what to rescue, and finds nothing
    go.touch()
    eventually(lambda: scene.times("x", "ended"))
    assert scene.show("x") == ("processing", 1)

    runner.send_signal(signal.SIGCONT)

    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), scene.times("x", "began")) == (["exited"], 1)


def test_a_frozen_runner_that_is_killed_is_rescued(scene, gate):
    body, go = gate
    scene.job("x", body)
    runner = scene.runner("--workers", "1")
    _, job = scene.began("x")
    scene.freeze(runner.pid)

    runner.kill()
    runner.wait()
    eventually(lambda: not state_of(job))
    go.touch()
    scene.queuectl("run", "--drain")

    assert (scene.show("x")[0], scene.outcomes("x")) == ("completed", ["lost", "exited"])


def test_a_frozen_worker_keeps_its_run_and_reports_it_when_it_wakes(scene, gate):
    body, go = gate
    scene.job("x", body)
    scene.runner("--workers", "2")
    worker, _ = scene.began("x")
    scene.freeze(worker)
    go.touch()
    eventually(lambda: scene.times("x", "ended"))
    scene.job("y", "true")
    scene.becomes("y", "completed")
    assert scene.show("x") == ("processing", 1)

    os.kill(worker, signal.SIGCONT)

    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), scene.times("x", "began")) == (["exited"], 1)


def test_a_frozen_worker_that_is_killed_costs_one_attempt(scene, gate):
    body, go = gate
    scene.job("x", body)
    scene.runner("--workers", "2")
    worker, job = scene.began("x")
    scene.freeze(worker)

    os.kill(worker, signal.SIGKILL)
    scene.began("x", attempt=2)
    go.touch()

    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), state_of(job)) == (["lost", "exited"], None)


def test_a_worker_that_was_frozen_when_its_runner_died_does_not_hold_up_the_rescue(scene, gate):
    body, go = gate
    scene.job("x", body)
    runner = scene.runner("--workers", "1")
    worker, job = scene.began("x")
    scene.freeze(worker)
    runner.kill()
    runner.wait()

    scene.runner("--workers", "1")
    scene.began("x", attempt=2)
    assert (state_of(worker), state_of(job)) == (None, None)
    go.touch()

    scene.becomes("x", "completed")
    assert scene.outcomes("x") == ["lost", "exited"]


def test_no_run_waits_for_a_frozen_idle_worker(scene, gate):
    body, go = gate
    scene.job("x", body)
    scene.runner("--workers", "2")
    worker, _ = scene.began("x")
    go.touch()
    scene.becomes("x", "completed")
    scene.freeze(worker)

    for name in ("a", "b", "c", "d"):
        scene.job(name, "true")

    for name in ("a", "b", "c", "d"):
        scene.becomes(name, "completed")


def test_a_frozen_job_is_ended_by_its_time_out_and_by_a_cancel(scene):
    scene.job("late", "sleep 300", "--timeout", "1s", "--retries", "0")
    scene.job("unwanted", "sleep 300")
    scene.runner("--workers", "2")
    jobs = [scene.began(name)[1] for name in ("late", "unwanted")]
    for job in jobs:
        scene.freeze(job)

    scene.queuectl("cancel", "unwanted")

    scene.becomes("late", "dead")
    scene.becomes("unwanted", "cancelled")
    assert (scene.outcomes("late"), [state_of(job) for job in jobs]) == (["timed out"], [None, None])


def test_a_frozen_job_that_wakes_has_lost_nothing(scene, gate):
    body, go = gate
    scene.job("x", body)
    scene.runner()
    _, job = scene.began("x")
    scene.freeze(job)
    go.touch()

    os.kill(job, signal.SIGCONT)

    scene.becomes("x", "completed")
    assert scene.outcomes("x") == ["exited"]


def test_a_frozen_job_that_is_killed_is_a_failed_attempt(scene, tmp_path):
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; sleep 300; fi")
    scene.runner()
    _, job = scene.began("x")
    eventually(once.exists)
    scene.freeze(job)

    os.kill(job, signal.SIGKILL)

    scene.becomes("x", "completed")
    assert scene.outcomes("x") == ["signalled", "exited"]


def test_a_frozen_job_of_a_killed_runner_is_ended_before_it_runs_again(scene, tmp_path):
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; sleep 300; fi")
    runner = scene.runner()
    _, job = scene.began("x")
    eventually(once.exists)
    scene.freeze(job)

    scene.kill_with_workers(runner)
    scene.queuectl("run", "--drain")

    assert (scene.show("x")[0], scene.outcomes("x"), state_of(job)) == ("completed", ["lost", "exited"], None)


def test_another_runner_that_beats_beside_a_frozen_one_takes_nothing_from_it(scene, gate):
    body, go = gate
    scene.job("x", body)
    runner = scene.runner("--workers", "1")
    scene.began("x")
    scene.freeze(runner.pid)
    other = scene.runner("--workers", "1")
    first = scene.heartbeat(other.pid)

    eventually(lambda: scene.heartbeat(other.pid) != first)

    assert (scene.show("x"), scene.times("x", "began")) == (("processing", 1), 1)
    go.touch()
    runner.send_signal(signal.SIGCONT)
    scene.becomes("x", "completed")


def test_a_frozen_worker_does_not_keep_its_runner_from_ending(scene, gate):
    body, _ = gate
    scene.job("x", body)
    runner = scene.runner("--workers", "2", "--drain-timeout", "0")
    worker, job = scene.began("x")
    scene.freeze(worker)

    runner.terminate()
    runner.wait(30)

    assert scene.show("x") == ("failed", 0)
    assert [pid for pid in (worker, job) if state_of(pid)] == []


def test_an_idle_worker_that_is_frozen_does_not_keep_its_runner_from_ending(scene):
    scene.job("x", "true")
    runner = scene.runner("--workers", "1")
    worker, _ = scene.began("x")
    scene.becomes("x", "completed")
    scene.freeze(worker)

    runner.terminate()
    runner.wait(30)

    assert not state_of(worker)


def test_the_time_out_of_a_frozen_worker_s_job_is_kept(scene, gate):
    body, _ = gate
    scene.job("x", body, "--timeout", "1s", "--retries", "0")
    scene.runner("--workers", "1")
    worker, job = scene.began("x")
    scene.freeze(worker)

    scene.becomes("x", "dead")
    assert state_of(job) is None


def test_a_frozen_forkserver_holds_up_neither_runs_nor_the_replacement_of_a_worker(scene, gate):
    body, go = gate
    scene.job("x", body)
    scene.job("y", body)
    scene.runner("--workers", "2")
    forkserver = parent_of(scene.began("x")[0])
    worker, _ = scene.began("y")
    scene.freeze(forkserver)
    os.kill(worker, signal.SIGKILL)
    scene.job("z", body)

    go.touch()

    for name in ("x", "y", "z"):  # by the worker that is left
        scene.becomes(name, "completed")
    eventually(lambda: state_of(forkserver) is None)
    assert (scene.outcomes("x"), scene.outcomes("y")) == (["exited"], ["lost", "exited"])


def test_a_runner_whose_only_worker_died_with_a_frozen_forkserver_goes_on(scene, gate):
    body, go = gate
    scene.job("x", body)
    scene.runner("--workers", "1")
    worker, _ = scene.began("x")
    scene.freeze(parent_of(worker))

    os.kill(worker, signal.SIGKILL)
    go.touch()

    scene.becomes("x", "completed")
    assert scene.outcomes("x") == ["lost", "exited"]


@pytest.mark.parametrize("has_lost_a_worker", [False, True])
def test_a_frozen_forkserver_does_not_keep_its_runner_from_ending(scene, has_lost_a_worker):
    scene.job("x", "true")
    runner = scene.runner("--workers", "2")
    worker, _ = scene.began("x")
    scene.becomes("x", "completed")
    scene.freeze(parent_of(worker))
    if has_lost_a_worker:
        os.kill(worker, signal.SIGKILL)

    runner.terminate()

    assert runner.wait(30) == 0


def test_a_whole_group_that_was_frozen_goes_on_when_it_wakes(scene, gate):
    body, go = gate
    scene.job("x", body)
    runner = scene.runner("--workers", "1")
    worker, _ = scene.began("x")
    group = [runner.pid, parent_of(worker), worker]
    for pid in group:
        scene.freeze(pid)
    go.touch()
    eventually(lambda: scene.times("x", "ended"))

    for pid in group:
        os.kill(pid, signal.SIGCONT)

    scene.becomes("x", "completed")
    assert (scene.outcomes("x"), scene.times("x", "began")) == (["exited"], 1)
