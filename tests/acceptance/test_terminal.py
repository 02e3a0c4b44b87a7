"""The command on a terminal, as a person has it before them: what is seen, what keys do, and what is left behind."""

import signal
from pathlib import Path

import apsw
import pytest

from tests.acceptance.conftest import COMMAND
from tests.support.terminal import Terminal
from tests.support.waiting import eventually


@pytest.fixture
def terminal(queuectl):
    """Start a command on a terminal of its own and return that; it is closed with the test."""
    opened = []

    def start(*arguments, **options):
        found = Terminal([COMMAND, *arguments], cwd=queuectl.folder, environ=queuectl.environ, **options)
        opened.append(found)
        return found

    yield start
    for each in opened:
        each.__exit__()


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


# --- watch --------------------------------------------------------------------------------------------------


def test_watch_shows_what_happens_while_it_happens(queuectl, terminal, tmp_path):
    watching = terminal("watch", "--interval", "0.1s")
    watching.shows("there is no queue here yet")

    queuectl("enqueue", "--id", "slow", "--retries", "0", f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; exit 3")
    watching.shows("no runner is alive")
    queuectl.start("run", "--workers", "2")
    watching.shows("1 runner, 2 workers")
    watching.shows("processing 1")
    (tmp_path / "go").touch()

    lines = watching.shows("exit code 3")
    assert any("slow" in line for line in lines[lines.index("DIED LAST") :])


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("\x04", 0), ("\x03", 130)], ids=["q", "Ctrl-D", "Ctrl-C"])
def test_watch_is_left_with_the_terminal_as_it_was(terminal, key, code):
    watching = terminal("watch")
    watching.shows("q leaves")

    watching.type(key)

    assert (watching.ends(), watching.is_as_before()) == (code, True)


def test_watch_leaves_the_terminal_as_it_was_when_it_is_ended(terminal):
    watching = terminal("watch")
    watching.shows("q leaves")

    watching.process.terminate()

    assert (watching.ends(), watching.is_as_before()) == (143, True)


def test_watch_ends_with_its_terminal(terminal):
    watching = terminal("watch")
    watching.shows("q leaves")

    watching.close()

    assert watching.process.wait(60) in (0, 129)  # it may see the end of the terminal before the signal


def test_watch_gives_the_terminal_back_while_it_is_stopped(terminal):
    watching = terminal("watch")
    watching.shows("q leaves")

    watching.type("\x1a")
    eventually(lambda: (watching.screen(), state_of(watching.process.pid))[1] == "T")
    watching.screen()
    assert watching.is_as_before()
    said = len(watching.said)
    watching.process.send_signal(signal.SIGCONT)
    eventually(lambda: watching.screen() and b"q leaves" in watching.said[said:])

    watching.type("q")
    assert (watching.ends(), watching.is_as_before()) == (0, True)


def test_watch_follows_the_size_of_the_terminal(queuectl, terminal):
    queuectl("enqueue", "--id", "x", "--in", "1h", "echo " + "long " * 30)
    watching = terminal("watch", "--interval", "1h")
    assert max(len(line) for line in watching.shows("q leaves")) == 80

    watching.resize(40, 20)

    eventually(lambda: (lines := watching.screen())[19].startswith("q leaves") and max(map(len, lines)) == 40)


def test_watch_goes_on_when_the_queue_cannot_be_read_for_a_while(queuectl, terminal, tmp_path):
    queuectl("enqueue", "--id", "x", "--in", "1h", "true")
    watching = terminal("watch", "--interval", "0.1s")
    watching.shows("pending 1")
    path = Path(queuectl.environ["QUEUECTL_DB"])
    aside = path.rename(tmp_path / "aside")

    path.write_text("no database, but long enough to be looked at")
    watching.shows("trying")
    aside.rename(path)

    eventually(lambda: "trying" not in "\n".join(watching.screen()))
    watching.shows("pending 1")


def test_watch_holds_no_snapshot_of_the_queue(queuectl, terminal):
    queuectl("enqueue", "true")
    watching = terminal("watch", "--interval", "1h")
    watching.shows("pending 1")

    connection = apsw.Connection(queuectl.environ["QUEUECTL_DB"])
    connection.execute("UPDATE runs SET priority = 1")
    [(is_busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()

    assert is_busy == 0


def test_watch_without_colours_has_none(queuectl, terminal):
    queuectl("enqueue", "true")
    watching = terminal("watch", environ_more={"NO_COLOR": "1"})
    watching.shows("q leaves")

    assert b"\x1b[3" not in watching.said.replace(b"\x1b[3;", b"")


def test_watch_refuses_what_it_cannot_draw_on(queuectl):
    said = queuectl("watch", code=64).stderr

    assert "`queuectl status`" in said


# --- run ----------------------------------------------------------------------------------------------------


def test_run_shows_what_runs_and_ctrl_c_lets_it_finish(queuectl, terminal, tmp_path):
    queuectl("enqueue", "--id", "x", f"cd {tmp_path}; touch began; while [ ! -e go ]; do sleep 0.02; done")
    running = terminal("run")
    eventually((tmp_path / "began").exists)
    running.shows("1 running")

    running.type("\x03")
    (tmp_path / "go").touch()

    assert (running.ends(), running.is_as_before()) == (0, True)
    assert "completed  x" in "\n".join(running.screen())


def test_run_lets_attempts_finish_when_its_terminal_is_closed(queuectl, terminal, tmp_path):
    queuectl("enqueue", "--id", "x", f"cd {tmp_path}; touch began; while [ ! -e go ]; do sleep 0.02; done")
    running = terminal("run")
    eventually((tmp_path / "began").exists)

    running.close()
    (tmp_path / "go").touch()

    assert running.process.wait(60) == 0
    assert queuectl.json("show", "x")["state"] == "completed"


def test_a_second_ctrl_c_ends_run_at_once_with_the_terminal_as_it_was(queuectl, terminal, tmp_path):
    queuectl("enqueue", "--id", "x", f"touch {tmp_path}/began; exec sleep 300")
    running = terminal("run")
    eventually((tmp_path / "began").exists)

    running.type("\x03")
    running.shows("Ctrl-C ends them now")
    running.type("\x03")

    assert (running.ends(), running.is_as_before()) == (130, True)
    assert queuectl.json("show", "x")["state"] == "pending"


def test_a_runner_in_the_background_outlives_its_terminal(queuectl, terminal):
    starting = terminal("worker", "start", "--detach")
    starting.shows("RUNNER")
    assert starting.ends() == 0

    starting.close()

    queuectl("enqueue", "--wait", "true")
    queuectl("worker", "stop", "--all")


# --- logs and questions -------------------------------------------------------------------------------------


def test_following_shows_whole_characters_and_nothing_that_acts_and_is_left_with_ctrl_c(queuectl, terminal, tmp_path):
    euro = r"printf '\342'; while [ ! -e go ]; do sleep 0.02; done; printf '\202\254 \033[2J'; exec sleep 300"
    queuectl("enqueue", "--id", "x", f"cd {tmp_path}; echo one; {euro}")
    queuectl.start("run")
    following = terminal("logs", "-f", "x")
    following.shows("one")
    (tmp_path / "go").touch()

    lines = following.shows("€ \\x1b[2J")
    following.type("\x03")

    assert lines[0] == "one"
    assert (following.ends(), following.is_as_before()) == (130, True)
    assert "Traceback" not in following.said.decode()


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 1), ("y\n", 0, 0), ("\x03", 130, 1)])
def test_what_is_deleted_for_good_is_asked_for_first(queuectl, terminal, answer, code, left):
    queuectl("enqueue", "--id", "x", "--retries", "0", "false")
    queuectl("run", "--drain", code=1)
    asking = terminal("dlq", "purge", "x")
    asking.shows("[y/N]")

    asking.type(answer)

    assert asking.ends() == code
    assert len(queuectl.json("list")) == left
