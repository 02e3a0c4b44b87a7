"""What shells are told when somebody presses Tab, and that it works in a real one."""

import shutil
import subprocess

import apsw
import pytest

from tests.support.terminal import Terminal

JOBS = """
[jobs.backup]
command = "true"
description = "Copy: all of it"
tags = ["disk"]

[jobs.report]
command = "true"
"""

JOBS_KNOWN = ("nightly/backup", "nightly/report")


@pytest.fixture
def offered(queuectl):
    """Return what the last of some words can become."""

    def ask(*words, shell="bash"):
        done = queuectl(*words, code=None, _QUEUECTL_COMPLETE=shell)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return ask


@pytest.fixture
def filled(queuectl):
    """A queue with two jobs, a dead run and one that waits."""
    queuectl("apply", str(queuectl.manifest(JOBS)))
    queuectl("enqueue", "--id", "bad", "--retries", "0", "false")
    queuectl("run", "--drain", code=1)
    queuectl("enqueue", "--id", "later", "--in", "1h", "true")
    return queuectl


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["wo"], ["worker"]),
        (["worker", "st"], ["start", "stop"]),
        (["list", "--st"], ["--state"]),
        (["list", "--state", "d"], ["dead"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["config", "get", "drain"], ["drain_timeout"]),
        (["nonsense", ""], []),
        (["list", "--limit", ""], []),
    ],
    ids=" ".join,
)
def test_the_command_line_is_completed_without_a_queue(offered, words, found):
    assert offered(*words) == found


def test_every_command_is_offered(offered, queuectl):
    assert {"run", "worker", "completion"} <= set(offered(""))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["trigger", ""], ["nightly", *JOBS_KNOWN]),
        (["trigger", "nightly/backup", "nightly/r"], ["nightly/report"]),
        (["list", "--job", "nightly/b"], ["nightly/backup"]),
        (["list", "--job", "=", "nightly/b"], ["nightly/backup"]),
        (["list", "--manifest", ""], ["nightly"]),
        (["list", "--tag", ""], ["disk"]),
        (["pause", ""], ["nightly", *JOBS_KNOWN]),
        (["show", ""], ["later", "bad", "r2", "r1", *JOBS_KNOWN]),
        (["logs", "b"], ["bad"]),
        (["cancel", ""], ["later", *JOBS_KNOWN]),
        (["wait", ""], ["later", *JOBS_KNOWN]),
        (["dlq", "retry", ""], ["bad", *JOBS_KNOWN]),
        (["apply", ""], []),
        (["enqueue", "--id", ""], []),
    ],
    ids=" ".join,
)
def test_names_come_from_the_queue(filled, offered, words, found):
    assert offered(*words) == found


def test_names_come_from_the_queue_that_is_named(filled, offered, tmp_path):
    assert offered("trigger", "--db", str(tmp_path / "other.db"), "") == []


def test_what_a_shell_shows_beside_a_word_is_escaped_for_it(filled, offered):
    assert offered("trigger", "nightly/b", shell="zsh") == ["nightly/backup:Copy: all of it"]
    assert offered("trigger", "nightly/b", shell="fish") == ["nightly/backup\tCopy: all of it"]


def test_a_name_that_would_mean_something_to_a_shell_is_not_offered(filled, offered):
    with apsw.Connection(filled.environ["QUEUECTL_DB"]) as connection:
        connection.execute("UPDATE jobs SET name = '$(touch pwned)' WHERE name = 'backup'")
        connection.execute(
            "UPDATE jobs SET spec = json_set(spec, '$.description', char(27) || '[2J' || char(10) || 'x')"
        )

    assert offered("trigger", "nightly/", shell="fish") == ["nightly/report\t\\x1b[2J\\nx"]


def test_where_something_is_wrong_nothing_is_said(queuectl, offered):
    (queuectl.folder / "queuectl.toml").write_text("nonsense = [")

    assert offered("trigger", "") == []


def test_asking_makes_no_queue(queuectl, offered, tmp_path):
    offered("trigger", "")

    assert list(tmp_path.glob("queue.db*")) == []


def test_tab_completes_in_bash(filled, tmp_path):
    with Terminal(
        [shutil.which("bash"), "--norc", "--noprofile", "-i"], cwd=filled.folder, environ=filled.environ
    ) as bash:
        bash.type("PS1='ready> '; source <(queuectl completion bash)\n")
        bash.shows("ready> ")
        bash.type("queuectl trigger nightly/r\t")
        bash.shows("queuectl trigger nightly/report")
        bash.type("\x15queuectl dlq ret\tb\t")
        bash.shows("queuectl dlq retry bad")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_its_script(queuectl, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    script = queuectl("completion", shell).stdout

    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
