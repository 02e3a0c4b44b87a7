"""`queuectl simulate`, through the command."""

import re
from pathlib import Path

import pytest

NIGHTLY = """
version = 1
manifest = "nightly"

[defaults]
timezone = "Europe/Berlin"

[jobs.backup]
command = "true"
schedule = "30 2 * * *"
priority = 5

[jobs.report]
command = "true"
schedule = "30 2 * * *"
max_wait = "5m"
"""
NIGHT = ("--from", "2026-03-28T12:00:00Z", "--until", "2026-03-30T12:00:00Z")


def around(path):
    """Return what lies beside a queue, with what is in it."""
    return {file: file.read_bytes() for file in Path(path).parent.rglob("*") if file.is_file()}


def test_what_comes_is_told_and_a_wait_that_is_too_long_is_exit_code_2(queuectl):
    queuectl.manifest(NIGHTLY)

    fine = queuectl("simulate", "nightly.toml", *NIGHT, "--workers", "2", "--assume", "10m")
    slow = queuectl("simulate", "nightly.toml", *NIGHT, "--workers", "1", "--assume", "10m", code=2)

    assert fine.stderr == ""
    assert slow.stderr == "waits too long: nightly/report, 2 of its runs longer than its `max_wait`\n"
    assert re.search(r"2026-03-29T01:00:00Z +nightly/report +10m +10m +completed", slow.stdout)
    assert "worst minute  2026-03-29T01:00Z: 2 runs want a worker: nightly/backup, nightly/report" in slow.stdout
    assert (
        "on 2026-03-29 the clocks of Europe/Berlin go from 02:00 to 03:00: what is due at 02:30 runs at 03:00: "
        "nightly/backup, nightly/report"
    ) in slow.stdout


def test_the_document_has_all_of_it(queuectl):
    queuectl.manifest(NIGHTLY)

    document = queuectl.json(
        "simulate", "nightly.toml", "--from", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z"
    )
    said = queuectl(
        "simulate", "nightly.toml", "--from", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z"
    ).stdout

    assert len(document["timeline"]) == document["runs"]["completed"] == 2 * 365
    assert "… 710 more; `--json` has all of them" in said
    assert [job["max_wait"] for job in document["jobs"]] == [None, 300.0]
    assert document["timeline"][0] == {
        "job": "nightly/backup",
        "slot": "2026-01-01T01:30:00.000Z",
        "due": "2026-01-01T01:30:00.000Z",
        "waited": 0.0,
        "state": "completed",
        "reason": None,
        "attempts": [{"started_at": "2026-01-01T01:30:00.000Z", "finished_at": "2026-01-01T01:31:00.000Z"}],
    }


def test_the_same_slots_come_as_next_tells(queuectl):
    queuectl.manifest(NIGHTLY)
    document = queuectl.json("simulate", "nightly.toml", *NIGHT)
    expression = ("--expression", "30 2 * * *", "--timezone", "Europe/Berlin")

    told = queuectl.json("next", *expression, *NIGHT, "-n", "100")

    slots = [run["slot"] for run in document["timeline"] if run["job"] == "nightly/backup"]
    assert slots == [slot["slot"] for slot in told]


def test_durations_come_from_the_queue_which_is_left_as_it_is(queuectl, tmp_path):
    queuectl.manifest('[jobs.slow]\ncommand = "sleep 0.3"\n[jobs.new]\ncommand = "true"\nschedule = "@daily"\n')
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")
    before = around(queuectl.environ["QUEUECTL_DB"])

    slow, new = queuectl.json("simulate", "nightly.toml", "--assume", "2h", "--percentile", "100")["jobs"]

    assert (slow["attempts_known"], 0.3 <= slow["seconds"] < 60) == (1, True)
    assert (new["attempts_known"], new["seconds"]) == (0, 7200)
    assert around(queuectl.environ["QUEUECTL_DB"]) == before


def test_a_queue_in_use_is_read_as_well(queuectl):
    queuectl.manifest('[jobs.slow]\ncommand = "true"\n')
    runner = queuectl.start("run")
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")

    found = queuectl.json("simulate", "nightly.toml")

    assert runner.poll() is None
    assert [job["attempts_known"] for job in found["jobs"]] == [1]


def test_a_queue_that_does_not_exist_is_not_made(queuectl, tmp_path):
    queuectl.manifest(NIGHTLY)

    queuectl("simulate", "nightly.toml")

    assert not Path(queuectl.environ["QUEUECTL_DB"]).exists()
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["nightly.toml", "project"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--from", "yesterday"], 64, "error: `--from` must be a time like"),
        (["--from", "2026-12-01"], 64, "error: `--from` must have an offset from UTC"),
        (["--until", "2020-01-01T00:00Z"], 64, "error: `--until` is not after `--from`"),
        (["--assume", "soon"], 64, "error: `--assume` must be a duration like"),
        (["--workers", "0"], 64, "error: "),
        (["--percentile", "101"], 64, "error: "),
        (["--db", "nightly.toml"], 69, "error: "),
        (["nowhere.toml"], 65, "error: `nowhere.toml` is not valid: 1 problem"),
    ],
)
def test_what_cannot_be_meant_is_refused(queuectl, arguments, code, said):
    queuectl.manifest(NIGHTLY)

    assert queuectl("simulate", "nightly.toml", *arguments, code=code).stderr.startswith(said)


def test_a_manifest_without_jobs_has_nothing_to_come(queuectl):
    queuectl.manifest("")

    assert queuectl("simulate", "nightly.toml").stdout.endswith("4 workers: 0 runs, busy 0% of the time\n")
