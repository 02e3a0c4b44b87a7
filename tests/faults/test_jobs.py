"""What jobs do to whoever runs them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from queuectl.line import files_needed
from tests.acceptance.conftest import COMMAND
from tests.faults.conftest import state_of
from tests.support.waiting import eventually

_MIB = 1 << 20


def output(scene, id, *options):
    """Return what is kept of a run's last attempt, as text and size."""
    return scene.queuectl("logs", id, "--raw", *options).stdout


def high_water(pid):
    """Return the most memory that a process has ever had, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_daemon_that_forked_twice_and_left_the_session_is_ended(scene, tmp_path):
    pid = tmp_path / "pid"
    daemon = f"( setsid sh -c 'sleep 300 & echo $! > {pid}.tmp; mv {pid}.tmp {pid}' & )"
    scene.job("x", f"{daemon}; while [ ! -e {pid} ]; do sleep 0.01; done")
    scene.runner()

    scene.becomes("x", "completed")

    eventually(lambda: not state_of(int(pid.read_text())))


def test_a_daemon_of_a_killed_worker_s_job_is_ended_before_the_run_begins_again(scene, tmp_path):
    pid, once = tmp_path / "pid", tmp_path / "once"
    daemon = f"( setsid sh -c 'sleep 300 & echo $! > {pid}; touch {once}; wait' & )"
    scene.job("x", f"if [ ! -e {once} ]; then {daemon}; sleep 300; fi")
    scene.runner()
    worker, _ = scene.began("x")
    eventually(once.exists)

    os.kill(worker, 9)
    scene.becomes("x", "completed")

    assert state_of(int(pid.read_text())) is None


def test_a_job_that_ignores_signals_is_killed_after_its_grace_period(scene):
    body = "trap '' TERM INT HUP QUIT CONT; while :; do sleep 0.1; done"
    scene.job("x", body, "--timeout", "0.3s", "--retries", "0")

    scene.queuectl("run", "--drain", code=1)

    assert (scene.show("x")[0], scene.outcomes("x"), scene.left()) == ("dead", ["timed out"], [])


def test_a_job_that_ignores_signals_does_not_hold_up_a_runner_that_shuts_down(scene):
    scene.job("x", "trap '' TERM; while :; do sleep 0.1; done")
    runner = scene.runner("--drain-timeout", "0.1s")
    _, job = scene.began("x")

    runner.terminate()

    assert runner.wait(20) == 0
    assert (scene.show("x"), state_of(job)) == (("pending", 0), None)


def test_a_background_child_that_holds_the_pipes_does_not_hold_up_the_run(scene):
    scene.job("x", "sleep 300 & echo done")

    scene.queuectl("run", "--drain")

    assert (scene.show("x"), output(scene, "x")) == (("completed", 1), "done\n")


def test_a_background_child_that_writes_for_ever_and_ignores_sigterm_does_not_hold_up_the_run(scene):
    scene.job("x", "(trap '' TERM; while :; do echo y; done) & echo done")

    scene.queuectl("run", "--drain")

    assert (scene.show("x"), scene.left()) == (("completed", 1), [])


@pytest.mark.parametrize("closed", ["exec >&-", "exec <&- >&- 2>&-"])
def test_a_job_that_closes_its_streams_runs_to_its_end(scene, closed):
    scene.job("x", f"{closed}; sleep 0.2")

    scene.queuectl("run", "--drain")

    assert (scene.show("x"), scene.times("x", "ended")) == (("completed", 1), 1)


def test_a_job_that_reads_stdin_finds_it_empty_even_if_the_runner_has_one(scene):
    scene.job("x", "cat; read line || echo empty")

    scene.queuectl("run", "--drain", input="not for jobs\n")

    assert (scene.show("x"), output(scene, "x")) == (("completed", 1), "empty\n")


def test_a_job_that_asks_at_the_terminal_is_refused_and_does_not_hang(scene):
    scene.job("x", "cat < /dev/tty || echo no terminal")

    scene.queuectl("run", "--drain")

    assert output(scene, "x") == "no terminal\n"


def run_with_files(scene, count, *options):
    """Run a drain that may have so many files open."""
    few = ["sh", "-c", f'ulimit -n {count} && exec "$@"', "sh", COMMAND, "run", "--drain", *options]
    return subprocess.run(
        few, env=scene.queuectl.environ, cwd=scene.queuectl.folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("count", [100, 219, 220])
def test_jobs_start_where_few_files_may_be_open(scene, count):
    scene.job("x", "true")

    assert run_with_files(scene, count).returncode == 0

    assert (scene.show("x"), scene.left()) == (("completed", 1), [])


def test_as_many_workers_as_files_allow_all_start(scene):
    scene.queuectl("enqueue", "-", input="sleep 0.2\n" * 24)

    done = run_with_files(scene, files_needed(12), "--workers", "12")

    assert (done.returncode, done.stderr, scene.counts()) == (0, "", {"completed": 24})


def test_more_workers_than_files_allow_are_refused_in_a_sentence(scene):
    done = run_with_files(scene, 100, "--workers", "30")

    assert (done.returncode, done.stderr) == (
        64,
        (
            "error: 30 workers need up to 332 open files; this process may have 100\n\n"
            "hint: raise `ulimit -n`, or take fewer `--workers`\n"
        ),
    )


def test_bytes_that_are_no_text_are_kept_and_harm_no_reader(scene):
    scene.job("x", r"printf '\377\376\000\033]0;x\007\200'; printf '\377' >&2; exit 3", "--retries", "0")

    scene.queuectl("run", "--drain", code=1)

    [kept] = Path(f"{scene.database}.d/output").rglob("*.stdout")
    assert kept.read_bytes() == b"\xff\xfe\x00\x1b]0;x\x07\x80"
    assert "exit code 3" in scene.queuectl("show", "x").stdout
    scene.queuectl("logs", "x")
    scene.queuectl("logs", "x", "--stderr")


def test_a_line_of_ten_megabytes_is_kept_whole(scene):
    scene.job("x", f"head -c {10 * _MIB - 1} /dev/zero | tr '\\0' x; echo")

    scene.queuectl("run", "--drain", QUEUECTL_OUTPUT_LIMIT="20MiB")

    assert output(scene, "x") == "x" * (10 * _MIB - 1) + "\n"


def test_a_flood_of_output_costs_neither_memory_nor_disk(scene, tmp_path):
    go = tmp_path / "go"
    scene.queuectl.environ = {**scene.queuectl.environ, "QUEUECTL_OUTPUT_LIMIT": "1MiB"}
    scene.job("x", f"head -c 1G /dev/zero; touch {go}.there; while [ ! -e {go} ]; do sleep 0.02; done")
    runner = scene.runner("--workers", "1")
    worker, _ = scene.began("x")
    eventually(Path(f"{go}.there").exists)
    memory = {"worker": high_water(worker), "runner": high_water(runner.pid)}
    go.touch()

    scene.becomes("x", "completed")

    kept = sum(path.stat().st_size for path in Path(f"{scene.database}.d/output").rglob("*.*"))
    assert scene.queuectl.json("show", "x")["attempts_made"][0]["stdout_bytes"] == 1024 * _MIB
    assert kept <= _MIB + 8
    assert memory["worker"] < 60 * _MIB
    assert memory["runner"] < 100 * _MIB


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"command": ["no-such-program"]}, "cannot start `no-such-program`: not found"),
        ({"command": ["/etc/passwd"]}, "cannot start `/etc/passwd`: Permission denied"),
        ({"command": "true", "cwd": "/no/such/folder"}, "cannot start in `/no/such/folder`: no such folder"),
        ({"command": ["true", *[""] * 300_000]}, "cannot start"),
        ({"command": ["/"]}, "cannot start `/`"),
    ],
    ids=["missing program", "not executable", "missing folder", "arguments too long", "a folder"],
)
def test_a_command_that_cannot_start_is_a_failed_attempt_with_a_reason(scene, keys, reason):
    scene.queuectl("enqueue", "-", input=json.dumps({"id": "x", "retries": 0, **keys}, separators=(",", ":")))

    scene.queuectl("run", "--drain", code=1)

    run = scene.queuectl.json("show", "x")
    assert (run["state"], run["attempts"]) == ("dead", 1)
    assert reason in run["reason"]
