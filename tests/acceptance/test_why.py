"""`queuectl why`, in the situations that it is asked in at night."""

import contextlib
import os
import re
import signal
from datetime import datetime, timedelta

import apsw
import pytest

from queuectl import clock
from tests.support.waiting import eventually

NIGHTLY = """
[defaults]
timezone = "Europe/Berlin"

[jobs.report]
command = 'echo "no space left" >&2; exit 3'
schedule = "30 2 * * *"
retries = 1
retry_delay = "10m"

[jobs.sync]
command = "sleep 60"
schedule = "@every 1h"
"""
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def why(queuectl, *arguments):
    """Return the conclusion, its stamps replaced by a word, and the sentences by kind."""
    document = queuectl.json("why", *arguments)
    assert [fact["at"] for fact in document["facts"]] == sorted(fact["at"] for fact in document["facts"])
    return re.sub(STAMP, "TIME", document["conclusion"]), [fact["sentence"] for fact in document["facts"]]


def change(queuectl, statement, *values):
    with contextlib.closing(apsw.Connection(queuectl.environ["QUEUECTL_DB"])) as connection:
        connection.execute(statement, values)


def shift_past(queuectl, hours):
    """Let everything that is on record lie so much further back, as if nobody had done anything since."""
    micros = int(hours * 3600 * 1_000_000)
    for table, columns in {
        "jobs": ["next_slot"],
        "runners": ["started_at", "heartbeat_at", "stopped_at"],
        "applies": ["applied_at"],
    }.items():
        change(queuectl, f"UPDATE {table} SET {', '.join(f'{each} = {each} - {micros}' for each in columns)}")


@pytest.fixture
def nightly(queuectl):
    queuectl.manifest(NIGHTLY)
    queuectl("apply", "nightly.toml")
    return queuectl


def test_a_killed_runner_and_the_slots_that_passed_after_it(nightly):
    runner = nightly.start("run", "--workers", "1")
    eventually(lambda: nightly.json("status")["runners"])
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait(30)
    shift_past(nightly, 5)
    waiting, _ = why(nightly, "nightly/sync")

    nightly("run", "--once", "--no-schedule")  # finds the first one dead, and leaves the slots alone
    still_waiting, facts = why(nightly, "nightly/sync")
    second = nightly.start("run", "--workers", "1")
    [running] = eventually(lambda: nightly.json("list", "--job", "nightly/sync", "--state", "processing"))
    ran, _ = why(nightly, "nightly/sync")
    skipped = nightly.json("list", "--job", "nightly/sync")[1]
    missed, _ = why(nightly, skipped["id"])

    assert waiting.startswith("nightly/sync: slot TIME (")
    assert " has not run yet: no runner is alive since TIME; next at TIME" in waiting
    assert " has not run yet: no runner that looks at schedules is alive since TIME; next at TIME" in still_waiting
    assert any(re.search(r"was last heard of; it was found dead at", fact) for fact in facts)
    assert f": run {running['id']} of slot TIME (" in ran
    assert " runs for " in ran
    assert re.fullmatch(
        rf"{skipped['id']} did not run: no runner that looks at schedules was alive from TIME to TIME; of the slots "
        rf"since then only the newest counts, TIME with run {running['id']}",
        missed,
    )
    second.kill()


def test_a_time_without_a_runner_is_told_to_the_second(nightly):
    nightly("run", "--once")
    shift_past(nightly, 5)
    nightly("run", "--once", "--no-schedule")
    nightly("trigger", "nightly/report")

    found = nightly.json("why", "r1")

    [gap] = [fact["sentence"] for fact in found["facts"] if fact["sentence"].startswith("no runner was alive")]
    since = datetime.fromisoformat(re.findall(STAMP, gap)[0])
    assert timedelta(0) < clock.now() - since < timedelta(minutes=5)
    assert "r1 is due since" in found["conclusion"]
    assert "but no runner is alive since" in found["conclusion"]


def test_a_retry_waits_and_says_what_the_attempt_wrote_and_then_the_run_is_dead(nightly):
    nightly("trigger", "nightly/report")
    nightly("run", "--once")

    waits, facts = why(nightly, "r1")
    change(nightly, "UPDATE runs SET run_at = created_at")
    nightly("run", "--once", code=1)
    dead, _ = why(nightly, "nightly/report")
    nightly("dlq", "retry", "r1")
    _, after = why(nightly, "r1")

    assert waits == "r1 waits for its retry: attempt 2 of 2 is due at TIME, in 20m; the last: exit code 3".replace(
        "20m", waits.partition("in ")[2].partition(";")[0]
    )
    assert any(fact.endswith("exit code 3; it last wrote: no space left") for fact in facts)
    assert dead.startswith("nightly/report: run r1 is dead since TIME: exit code 3; 2 of 2 attempts were made; next at")
    assert any(fact.startswith("triggered by ") for fact in after)
    assert any(fact.startswith("given back to the queue by ") for fact in after)


def test_a_pause_is_named_with_who_why_and_how_long(nightly):
    nightly("pause", "nightly", "--until", "2999-01-01T00:00:00Z", "--reason", "the disk\x1b[31m is full")
    shift_past(nightly, 2)
    change(nightly, "UPDATE pauses SET begins_at = begins_at - 14400000000")
    nightly("run", "--once")

    said = nightly("why", "nightly/sync").stdout

    assert "did not run: nightly was paused since " in said
    assert "until 2999-01-01T00:00:00Z by " in said
    assert "the disk\\x1b[31m is full" in said
    nightly("resume", "nightly")
    assert "resumed at" in nightly("why", nightly.json("list", "--job", "nightly/sync")[0]["id"]).stdout


def test_a_run_that_is_not_over_stands_in_the_way_of_the_next(nightly):
    nightly("trigger", "nightly/sync")
    nightly("trigger", "nightly/sync")
    shift_past(nightly, 1)
    runner = nightly.start("run", "--workers", "1")
    eventually(lambda: nightly.json("list", "--state", "processing"))
    eventually(lambda: nightly.json("list", "--state", "skipped"))

    overlapped, _ = why(nightly, "nightly/sync")
    held, _ = why(nightly, "r2")
    nightly("cancel", "r2")
    cancelled, _ = why(nightly, "r2")

    assert re.search(r': run r3 of slot TIME \(.*\) did not run: r\d .* was not over \(overlap = "skip"\)', overlapped)
    assert held == "r2 waits until r1 (began at TIME, runs) is over"
    assert re.fullmatch(r"r2 is cancelled since TIME by \S+@\S+: cancelled before it ran", cancelled)
    runner.kill()


def test_an_ad_hoc_run_behind_others_counts_them(queuectl):
    queuectl("enqueue", "-", input="sleep 60\n" * 3)
    queuectl("enqueue", "--priority", "5", "true")
    queuectl("enqueue", "--priority", "-1", "sleep 60")
    runner = queuectl.start("run", "--workers", "1")
    eventually(lambda: queuectl.json("list", "--state", "processing") and len(queuectl.json("list")) == 5)
    eventually(lambda: queuectl.json("show", "r4")["state"] == "completed")
    eventually(lambda: queuectl.json("list", "--state", "processing"))

    found, _ = why(queuectl, "r5")

    assert re.fullmatch(
        r"r5 is due since TIME: what is claimed before it: 2 runs of a larger priority; "
        r"there is runner 1 \(pid \d+ on .*\) with 1 of 1 worker busy",
        found,
    )
    runner.kill()


def test_a_time_that_the_clocks_skip_and_one_that_the_schedule_does_not_name(nightly):
    gap, facts = why(nightly, "nightly/report", "--at", "2998-03-25T02:30")
    other, _ = why(nightly, "nightly/report", "--at", "2998-03-25T02:30:00+00:00")

    assert gap.startswith("nightly/report: slot TIME (03:00:00 +0200 Europe/Berlin) is due, in ")
    assert "the clocks of Europe/Berlin skipped this minute" in facts
    assert other.startswith("nightly/report: is not due at 2998-03-25 04:30 Europe/Berlin: hour `2` is not 4; ")


def test_a_changed_schedule_and_a_removed_job_are_told_by_the_applies(nightly):
    shift_past(nightly, 48)
    nightly.manifest(NIGHTLY.replace("30 2 * * *", "40 2 * * *"))
    nightly("apply", "nightly.toml")
    nightly.manifest(NIGHTLY.partition("[jobs.sync]")[0].replace("30 2 * * *", "40 2 * * *"))
    nightly("apply", "nightly.toml")

    berlin = (clock.now() - timedelta(hours=24)).strftime("%Y-%m-%d")
    before, facts = why(nightly, "nightly/report", "--at", f"{berlin}T02:30")
    removed, _ = why(nightly, "nightly/sync")

    assert re.match(r"nightly/report: slot TIME \(02:30.*\) did not run: apply 2 of .* began the slots anew at", before)
    assert any("`schedule`" in fact for fact in facts)
    assert re.search(r"; it is not declared any more: apply 3 of \S+ removed it at TIME$", removed)


def test_a_slot_that_passed_and_was_purged_is_not_laid_at_an_apply(nightly):
    shift_past(nightly, 3)
    nightly("run", "--once", "--no-schedule")
    nightly("pause", "--all")
    change(nightly, "UPDATE pauses SET begins_at = 0")
    nightly("run", "--once")
    [first, *_] = reversed(nightly.json("list", "--job", "nightly/sync"))
    change(nightly, "DELETE FROM runs WHERE given_id IS NULL AND number = ?", int(first["id"][1:]))
    nightly.manifest(NIGHTLY.replace("@every 1h", "@every 2h"))
    nightly("apply", "nightly.toml")

    found, _ = why(nightly, "nightly/sync", "--at", first["slot"])

    assert re.fullmatch(r"nightly/sync: slot TIME \(.*\) has no run on record: it was purged", found)


def test_what_nobody_knows_has_a_hint(nightly):
    assert "did you mean `nightly/report`?" in nightly("why", "nightly/reporrt", code=3).stderr
    assert "did you mean `nightly/report`?" in nightly("why", "report", code=3).stderr
    assert nightly("why", "r99", code=3).stderr.startswith("error: no run `r99`")
    assert "`--at` must be a time" in nightly("why", "nightly/report", "--at", "yesterday", code=64).stderr
    nightly("trigger", "nightly/report")
    assert "must have an offset" in nightly("why", "r1", "--at", "2026-12-01T02:30", code=64).stderr


def test_an_empty_queue_has_no_answer_and_is_not_made(queuectl, tmp_path):
    assert queuectl("why", "r1", code=3).stderr == "error: no run `r1`\n\nhint: `queuectl list` shows the runs\n"
    assert queuectl("why", "a/b", code=3).stderr == "error: no job `a/b`\n\nhint: `queuectl jobs` shows the jobs\n"
    assert not (tmp_path / "queue.db").exists()
