"""Schedules, through the command: declared, fired by runners, looked at, paused, triggered."""

import contextlib
from datetime import datetime, timedelta
from itertools import pairwise

import apsw
import pytest

from queuectl import clock
from tests.support.waiting import eventually

EVERY_SECOND = """
version = 1
manifest = "often"

[jobs.tick]
command = 'echo "$QUEUECTL_SCHEDULED_AT" >> "$LOG"'
schedule = "@every 1s"
"""


def runs_of(queuectl, job, **keys):
    """Return the runs of a job, oldest first, as far as they have these values."""
    found = reversed(queuectl.json("list", "--job", job))
    return [run for run in found if all(run[key] == value for key, value in keys.items())]


def set_back(queuectl, job, seconds):
    """Let the next slot of a job lie in the past, as after a downtime."""
    with contextlib.closing(apsw.Connection(queuectl.environ["QUEUECTL_DB"])) as connection:
        connection.execute("UPDATE jobs SET next_slot = next_slot - ? * 1000000 WHERE name = ?", (seconds, job))


@pytest.fixture
def log(queuectl, tmp_path):
    """A file that jobs write to."""
    path = tmp_path / "log"
    queuectl.environ = {**queuectl.environ, "LOG": str(path)}
    return path


def test_three_runners_run_each_slot_once(queuectl, log):
    queuectl.manifest(EVERY_SECOND, "often.toml")
    queuectl("apply", "often.toml")
    runners = [queuectl.start("run", "--workers", "1") for _ in range(3)]
    eventually(lambda: log.exists() and len(log.read_text().splitlines()) >= 4)
    for runner in runners:
        runner.terminate()
        runner.wait(30)

    slots = [datetime.fromisoformat(run["slot"]) for run in runs_of(queuectl, "often/tick")]
    assert all(later - earlier == timedelta(seconds=1) for earlier, later in pairwise(slots))
    told = log.read_text().splitlines()
    assert len(set(told)) == len(told)
    assert set(told) <= {f"{slot:%Y-%m-%dT%H:%M:%SZ}" for slot in slots}


def test_a_slot_is_run_within_moments_by_a_runner_that_waited_for_it(queuectl, log):
    queuectl.manifest(EVERY_SECOND.replace("@every 1s", "@every 2s"), "often.toml")
    queuectl.start("run")
    queuectl("apply", "often.toml")  # rings the runner, which learns of the next slot

    eventually(lambda: runs_of(queuectl, "often/tick", state="completed"))

    [run, *_] = runs_of(queuectl, "often/tick", state="completed")
    late = datetime.fromisoformat(run["started_at"]) - datetime.fromisoformat(run["slot"])
    assert timedelta(0) <= late < timedelta(seconds=2)


def test_a_runner_without_schedule_leaves_the_slots_to_others(queuectl, log):
    queuectl.manifest(EVERY_SECOND, "often.toml")
    queuectl("apply", "often.toml")
    set_back(queuectl, "tick", 10)

    queuectl("run", "--drain", "--no-schedule")
    assert runs_of(queuectl, "often/tick") == []
    queuectl("run", "--once")

    assert len(runs_of(queuectl, "often/tick", state="completed")) >= 1


@pytest.mark.parametrize(
    ("keys", "ran", "reason"),
    [
        ("", 1, "coalesced"),
        ('catchup = "none"', 0, "missed"),
        ('catchup = "all"\noverlap = "queue"', 100, "missed"),
    ],
    ids=["latest", "none", "all"],
)
def test_a_downtime_of_a_thousand_slots_is_accounted_for(queuectl, log, keys, ran, reason):
    queuectl.manifest(EVERY_SECOND.replace("@every 1s", "@every 1h") + keys, "often.toml")
    queuectl("apply", "often.toml")
    set_back(queuectl, "tick", 1000 * 3600)  # the newest of the thousand is less than an hour old

    queuectl("run", "--drain", "--workers", "2")

    found = runs_of(queuectl, "often/tick")
    late = clock.now() - datetime.fromisoformat(found[-1]["slot"]) > timedelta(seconds=60)
    assert len(found) == 1000
    assert len([run for run in found if run["state"] == "completed"]) == ran or not late
    assert {run["reason"] for run in found if run["state"] == "skipped"} == {reason}


def test_next_tells_the_slots_of_all_jobs_in_their_order(queuectl):
    queuectl.manifest(
        'version = 1\nmanifest = "m"\n[defaults]\ntimezone = "Europe/Berlin"\n'
        '[jobs.a]\ncommand = "true"\nschedule = "0 2 * * *"\n[jobs.b]\ncommand = "true"\nschedule = "30 * * * *"\n',
        "m.toml",
    )
    queuectl("apply", "m.toml")

    slots = queuectl.json("next", "-n", "30")

    assert [slot["slot"] for slot in slots] == sorted(slot["slot"] for slot in slots)
    assert {slot["job"] for slot in slots} == {"m/a", "m/b"}
    assert all(slot["local"][11:19] in ("02:00:00", *(f"{hour:02}:30:00" for hour in range(24))) for slot in slots)
    assert len(queuectl.json("next", "m/a", "-n", "3")) == 3
    assert queuectl("next", "m/c", code=3).stderr.startswith("error: no job `m/c`")


def test_a_pause_is_shown_by_plan_and_apply_does_not_end_it(queuectl, log):
    queuectl.manifest(EVERY_SECOND, "often.toml")
    queuectl("apply", "often.toml")
    queuectl("pause", "often/tick", "--reason", "the disk\x1b[31m is full")

    assert "! often/tick is paused since" in queuectl("plan", "often.toml").stdout
    assert "the disk\\x1b[31m is full" in queuectl("apply", "often.toml").stdout
    eventually(lambda: queuectl("run", "--once") and runs_of(queuectl, "often/tick", reason="paused"))
    queuectl("resume", "often/tick")

    assert "paused" not in queuectl("plan", "often.toml").stdout


def test_a_triggered_run_waits_for_the_one_before_it(queuectl, log):
    queuectl.manifest(EVERY_SECOND.replace("@every 1s", "@yearly"), "often.toml")
    queuectl("apply", "often.toml")

    first = queuectl("trigger", "often/tick")
    second = queuectl("trigger", "often/tick")

    assert (first.stderr, second.stderr) == ("", "r2: waits for the run of often/tick before it\n")
    assert "after the run before" in queuectl("list").stdout
    queuectl("run", "--drain")
    assert [run["state"] for run in runs_of(queuectl, "often/tick")] == ["completed"] * 2


JOBS = """
version = 1
manifest = "m"
[defaults]
retries = 0
schedule = "@yearly"
[jobs.bad]
command = "false"
tags = ["disk"]
[jobs.good]
command = "true"
[jobs.never]
command = "true"
[jobs.off]
command = "true"
enabled = false
"""


@pytest.fixture
def declared(queuectl):
    """Jobs of two manifests: one that died, one that was completed, one that never ran, one that is not enabled."""
    queuectl.manifest(JOBS, "m.toml")
    queuectl.manifest(
        'version = 1\nmanifest = "other"\n[jobs.x]\ncommand = "true"\nrun_at = 2030-01-01T00:00:00Z\n', "o.toml"
    )
    queuectl("apply", "m.toml", "o.toml")
    queuectl("trigger", "m/bad", "m/good")
    queuectl("run", "--drain", code=1)
    return queuectl


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["m"], "m/bad m/good m/never m/off"),
        (["m/good", "other"], "m/good other/x"),
        (["--job", "*/[gn]*"], "m/good m/never"),
        (["--manifest", "other"], "other/x"),
        (["--state", "dead"], "m/bad"),
        (["--state", "dead", "--state", "completed", "--since", "1h"], "m/bad m/good"),
        (["m", "--until", "1h"], ""),
        (["--exit-code", "0"], "m/good"),
        (["--exit-code", "1", "--tag", "disk"], "m/bad"),
        (["--grep", "M/N"], "m/never"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_jobs_are_selected_by_what_they_are_and_how_their_newest_run_ended(declared, words, found):
    assert [job["job"] for job in declared.json("jobs", *words)] == found.split()


def test_jobs_that_are_triggered_as_a_selection_are_counted_and_agreed_to(declared):
    refused = declared("trigger", "--state", "dead", code=64).stderr
    shown = declared("trigger", "m", "--dry-run").stdout
    done = declared("trigger", "--state", "dead", "--yes")

    assert "not done without asking: 1 job to be triggered" in refused
    assert [line.split()[0] for line in shown.splitlines()] == ["JOB", "m/bad", "m/good", "m/never"]
    assert (done.stdout, done.stderr) == ("r4\n", "1 job to be triggered\n")
    assert [run["job"] for run in declared.json("list", "r4")] == ["m/bad"]
    assert declared("trigger", "m/off").stdout == "r5\n"
    everything = declared("trigger", "--all", "--yes")
    assert (everything.stdout, everything.stderr.splitlines()[0]) == ("r6\nr7\nr8\nr9\n", "4 jobs to be triggered")
    assert "0 jobs to be triggered" in declared("trigger", "--tag", "no", "--yes").stderr
    assert "name jobs, select some" in declared("trigger", code=64).stderr


def test_a_manifest_is_paused_as_a_whole_and_a_selection_job_by_job(declared):
    assert declared("pause", "m", "other/x").stderr == "paused: m\npaused: other/x\n"
    assert declared("resume", "m/*", "other/x").stderr == "resumed: m\nresumed: other/x\n"
    assert declared("pause", "--manifest", "m").stderr == "paused: m\n"
    assert declared("resume", "--manifest", "m").stderr == "resumed: m\n"
    assert declared("pause", "--manifest", "m", "--tag", "disk").stderr == "paused: m/bad\n"
    assert declared("resume", "*/b*").stderr == "resumed: m/bad\n"
    assert "no job is like that" in declared("pause", "--tag", "no", code=3).stderr
    assert "no manifest `mm`" in declared("pause", "mm", code=3).stderr


def test_next_tells_why_no_slot_comes(declared):
    assert "no slot comes: `other/x` has no schedule" in declared("next", "other").stderr
    assert "`m/off` is not enabled" in declared("next", "m/off").stderr
    assert {slot["job"] for slot in declared.json("next", "m", "-n", "9")} == {"m/bad", "m/good", "m/never"}


def test_what_cannot_work_together_is_refused_with_its_line(queuectl):
    queuectl.manifest(
        'version = 1\nmanifest = "m"\n\n[jobs.a]\ncommand = "true"\nschedule = "61 * * * *"\nrun_at = 2026-12-01\n'
        'timezone = "UTC"\ncatchup = "all"\n[jobs.b]\ncommand = "true"\noverlap = "queue"\n'
        '[jobs.c]\ncommand = "true"\nschedule = "0 0 30 2 *"\n',
        "m.toml",
    )

    said = queuectl("validate", "m.toml", code=65).stderr

    assert [line.split()[0] for line in said.splitlines() if line.startswith("  ")] == [
        "m.toml:6:12",
        "m.toml:7:10",
        "m.toml:9:11",
        "m.toml:12:11",
        "m.toml:15:12",
    ]


def test_what_is_likely_not_meant_is_a_warning_with_its_line(queuectl):
    queuectl.manifest(
        'version = 1\nmanifest = "m"\n\n[jobs.a]\ncommand = "true"\ntimezone = "Europe/Berlin"\n'
        'schedule = "30 2 1,15 * mon"\ntimeout = "40d"\n',
        "m.toml",
    )

    warned = queuectl("validate", "m.toml").stderr
    planned = queuectl("plan", "m.toml").stdout

    assert all(line.startswith("warning: m.toml:7:12  job `a`: ") for line in warned.splitlines()[:-1])
    assert len(warned.splitlines()) == 3
    assert planned.count("! m.toml:7:12  job `a`: ") == len(warned.splitlines()) - 1


def test_a_time_zone_that_is_not_known_any_more_holds_up_its_own_job_only(queuectl, log):
    queuectl.manifest(EVERY_SECOND + '[jobs.lost]\ncommand = "true"\nschedule = "* * * * *"\n', "often.toml")
    queuectl("apply", "often.toml")
    with contextlib.closing(apsw.Connection(queuectl.environ["QUEUECTL_DB"])) as connection:
        connection.execute(
            "UPDATE jobs SET recurrence = replace(recurrence, 'UTC', 'Mars/Olympus') WHERE name = 'lost'"
        )
    set_back(queuectl, "lost", 60)

    runner = queuectl.start("run", "--workers", "1")
    eventually(lambda: log.exists() and len(log.read_text().splitlines()) >= 3)
    runner.terminate()
    runner.wait(30)

    [warning] = queuectl("run", "--drain").stderr.splitlines()
    assert "warning: `often/lost`: the schedule `* * * * *` in `Mars/Olympus` cannot be read" in warning
    assert "cannot be read" in queuectl("why", "often/lost", code=1).stderr
    coming = queuectl("next")
    assert "often/tick" in coming.stdout
    assert "often/lost" in coming.stderr

    queuectl("apply", "often.toml")
    assert "often/lost" in queuectl("next", "often/lost").stdout
