import re
import sqlite3  # noqa: TID251 - another program's database

import pytest

from queuectl.cli import SECTIONS
from tests.support.waiting import eventually


@pytest.fixture
def dead(queuectl):
    """A queue with a dead run `x`."""
    queuectl("enqueue", "--id", "x", "--retries", "0", "echo broken >&2; exit 7")
    queuectl("run", "--drain", code=1)
    return queuectl


READING = [
    ["status"],
    ["list"],
    ["jobs"],
    ["applies"],
    ["dlq", "list"],
]


@pytest.mark.parametrize("verb", READING, ids=" ".join)
def test_any_reading_verb_may_be_the_first_on_a_fresh_machine_and_makes_nothing(queuectl, tmp_path, verb):
    queuectl(*verb)
    document = queuectl.json(*verb)

    assert isinstance(document, dict if verb == ["status"] else list)
    assert not (tmp_path / "queue.db").exists()


def test_status_counts_the_runs_in_each_state(dead):
    dead("enqueue", "true")

    status = dead.json("status")

    assert status["runs"] == {
        "pending": 1,
        "processing": 0,
        "failed": 0,
        "completed": 0,
        "dead": 1,
        "cancelled": 0,
        "skipped": 0,
    }
    assert status["runners"] == []
    assert re.search(r"^dead +1$", dead("status").stdout, re.MULTILINE)


def test_a_run_shows_at_least_what_every_version_shows(dead):
    [run] = dead.json("list")

    assert list(run)[:7] == ["id", "command", "state", "attempts", "max_retries", "created_at", "updated_at"]
    assert (run["id"], run["state"], run["attempts"], run["max_retries"]) == ("x", "dead", 1, 0)


def test_runs_are_filtered_and_limited(queuectl):
    for number in range(3):
        queuectl("enqueue", "--id", f"run-{number}", "--tag", f"t{number % 2}", "true")

    def ids(*options):
        return [run["id"] for run in queuectl.json("list", *options)]

    assert ids() == ["run-2", "run-1", "run-0"]
    assert ids("--limit", "1") == ["run-2"]
    assert ids("--tag", "t0") == ["run-2", "run-0"]
    assert ids("--state", "dead") == []


def test_show_says_why_a_run_died(dead):
    shown = dead("show", "x").stdout

    assert "dead (exit code 7)" in shown
    assert "echo broken >&2; exit 7" in shown


def test_logs_are_the_bytes_that_were_written(queuectl):
    queuectl("enqueue", "--id", "x", r"printf '\377\000\033[31mred\n'; printf err >&2")
    queuectl("run", "--drain")

    assert queuectl("logs", "x").stdout.encode(errors="surrogateescape") == "\ufffd\0\x1b[31mred\n".encode()
    assert queuectl("logs", "x", "--stderr").stdout == "err"


def test_each_attempt_has_its_own_output(queuectl):
    queuectl("enqueue", '{"id": "x", "command": "echo $QUEUECTL_ATTEMPT; exit 1", "retries": 1, "retry_delay": 0}')
    queuectl("run", "--drain", code=1)

    assert [queuectl("logs", "x", "--attempt", number).stdout for number in "12"] == ["1\n", "2\n"]
    assert queuectl("logs", "x").stdout == "2\n"
    assert "no attempt 3" in queuectl("logs", "x", "--attempt", "3", code=3).stderr


@pytest.mark.parametrize(
    "verb", [["show", "y"], ["logs", "y"], ["cancel", "y"], ["dlq", "show", "y"], ["dlq", "retry", "y"]], ids=" ".join
)
def test_an_unknown_run_is_not_found(dead, verb):
    assert "no run `y`" in dead(*verb, code=3).stderr


def test_a_mistyped_id_is_answered_with_the_ones_like_it(queuectl):
    queuectl("enqueue", "--id", "weekly-report", "true")

    assert "did you mean `weekly-report`?" in queuectl("show", "weekly-reprot", code=3).stderr


def test_cancelling_a_waiting_run_ends_it_and_a_finished_one_is_refused(dead):
    dead("enqueue", "--id", "y", "true")

    dead("cancel", "y")

    assert dead.json("show", "y")["state"] == "cancelled"
    assert "`x` is dead" in dead("cancel", "x", code=1).stderr


def test_one_run_that_cannot_be_cancelled_means_that_none_is(dead):
    dead("enqueue", "--id", "y", "true")

    dead("cancel", "y", "x", code=1)

    assert dead.json("show", "y")["state"] == "pending"


def test_a_dead_run_goes_back_into_the_queue_with_its_id_and_all_its_attempts(dead):
    dead("dlq", "retry", "x")

    run = dead.json("show", "x")
    assert (run["state"], run["attempts"]) == ("pending", 0)
    assert dead.json("dlq", "list") == []


def test_all_dead_runs_can_be_retried(dead):
    assert "1 run back in the queue" in dead("dlq", "retry", "--all", "--yes").stderr


def test_retrying_nothing_in_particular_is_refused(dead):
    assert "--all" in dead("dlq", "retry", code=64).stderr


def test_a_run_that_is_not_dead_is_not_in_the_dead_letter_queue(dead):
    dead("enqueue", "--id", "y", "true")

    assert "`y` is pending" in dead("dlq", "retry", "x", "y", code=1).stderr
    assert dead.json("show", "x")["state"] == "dead"


def test_purging_asks_or_is_told(dead, tmp_path):
    assert "--yes" in dead("dlq", "purge", "--all", code=64).stderr
    assert dead.json("show", "x")["state"] == "dead"

    dead("dlq", "purge", "--all", "--yes")

    assert dead.json("list") == []
    assert not [path for path in (tmp_path / "queue.db.d" / "output").rglob("*") if path.is_file()]


def test_hostile_names_and_output_are_shown_inert(queuectl):
    queuectl("enqueue", "--id", "x", "echo '[bold]\x1b[31m\u202e'; exit 0")
    queuectl("run", "--drain")

    for shown in (queuectl("list").stdout, queuectl("show", "x").stdout):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert r"[bold]\x1b[31m\u202e" in shown


def test_nothing_is_truncated_on_a_pipe(queuectl):
    command = "true " + "x" * 500
    queuectl("enqueue", "--id", "x", command)

    assert command in queuectl("show", "x").stdout


def test_a_backup_is_a_queue_of_its_own(dead, tmp_path):
    copy = tmp_path / "copy.db"

    assert dead("backup", str(copy)).stdout == f"{copy}\n"

    assert dead.json("show", "x", "--db", str(copy))["state"] == "dead"
    assert "exists already" in dead("backup", str(copy), code=1).stderr


@pytest.mark.parametrize("verb", [["list"], ["enqueue", "true"], ["run", "--drain"], ["apply", "nightly.toml"]])
def test_a_file_that_is_no_queue_is_refused_and_left_as_it_is(queuectl, tmp_path, verb):
    queuectl.manifest('[jobs.a]\ncommand = "true"\n')
    (tmp_path / "queue.db").write_text("notes " * 1000)

    assert "is not a SQLite database" in queuectl(*verb, code=69).stderr
    assert (tmp_path / "queue.db").read_text() == "notes " * 1000


def test_a_database_of_a_newer_queuectl_is_refused_with_what_to_do(dead, tmp_path):
    with sqlite3.connect(tmp_path / "queue.db") as other:
        other.execute("PRAGMA user_version = 999")
    other.close()

    assert "upgrade" in dead("list", code=69).stderr


def test_a_busy_database_is_said_to_be_busy(dead, tmp_path):
    other = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        found = dead("enqueue", "true", code=75, QUEUECTL_BUSY_TIMEOUT="0.05")
    finally:
        other.close()

    assert "is busy" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "no such command"),
        (["list", "--state", "ded"], "--state"),
        (["run", "--workers", "0"], "--workers"),
        (["run", "--drain-timeout", "x"], "`--drain-timeout` must be a duration"),
        (["list", "--limit", "0"], "--limit"),
        (["--nope"], "no such option"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_64(queuectl, arguments, message):
    found = queuectl(*arguments, code=64)

    assert found.stderr.lower().startswith("error: ")
    assert message in found.stderr.lower()


def test_the_version_is_told(queuectl):
    assert re.fullmatch(r"queuectl \d+\.\d+\.\d+\n", queuectl("--version").stdout)


def test_the_overview_has_every_command_under_a_heading_and_cuts_no_sentence(queuectl):
    overview = queuectl("--help", COLUMNS="80").stdout
    listed = [
        (heading, name)
        for heading, body in re.findall(r"^(\w+):\n((?:  .*\n)+)", overview, re.MULTILINE)
        for name in re.findall(r"^  (\w+) ", body, re.MULTILINE)
    ]

    assert listed == [(heading, name) for heading, commands in SECTIONS.items() for name in commands]
    assert "..." not in overview.partition("Options:")[2]


def test_what_a_lost_attempt_wrote_is_printed_before_what_the_next_with_its_number_did(queuectl, tmp_path):
    flag = tmp_path / "flag"
    queuectl("enqueue", "--id", "long", f"[ -e {flag} ] && echo again && exit; echo first; touch {flag}; exec sleep 60")
    runner = queuectl.start("run")
    eventually(flag.exists)
    runner.kill()
    runner.wait()

    queuectl("run", "--drain")

    assert queuectl("logs", "long").stdout == "again\n"
    assert queuectl("logs", "long", "--attempt", "1").stdout == "first\nagain\n"
    assert re.search(r"^interrupted +1 time$", queuectl("show", "long").stdout, re.MULTILINE)
