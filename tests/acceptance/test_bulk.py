"""Verbs that change many runs at once, and two people who use them at the same time."""

import os
import pty
import re
import subprocess
from collections import Counter

import pytest

from queuectl.job import State
from queuectl.store.archive import Archive
from tests.acceptance.conftest import COMMAND
from tests.support.waiting import eventually


@pytest.fixture
def twelve(queuectl):
    """A queue of twelve waiting runs, the even ones tagged."""
    for tag in ("odd", "even"):
        queuectl("enqueue", "--tag", tag, "-", input="true\n" * 6)
    return queuectl


@pytest.mark.parametrize("verb", [["cancel"], ["retry"], ["dlq", "retry"], ["dlq", "purge"]], ids=" ".join)
def test_no_condition_is_not_everything(twelve, verb):
    assert "say `--all`" in twelve(*verb, code=64).stderr
    assert "say `--all`" in twelve(*verb, "--yes", code=64).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["cancel", "--tag", "odd"],
        ["cancel", "--all"],
        ["retry", "--all"],
        ["dlq", "retry", "--all"],
        ["dlq", "purge", "--all"],
    ],
    ids=" ".join,
)
def test_where_nobody_can_be_asked_nothing_is_done_without_yes(twelve, arguments):
    found = twelve(*arguments, code=64)

    assert re.match(r"error: not done without asking: \d+ runs to be ", found.stderr)
    assert "`--yes`" in found.stderr
    assert Counter(state for _, state in twelve.states()) == {"pending": 12}


def test_a_dry_run_lists_what_is_meant_and_changes_nothing(twelve):
    found = twelve("cancel", "--tag", "odd", "--dry-run")

    assert len(found.stdout.splitlines()) == 7
    assert Counter(state for _, state in twelve.states()) == {"pending": 12}


def test_a_selection_is_counted_and_done_with_yes(twelve):
    found = twelve("cancel", "--tag", "odd", "--yes")

    assert found.stderr.splitlines() == ["6 runs to be cancelled", "6 runs cancelled"]
    assert Counter(state for _, state in twelve.states()) == {"pending": 6, "cancelled": 6}


def test_what_is_cancelled_can_be_retried(twelve):
    twelve("cancel", "--all", "--yes")

    assert twelve("retry", "--tag", "even", "--yes").stderr.splitlines()[-1] == "6 runs back in the queue"
    assert Counter(state for _, state in twelve.states()) == {"pending": 6, "cancelled": 6}


def test_a_state_that_a_verb_is_not_for_is_refused(twelve):
    assert "nothing to cancel in state `dead`" in twelve("cancel", "--state", "dead", "--yes", code=64).stderr


def test_a_selection_that_contradicts_itself_is_refused_by_every_verb(twelve):
    assert "contradict" in twelve("cancel", "--all", "--tag", "odd", "--yes", code=64).stderr
    assert "nothing can be selected" in twelve("list", "r1", "--tag", "odd", code=64).stderr
    assert "nothing can be selected" in twelve("list", "--since", "1h", "--until", "2h", code=64).stderr


def test_an_unknown_name_is_not_found(queuectl):
    queuectl.manifest('[jobs.backup]\ncommand = "true"\n')
    queuectl("apply", "nightly.toml")

    assert "did you mean `nightly/backup`?" in queuectl("cancel", "--job", "nightly/bakup", "--yes", code=3).stderr
    assert "did you mean `nightly`?" in queuectl("list", "--manifest", "nightli", code=3).stderr


@pytest.mark.parametrize(("answer", "left"), [("y", 6), ("n", 12)])
def test_on_a_terminal_it_asks(twelve, answer, left):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "cancel", "--tag", "odd"],
        cwd=twelve.folder,
        env=twelve.environ,
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        os.write(ours, f"{answer}\n".encode())
        _, shown = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)

    assert b"6 runs to be cancelled: go on?" in shown
    assert process.returncode == (0 if answer == "y" else 1)
    assert Counter(state for _, state in twelve.states())["pending"] == left


def test_on_a_terminal_only_the_newest_are_listed(queuectl):
    queuectl("enqueue", "-", input="true\n" * 60)
    ours, theirs = pty.openpty()
    try:
        done = subprocess.Popen(
            [COMMAND, "list"],
            cwd=queuectl.folder,
            env=queuectl.environ,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        shown = b""
        while b"r11 " not in shown:
            shown += os.read(ours, 65536)
        _, told = done.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)

    assert b"r10 " not in shown
    assert b"the newest 50 are shown" in told
    assert len(queuectl("list").stdout.splitlines()) == 61


def test_two_people_who_retry_at_once_do_it_once(queuectl, tmp_path):
    count = 600
    queuectl("enqueue", "-", input='{"command": "exit 1", "retries": 0}\n' * count)
    queuectl("cancel", "--all", "--yes")
    both = [
        subprocess.Popen(
            [COMMAND, "retry", "--all", "--yes"], cwd=queuectl.folder, env=queuectl.environ, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    told = b"".join(process.communicate(timeout=60)[1] for process in both).decode()

    assert [process.returncode for process in both] == [0, 0]
    done = [int(number) for number in re.findall(r"^(\d+) runs? back in the queue", told, re.MULTILINE)]
    assert sum(done) == count, told
    with Archive(tmp_path / "queue.db") as store:
        assert store.counts()[State.PENDING] == count
        deeds = [store.interventions(run) for run in store.runs()]
    assert [[each.act for each in done] for done in deeds] == [["cancel", "retry"]] * count


def test_one_who_cancels_and_one_who_retries_leave_every_run_in_one_of_the_two_ways(queuectl, tmp_path):
    count = 400
    queuectl("enqueue", "-", input="true\n" * count)
    queuectl("cancel", "--all", "--yes")
    retried = queuectl.start("retry", "--all", "--yes")
    cancelled = queuectl.start("cancel", "--all", "--yes")
    assert [retried.wait(60), cancelled.wait(60)] == [0, 0]

    with Archive(tmp_path / "queue.db") as store:
        counts = store.counts()
        deeds = Counter(each.act for run in store.runs() for each in store.interventions(run))
    assert counts[State.PENDING] + counts[State.CANCELLED] == count
    assert counts[State.PENDING] == deeds["retry"] - (deeds["cancel"] - count)


def test_purge_deletes_what_is_over_and_keeps_the_newest_of_each_job(queuectl, tmp_path):
    queuectl.manifest('[jobs.a]\ncommand = "echo out"\n')
    queuectl("apply", "nightly.toml")
    for _ in range(2):
        queuectl("trigger", "nightly/a")
    queuectl("enqueue", "--id", "x", "echo out")
    queuectl("run", "--drain")
    queuectl("enqueue", "--id", "waits", "--in", "1h", "true")
    assert "--all" in queuectl("purge", code=64).stderr

    shown = queuectl("purge", "--older-than", "0", "--keep", "1", "--dry-run").stdout
    found = queuectl("purge", "--older-than", "0", "--keep", "1", "--yes")

    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["x", "r2", "r1"]
    assert found.stderr.splitlines() == ["3 runs to be deleted for good", "3 runs deleted"]
    assert [run["id"] for run in queuectl.json("list")] == ["waits", "r3"]
    assert len([path for path in (tmp_path / "queue.db.d" / "output").rglob("*") if path.is_file()]) == 1
    assert "not over: `waits` is pending" in queuectl("purge", "waits", "--yes", code=1).stderr
    assert "mean the same" in queuectl("purge", "--older-than", "1d", "--until", "1d", code=64).stderr


def test_a_runner_deletes_what_the_settings_say(queuectl):
    queuectl("enqueue", "--id", "x", "true")
    queuectl("run", "--drain")
    (queuectl.folder / "queuectl.toml").write_text('[retention]\ncompleted = "1ms"\n')
    queuectl("enqueue", "--id", "y", "true")

    queuectl.start("run")

    eventually(lambda: [run["id"] for run in queuectl.json("list")] == ["y"])


def test_a_retention_that_is_none_is_refused(queuectl):
    (queuectl.folder / "queuectl.toml").write_text('[retention]\ncompletd = "1d"\nkeep = -1\ndead = 0\n')

    found = queuectl("list", code=64).stderr

    assert "unknown key `completd`" in found
    assert "queuectl.toml:3" in found
    assert "queuectl.toml:4" in found
    assert queuectl("config", "get", "retention.keep", code=64).stdout == ""


def test_the_newest_of_what_is_selected_is_shown(twelve):
    assert twelve.json("show", "--tag", "odd")["id"] == "r6"
    assert "name one run" in twelve("show", "r1", "r2", code=64).stderr
    assert "name one run" in twelve("show", code=64).stderr
    assert "no run is like that: `--tag none`" in twelve("show", "--tag", "none", code=3).stderr


def test_a_long_list_is_one_document(queuectl):
    queuectl("enqueue", "-", input="true\n" * 2500)

    assert [run["id"] for run in queuectl.json("list")] == [f"r{number}" for number in range(2500, 0, -1)]
    assert len(queuectl.json("list", "--limit", "1500")) == 1500
    assert queuectl("list", "--state", "dead", "--json").stdout == "[]\n"
