"""`queuectl worker`: runners in the foreground and the background, listed and stopped from elsewhere."""

import os
import plistlib
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
import typer

from queuectl.cli import build
from tests.acceptance.conftest import COMMAND, Queuectl
from tests.support.waiting import eventually


@pytest.fixture
def detach(queuectl):
    """Start a runner in the background; return its number, its pid and its log. All are ended with the test."""
    pids = []

    def start(*options, **environ):
        found = queuectl("worker", "start", "--detach", *options, **environ).stdout.split()
        assert found[:3] == ["RUNNER", "PID", "LOG"]
        pids.append(int(found[4]))
        return int(found[3]), int(found[4]), Path(found[5])

    yield start
    queuectl("worker", "stop", "--all", "--timeout", "0", code=None)
    for runner in queuectl.json("worker", "list"):
        if runner["alive"] and runner["pid"] in pids:
            os.kill(runner["pid"], signal.SIGKILL)


@pytest.fixture
def blocked(queuectl, tmp_path):
    """Queue a run that goes on until the returned file is there, and wait until it has begun once a runner runs."""
    go = tmp_path / "go"
    queuectl("enqueue", "--id", "x", f"touch {tmp_path}/began; while [ ! -e {go} ]; do sleep 0.02; done")
    return go


def is_alive(queuectl, number):
    return any(runner["id"] == number and runner["alive"] for runner in queuectl.json("worker", "list"))


@contextmanager
def database(queuectl):
    """Hold the database as another program might, with its one right to write."""
    connection = apsw.Connection(queuectl.environ["QUEUECTL_DB"])
    connection.set_busy_timeout(30_000)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def fill(pipe):
    while True:
        os.write(pipe, b"!")


def options_of(*names):
    command = typer.main.get_command(build())
    for name in names:
        command = command.commands[name]
    return {word for parameter in command.params for word in parameter.opts}


def test_worker_start_takes_every_option_of_run():
    assert options_of("run") - options_of("worker", "start") == {"--workers"}
    assert options_of("worker", "start") - options_of("run") == {"--count", "--detach", "-d", "--log"}


def test_worker_start_works_in_the_foreground_as_run_does(queuectl):
    queuectl("enqueue", "--retries", "0", "false")

    done = queuectl("worker", "start", "--count", "2", "--drain", code=1)

    assert "dead       r1  false  attempt 1/1" in done.stdout


def test_a_detached_runner_works_and_keeps_a_private_log(queuectl, detach):
    number, _, log = detach("--count", "2")
    queuectl("enqueue", "true")

    eventually(lambda: "completed  r1  true" in log.read_text())
    assert (log.name, log.stat().st_mode & 0o777) == (f"{number}.log", 0o600)


def test_a_detached_runner_adds_to_the_log_that_is_named(queuectl, detach, tmp_path):
    log = tmp_path / "runner.log"
    log.write_text("before\n")
    queuectl("enqueue", "true")

    assert detach("--drain", "--log", str(log))[2] == log
    eventually(lambda: "completed  r1" in log.read_text())
    assert log.read_text().startswith("before\n")


def test_a_log_without_detach_is_a_contradiction(queuectl):
    assert "`--log`" in queuectl("worker", "start", "--log", "x", code=64).stderr


def test_a_detached_runner_keeps_no_descriptor_of_whoever_started_it(queuectl, detach, tmp_path):
    script = f"exec 9> {tmp_path}/lock; flock 9; {COMMAND} worker start --detach"
    started = subprocess.run(
        ["sh", "-c", script], check=False, cwd=queuectl.folder, env=queuectl.environ, capture_output=True
    )
    assert started.returncode == 0, started.stderr

    free = subprocess.run(["flock", "--nonblock", tmp_path / "lock", "true"], check=False)

    queuectl("worker", "stop", "--all")
    assert free.returncode == 0


def test_a_runner_that_does_not_come_up_in_the_background_says_why_in_the_foreground(queuectl):
    script = f"ulimit -n 40; {COMMAND} worker start --detach --count 100"

    done = subprocess.run(
        ["sh", "-c", script], check=False, cwd=queuectl.folder, env=queuectl.environ, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert "the runner did not come up" in done.stderr
    assert "this process may have 40" in done.stderr
    assert list((queuectl.folder.parent / "queue.db.d" / "logs").iterdir()) == []


def test_the_list_shows_where_runners_are_and_what_they_run(queuectl, detach, blocked):
    number, pid, _ = detach("--count", "3")
    eventually(lambda: queuectl.json("show", "x")["state"] == "processing")

    [runner] = queuectl.json("worker", "list")
    rows = queuectl("worker", "list").stdout.splitlines()

    blocked.touch()
    assert (runner["id"], runner["pid"], runner["workers"], runner["alive"]) == (number, pid, 3, True)
    assert [run["id"] for run in runner["runs"]] == ["x"]
    assert rows[1].split()[:2] == [str(number), "alive"]
    assert rows[1].endswith("  x")


def test_a_stop_from_another_folder_lets_running_attempts_finish(queuectl, detach, blocked, tmp_path):
    number, _, _ = detach()
    eventually((tmp_path / "began").exists)
    elsewhere = Queuectl(tmp_path, queuectl.environ)

    stopping = elsewhere.start("worker", "stop", str(number), "--timeout", "1m")
    blocked.touch()

    assert stopping.wait(60) == 0
    assert (queuectl.json("show", "x")["state"], queuectl.json("worker", "list")) == ("completed", [])


def test_a_stop_in_vain_says_what_still_runs(queuectl, detach, blocked, tmp_path):
    number, _, _ = detach()
    eventually((tmp_path / "began").exists)

    said = queuectl("worker", "stop", "--all", "--timeout", "0.1s", code=124).stderr

    blocked.touch()
    assert "error: not stopped within 100ms: 1 runner\n" in said
    assert f"\n  runner {number} runs x (for " in said


def test_a_runner_that_is_asked_twice_ends_nothing_sooner(queuectl, detach, blocked, tmp_path):
    detach()
    eventually((tmp_path / "began").exists)
    for _ in range(3):
        queuectl("worker", "stop", "--all", "--timeout", "0", code=124)
    blocked.touch()

    queuectl("worker", "stop", "--all")

    run = queuectl.json("show", "x")
    assert (run["state"], [each["outcome"] for each in run["attempts_made"]]) == ("completed", ["exited"])


def test_two_who_stop_the_same_runner_both_succeed(queuectl, detach):
    detach()

    both = [queuectl.start("worker", "stop", "--all") for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]


def test_where_no_runner_is_a_stop_has_nothing_to_do(queuectl):
    assert queuectl("worker", "stop", "--all").stderr == "no runner to stop\n"


def test_a_runner_that_has_ended_is_stopped_again_without_complaint(queuectl, detach):
    number, _, _ = detach()
    queuectl("worker", "stop", str(number))

    assert queuectl("worker", "stop", str(number)).stderr.startswith(f"runner {number}: has ended already\n")


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 64), (("1", "--all"), 64), (("7",), 3), (("nobody",), 64)], ids=str
)
def test_a_stop_has_to_say_whom(queuectl, arguments, code):
    queuectl("worker", "stop", *arguments, code=code)


def test_a_stop_does_not_disturb_the_next_start(queuectl, detach, blocked, tmp_path):
    first, _, _ = detach()
    eventually((tmp_path / "began").exists)
    queuectl("worker", "stop", "--all", "--timeout", "0", code=124)

    second, _, _ = detach()

    blocked.touch()
    eventually(lambda: not is_alive(queuectl, first))
    queuectl("enqueue", "--id", "later", "true")
    eventually(lambda: queuectl.json("show", "later")["state"] == "completed")
    assert is_alive(queuectl, second)


def test_a_stop_never_signals_a_process_that_has_the_number_of_a_runner(queuectl, detach):
    number, pid, _ = detach()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_alive(queuectl, number))
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        with database(queuectl) as connection:
            connection.execute("UPDATE runners SET pid = ?", (stranger.pid,))
        [listed] = queuectl.json("worker", "list")

        queuectl("worker", "stop", "--all")
        queuectl("worker", "stop", str(number))

        assert (listed["pid"], listed["alive"], stranger.poll()) == (stranger.pid, False, None)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_living_runner_is_stopped_whatever_pid_is_recorded(queuectl, detach):
    number, _, _ = detach()
    with database(queuectl) as connection:
        connection.execute("UPDATE runners SET pid = ?", (os.getpid(),))

    queuectl("worker", "stop", str(number))

    assert queuectl.json("worker", "list") == []


def test_a_runner_that_is_frozen_hears_of_the_stop_when_it_goes_on(queuectl, detach):
    number, pid, _ = detach()
    os.kill(pid, signal.SIGSTOP)
    queuectl("worker", "stop", "--all", "--timeout", "0", code=124)

    os.kill(pid, signal.SIGCONT)

    eventually(lambda: not is_alive(queuectl, number))


def test_a_frozen_runner_with_a_full_bell_is_asked_again_until_it_hears(queuectl, detach):
    number, pid, _ = detach()
    os.kill(pid, signal.SIGSTOP)
    bell = os.open(f"{queuectl.environ['QUEUECTL_DB']}.d/runners/{number}.wake", os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        fill(bell)
    os.close(bell)

    stopping = queuectl.start("worker", "stop", "--all", "--timeout", "1m")
    os.kill(pid, signal.SIGCONT)

    assert stopping.wait(60) == 0


def test_a_frozen_runner_is_said_to_be_silent(queuectl, detach):
    _, pid, _ = detach()
    with database(queuectl) as connection:
        os.kill(pid, signal.SIGSTOP)  # now, since it cannot be in the middle of a write of its own
        connection.execute("UPDATE runners SET heartbeat_at = heartbeat_at - 60000000")

    listed = queuectl("worker", "list").stdout
    said = queuectl("worker", "stop", "--all", "--timeout", "0", code=124).stderr

    os.kill(pid, signal.SIGCONT)
    assert "silent" in listed
    assert "`kill -CONT`" in said


def test_a_runner_is_stopped_while_another_program_holds_the_database(queuectl, detach):
    number, _, _ = detach(QUEUECTL_BUSY_TIMEOUT="0.1")
    with database(queuectl):
        queuectl("worker", "stop", str(number))

    assert not is_alive(queuectl, number)


def verified(unit, tmp_path, *options):
    path = tmp_path / "queuectl.service"
    path.write_text(unit)
    done = subprocess.run(["systemd-analyze", "verify", *options, path], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("options", [(), ("--user",)], ids=["system", "user"])
def test_systemd_takes_the_unit_even_with_odd_paths(queuectl, tmp_path, options):
    folder = tmp_path / 'a 100% "odd" $place'
    folder.mkdir()
    odd = Queuectl(folder, {**queuectl.environ, "QUEUECTL_DB": str(folder / "it's.db"), "PATH": f"{folder}:/bin"})

    unit = odd("worker", "unit", "--systemd", "--count", "3", *options).stdout

    assert verified(unit, tmp_path) == (0, "")


def test_the_unit_stops_the_runner_alone_and_long_enough(queuectl):
    unit = queuectl("worker", "unit", "--systemd", QUEUECTL_DRAIN_TIMEOUT="2m").stdout.splitlines()

    assert f"ExecStart={COMMAND} run --db {queuectl.environ['QUEUECTL_DB']}" in unit
    assert {"KillMode=mixed", "TimeoutStopSec=145", "Restart=on-failure", "OOMPolicy=continue"} <= set(unit)


def test_the_agent_for_launchd_is_a_property_list(queuectl):
    agent = plistlib.loads(queuectl("worker", "unit", "--launchd", "--count", "2").stdout.encode())

    assert agent["ProgramArguments"] == [
        str(COMMAND), "run", "--workers", "2", "--db", queuectl.environ["QUEUECTL_DB"]
    ]  # fmt: skip
    assert (agent["KeepAlive"], agent["ExitTimeOut"]) == ({"SuccessfulExit": False}, 55)


def test_a_unit_is_of_one_kind(queuectl):
    queuectl("worker", "unit", "--systemd", "--launchd", code=64)
    queuectl("worker", "unit", "--launchd", "--user", code=64)


def test_a_path_that_no_unit_can_hold_is_refused(queuectl, tmp_path):
    said = queuectl("worker", "unit", QUEUECTL_DB=f"{tmp_path}/two\nlines.db", code=64).stderr

    assert "no unit can hold this path" in said
