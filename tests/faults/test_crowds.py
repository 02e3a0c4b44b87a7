"""Many at once: writers, runners, and programs that open a queue that is not there yet."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.conftest import state_of
from tests.support.waiting import eventually


def test_two_runners_execute_every_run_of_eight_enqueuers_once(scene, tmp_path):
    witness = tmp_path / "executed"
    runners = [scene.runner("--workers", "2") for _ in range(2)]

    def enqueue(writer):
        for half in range(2):
            names = [f"{writer}.{half}.{number}" for number in range(25)]
            scene.queuectl("enqueue", "-", input="".join(f"echo {name} >> {witness}\n" for name in names))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enqueue, range(8)))

    eventually(lambda: scene.counts() == {"completed": 400})
    executed = witness.read_text().split()
    assert (len(executed), len(set(executed))) == (400, 400)
    assert [runner.poll() for runner in runners] == [None, None]


def test_sixteen_that_open_a_new_queue_at_once_all_succeed(scene):
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda number: scene.queuectl("enqueue", "--id", f"x{number}", "true").stdout, range(16)))

    assert sorted(ids) == sorted(f"x{number}\n" for number in range(16))
    assert scene.counts() == {"pending": 16}


def test_runners_that_start_together_on_a_new_queue_share_it(scene):
    runners = [scene.queuectl.start("run", "--workers", "1") for _ in range(4)]
    eventually(lambda: len(scene.registered()) == 4)

    scene.queuectl("enqueue", "-", input="true\n" * 20)

    eventually(lambda: scene.counts() == {"completed": 20})
    assert [runner.poll() for runner in runners] == [None] * 4


def test_two_that_rescue_the_same_runner_settle_each_run_once(scene, tmp_path):
    go = tmp_path / "go"
    names = [f"x{number}" for number in range(4)]
    for name in names:
        scene.job(name, f"while [ ! -e {go} ]; do sleep 0.02; done")
    runner = scene.runner("--workers", "4")
    for name in names:
        scene.began(name)
    scene.kill_with_workers(runner)
    go.touch()

    rescuers = [scene.queuectl.start("run", "--workers", "2", "--drain") for _ in range(3)]

    assert [rescuer.wait(30) for rescuer in rescuers] == [0, 0, 0]
    for name in names:
        assert scene.show(name)[0] == "completed"
        assert scene.outcomes(name) in (["lost", "exited"], ["exited", "exited"])


def test_a_process_that_has_the_number_of_a_dead_runner_is_left_alone(scene, tmp_path):
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; sleep 300; fi")
    runner = scene.runner()
    _, job = scene.began("x")
    eventually(once.exists)
    scene.kill_with_workers(runner)
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        scene.record_pid(runner.pid, bystander.pid)

        scene.runner()
        scene.becomes("x", "completed")

        assert (bystander.poll(), state_of(job)) == (None, None)
    finally:
        bystander.kill()
        bystander.wait()


def test_a_process_that_reads_a_run_lock_is_left_alone(scene, tmp_path):
    once = tmp_path / "once"
    scene.job("x", f"if [ ! -e {once} ]; then touch {once}; sleep 300; fi")
    scene.runner()
    worker, _ = scene.began("x")
    eventually(once.exists)
    [lock] = Path(f"{scene.database}.d/running").iterdir()
    with lock.open("rb") as reading:
        reader = subprocess.Popen(["sleep", "60"], stdin=reading, start_new_session=True)
    try:
        os.kill(worker, 9)

        scene.becomes("x", "completed")

        assert reader.poll() is None
    finally:
        reader.kill()
        reader.wait()
