"""Things that went wrong once, or would have."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import COMMAND
from tests.support.waiting import eventually


def shell(queuectl, line, *, code=0, **environ):
    """Run a line of the shell with the command on its path; fails on a traceback or another exit code."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=queuectl.folder,
        env={**queuectl.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def children(pid):
    """Return the processes that descend from a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            child = int(path.parent.name)
            found += [child, *children(child)]
    return found


def test_a_full_disk_under_the_log_stops_the_runner_gently(queuectl):
    queuectl("enqueue", "-", input="true\n" * 20)

    shell(queuectl, "queuectl run --drain > /dev/full")
    queuectl("run", "--drain")

    assert queuectl.json("status")["runs"]["completed"] == 20


def test_a_log_of_few_characters_takes_every_run(queuectl):
    queuectl("enqueue", "--id", "x", "echo é")

    assert r"echo \xe9" in shell(queuectl, "queuectl run --drain", PYTHONIOENCODING="ascii").stdout


def test_a_time_out_of_a_month_is_only_a_time_out(queuectl):
    queuectl("enqueue", "--id", "x", "--timeout", "30d", "true")

    queuectl("run", "--drain")

    assert queuectl.json("show", "x")["state"] == "completed"


def test_files_that_a_runner_left_before_its_number_was_stored_are_no_obstacle(queuectl, tmp_path):
    queuectl("enqueue", "--id", "x", "true")
    left = tmp_path / "queue.db.d" / "runners"
    left.mkdir(parents=True)
    (left / "1.lock").touch()
    os.mkfifo(left / "1.wake")

    queuectl("run", "--drain")

    assert queuectl.json("show", "x")["state"] == "completed"


def test_a_pipe_as_an_env_file_does_not_hold_the_worker(queuectl):
    os.mkfifo(queuectl.folder / "pipe.env")
    queuectl.manifest('[jobs.a]\ncommand = "true"\nenv_file = "pipe.env"\nretries = 0\n')
    queuectl("apply", "nightly.toml")

    queuectl("run", "--drain", code=1)

    assert "not a regular file" in queuectl.json("list")[0]["reason"]


def test_short_runs_behind_a_long_one_go_to_a_runner_that_is_free(queuectl, tmp_path):
    go = tmp_path / "go"
    queuectl("enqueue", "-", input="true\n" * 300 + f"while [ ! -e {go} ]; do sleep 0.05; done\n" + "true\n" * 40)
    queuectl.start("run", "--workers", "1")
    eventually(lambda: queuectl.json("show", "r301")["state"] == "processing")

    queuectl.start("run", "--workers", "1")

    eventually(lambda: queuectl.json("status")["runs"]["completed"] == 340)
    go.touch()
    eventually(lambda: queuectl.json("status")["runs"]["completed"] == 341)
    assert queuectl.json("show", "r341")["attempts"] == 1


def test_a_second_signal_ends_what_a_command_left_behind_at_once(queuectl, tmp_path):
    marker = tmp_path / "child"
    child = (
        f"echo $$ > {tmp_path}/command; (trap '' TERM; touch {marker}; while :; do sleep 1; done) & sleep 0.2; exit 0"
    )
    job = {"id": "x", "command": child, "shell": ["bash", "-c"], "grace_period": "5m"}
    queuectl("enqueue", json.dumps(job))
    runner = queuectl.start("run")
    eventually(marker.exists)
    command = int((tmp_path / "command").read_text())
    eventually(
        lambda: not Path(f"/proc/{command}/cmdline").exists() or not Path(f"/proc/{command}/cmdline").read_bytes()
    )

    runner.terminate()
    eventually(lambda: queuectl.json("status")["runners"])
    runner.terminate()

    assert runner.wait(30) in (0, 128 + signal.SIGTERM)
    assert queuectl.json("show", "x")["state"] == "completed"


def test_no_worker_outlives_its_runner_even_if_the_forkserver_was_killed(queuectl, tmp_path):
    marker = tmp_path / "worker"
    queuectl("enqueue", "--id", "x", f"echo $PPID > {marker}.new; mv {marker}.new {marker}")
    runner = queuectl.start("run", "--workers", "2")
    worker = int(eventually(lambda: marker.exists() and marker.read_text()))
    forkserver = int(Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[1])
    workers = children(forkserver)

    os.kill(forkserver, signal.SIGKILL)
    runner.terminate()

    assert runner.wait(30) == 0
    assert worker in workers
    eventually(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])


def test_a_runner_whose_folder_was_removed_goes_on(queuectl, tmp_path):
    folder = tmp_path / "release-1"
    folder.mkdir()
    runner = subprocess.Popen(
        [COMMAND, "run"], cwd=folder, env=queuectl.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    queuectl.started.append(runner)
    queuectl("enqueue", "--id", "first", "true")
    eventually(lambda: queuectl.json("show", "first")["state"] == "completed")
    folder.rmdir()

    queuectl("enqueue", "--id", "x", "true")

    eventually(lambda: queuectl.json("show", "x")["state"] == "completed")


def test_a_runner_whose_database_was_replaced_stops_and_says_so(queuectl, tmp_path):
    queuectl("enqueue", "true")
    errors = tmp_path / "errors"
    with errors.open("wb") as target:
        runner = subprocess.Popen(
            [COMMAND, "run"], cwd=tmp_path, env=queuectl.environ, stdout=subprocess.DEVNULL, stderr=target
        )
    queuectl.started.append(runner)
    eventually(lambda: queuectl.json("status")["runners"])

    (tmp_path / "queue.db").rename(tmp_path / "moved.db")

    assert runner.wait(30) == 69
    assert "was removed" in errors.read_text()


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("queuectl show $'\\xff'", 64, "must be Unicode text"),
        ("queuectl list --limit 99999999999999999999", 64, "limit"),
        ("queuectl list >&-", 0, ""),
        ("queuectl enqueue - <&-", 0, ""),
        ("queuectl list > /dev/full", 1, "No space left on device"),
        ("queuectl --version > /dev/full", 1, "No space left on device"),
        ("queuectl show nosuch 2> /dev/full", 3, ""),
        ("set -o pipefail; seq 3000 | queuectl enqueue - | head -1", 0, ""),
        ("queuectl status --db /dev/full; ls /dev/full-journal", 2, "`/dev/full` is not a regular file"),
        ("queuectl worker stop 9223372036854775808", 3, "no runner `9223372036854775808`"),
        ("QUEUECTL_SHELL=$(printf '[%.0s' {1..20000}) queuectl config list", 64, "QUEUECTL_SHELL"),
        ("mkdir $'\\xff'; cd $'\\xff'; queuectl enqueue true", 1, "a name must be Unicode text"),
        ("mkdir queuectl.toml; queuectl config list", 64, "queuectl.toml` is not a regular file"),
        ("ln -s queuectl.toml queuectl.toml; queuectl config list", 64, "Too many levels of symbolic links"),
        ("queuectl list --job $'\\e[31mX'", 64, r"`--manifest \x1b[31mX`"),
        ("queuectl worker stop --now", 64, "`queuectl worker stop --help`"),
        ("printf x > backup; queuectl restore backup", 69, "`backup` is not a SQLite database"),
        ("set -o pipefail; queuectl --version | exec 0<&-", 0, ""),
        (f"queuectl list --db {'x' * 400}", 69, "File name too long"),
        ("queuectl backup copy.db --db none.db", 69, "there is no queue"),
        ("mkdir gone; cd gone; rmdir ../gone; queuectl list", 1, "No such file or directory"),
    ],
)
def test_what_a_shell_can_do_to_a_command_is_answered_in_a_sentence(queuectl, line, code, message):
    queuectl("enqueue", "--id", "x", "true")

    assert message in shell(queuectl, line, code=code).stderr


def test_json_holds_no_character_that_acts_on_a_terminal(queuectl):
    queuectl("enqueue", "echo \u009b31m\u202e")

    found = queuectl("list", "--json").stdout

    assert '"command": "echo \\u009b31m\\u202e"' in found
    assert json.loads(found)[0]["command"] == "echo \u009b31m\u202e"


def test_what_is_said_beside_the_data_keeps_its_place_in_a_file(queuectl):
    queuectl.manifest('[jobs.a]\ncommand = "true"\n')

    said = shell(queuectl, "queuectl apply nightly.toml 2>&1").stdout

    assert said.index("+ create") < said.index("applied: number 1")


@pytest.mark.parametrize("command", ["config set workers 2", "init"])
def test_a_folder_that_gets_a_queue_of_its_own_says_which_it_had(queuectl, command):
    said = shell(queuectl, f"unset QUEUECTL_DB; queuectl enqueue true; queuectl {command}; queuectl {command}").stderr

    home = Path(queuectl.environ["HOME"])
    before = home / ".local/state/queuectl/queue.db"
    assert said.count(f"from here on the queue is `{queuectl.folder}/.queuectl/queue.db`") == 1
    assert f"until now it was `{before}`" in said
