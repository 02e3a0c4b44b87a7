"""`queuectl check`, as Nagios calls it."""

import fcntl
import re
from pathlib import Path

import apsw
import pytest

from tests.support.waiting import eventually

_PENDING_BYTE = 1 << 30  # where SQLite has its locks
NUMBERS = re.compile(
    r"dlq=\d+;\d*;\d*;0 wait=[\d.]+s;[\d.]*;[\d.]*;0 runners=\d+;;(1:)?;0 waiting=\d+;;;0 processing=\d+;;;0"
)


def database(queuectl):
    return Path(queuectl.environ["QUEUECTL_DB"])


def first_line(told):
    line, _, numbers = told.stdout.splitlines()[0].partition(" | ")
    assert NUMBERS.fullmatch(numbers), numbers
    return line


def test_a_queue_that_is_well_is_ok_and_says_what_it_is_doing(queuectl):
    queuectl("enqueue", "true")
    queuectl("run", "--drain")
    told = queuectl("check", "--max-dlq", "0", "--max-wait", "1m")

    assert first_line(told) == "QUEUECTL OK - 0 waiting, 0 running, no runner is alive"
    assert told.stdout.splitlines()[1:] == [
        "OK  dlq: 0 runs in the dead letter queue",
        "OK  wait: nothing that is due waits",
        "OK  runner: no runner is alive",
    ]
    assert told.stderr == ""


def test_what_is_critical_stands_in_the_first_line(queuectl):
    queuectl("enqueue", '{"command": "false", "retries": 0}')
    queuectl("run", "--drain", code=1)

    assert first_line(queuectl("check", "--max-dlq", "0", "--runner", code=2)) == (
        "QUEUECTL CRITICAL - dlq: 1 run in the dead letter queue, at most 0 allowed; runner: no runner is alive"
    )
    assert first_line(queuectl("check", "--warn-dlq", "0", code=1)).startswith("QUEUECTL WARNING - dlq: ")


def test_a_runner_is_alive_as_long_as_it_lives_and_no_longer(queuectl):
    queuectl("enqueue", "true")
    queuectl("check", "--runner", code=2)
    runner = queuectl.start("run")
    eventually(lambda: queuectl("check", "--runner", code=None).returncode == 0)
    runner.kill()
    runner.wait()

    assert "runner: no runner is alive" in first_line(queuectl("check", "--runner", code=2))


def test_a_run_that_waits_too_long_is_told(queuectl):
    queuectl("enqueue", "true")

    queuectl("check", "--max-wait", "1h")
    assert "wait: the oldest due run waits for " in first_line(queuectl("check", "--max-wait", "0", code=2))


def test_the_json_has_everything(queuectl):
    queuectl.manifest('[jobs.a]\ncommand = "true"\nexpect_success_within = "26h"\nrun_at = 2999-01-01T00:00:00Z\n')
    queuectl("apply", "nightly.toml")
    document = queuectl.json("check")

    assert (document["level"], document["code"]) == ("OK", 0)
    assert document["alarms"][0]["subject"] == "nightly/a"
    assert document["numbers"] | {"wait_seconds": 0} == {
        "dlq": 0,
        "wait_seconds": 0,
        "runners": 0,
        "waiting": 1,
        "processing": 0,
    }


def test_a_queue_that_is_not_there_is_unknown_and_not_made(queuectl):
    told = queuectl("check", "--max-dlq", "0", code=3)

    assert told.stdout.startswith("QUEUECTL UNKNOWN - there is no queue at ")
    assert not database(queuectl).exists()
    assert queuectl("check", "--json", code=3).stdout.startswith('{\n  "level": "UNKNOWN"')


def test_a_queue_of_a_newer_queuectl_is_unknown(queuectl):
    queuectl("enqueue", "true")
    with apsw.Connection(str(database(queuectl))) as connection:
        connection.pragma("user_version", 999)
    connection.close()

    assert "has schema version 999" in queuectl("check", code=3).stdout


def test_a_file_that_is_no_queue_is_unknown(queuectl):
    database(queuectl).write_text("no database " * 500)

    assert queuectl("check", code=3).stdout.startswith("QUEUECTL UNKNOWN - ")


def test_a_queue_that_somebody_holds_is_unknown(queuectl):
    queuectl("enqueue", "true")
    with database(queuectl).open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 512, _PENDING_BYTE)
        told = queuectl("check", code=3, QUEUECTL_BUSY_TIMEOUT="0.1")

    assert re.fullmatch(
        r"QUEUECTL UNKNOWN - `.*queue\.db` is busy: another program holds it", told.stdout.splitlines()[0]
    )


def test_looking_changes_nothing(queuectl):
    queuectl("enqueue", "true")
    before = database(queuectl).read_bytes(), database(queuectl).stat().st_mtime_ns
    queuectl("check")

    assert (database(queuectl).read_bytes(), database(queuectl).stat().st_mtime_ns) == before
    assert list(queuectl.folder.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--max-dlq", "-1"],
        ["--max-wait", "soon"],
        ["--warn-dlq", "3", "--max-dlq", "2"],
        ["--warn-wait", "2m", "--max-wait", "1m"],
    ],
    ids=" ".join,
)
def test_a_limit_that_makes_no_sense_is_refused(queuectl, options):
    assert queuectl("check", *options, code=64).stderr.startswith("error: ")
