import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

BACKUP = '[jobs.backup]\ncommand = "echo backup"\n'
SYNC = '[jobs.sync]\ncommand = "echo sync"\n'


def test_a_manifest_is_planned_applied_and_run(queuectl):
    queuectl.manifest(BACKUP + SYNC)

    assert "+ create  backup  runs now" in queuectl("plan", "nightly.toml").stdout
    assert queuectl.json("list") == []
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")

    assert queuectl.states() == [("nightly/backup", "completed"), ("nightly/sync", "completed")]
    assert queuectl("logs", "nightly/backup").stdout == "backup\n"


def test_a_plan_makes_no_database(queuectl, tmp_path):
    queuectl.manifest(BACKUP)

    queuectl("plan", "nightly.toml")

    assert not (tmp_path / "queue.db").exists()


def test_an_apply_that_changes_nothing_writes_nothing(queuectl):
    queuectl.manifest(BACKUP)
    queuectl("apply", "nightly.toml")

    again = queuectl("apply", "nightly.toml")

    assert "= 1 unchanged" in again.stdout
    assert [apply["number"] for apply in queuectl.json("applies")] == [1]


def test_a_changed_key_is_shown_from_old_to_new_with_its_place(queuectl):
    queuectl.manifest('[jobs.backup]\ncommand = "echo backup"\ntimeout = "5m"\n')
    queuectl("apply", "nightly.toml")
    queuectl.manifest('[jobs.backup]\ncommand = "echo backup"\ntimeout = "10m"\n')

    plan = queuectl("plan", "nightly.toml").stdout

    assert "~ update  backup" in plan
    assert "timeout: 5m → 10m  nightly.toml:5:1" in plan


def test_a_removed_job_s_run_is_cancelled(queuectl):
    queuectl.manifest(BACKUP + SYNC)
    queuectl("apply", "nightly.toml")
    queuectl.manifest(BACKUP)

    assert "- remove  sync" in queuectl("apply", "nightly.toml").stdout

    assert queuectl.states() == [("nightly/backup", "pending"), ("nightly/sync", "cancelled")]


def test_no_prune_keeps_what_is_not_declared(queuectl):
    queuectl.manifest(BACKUP + SYNC)
    queuectl("apply", "nightly.toml")
    queuectl.manifest(BACKUP)

    queuectl("apply", "--no-prune", "nightly.toml")

    assert queuectl.states() == [("nightly/backup", "pending"), ("nightly/sync", "pending")]


def test_removing_all_jobs_needs_the_number_to_be_said(queuectl):
    queuectl.manifest(BACKUP + SYNC)
    queuectl("apply", "nightly.toml")
    queuectl.manifest("")

    assert "! removes 2 of 2" in queuectl("plan", "nightly.toml").stdout
    refused = queuectl("apply", "nightly.toml", code=1)
    assert "--allow-remove 2" in refused.stderr
    assert queuectl.states() == [("nightly/backup", "pending"), ("nightly/sync", "pending")]

    queuectl("apply", "--allow-remove", "2", "nightly.toml")
    assert queuectl.states() == [("nightly/backup", "cancelled"), ("nightly/sync", "cancelled")]


def test_a_rename_carries_history_and_completion_over(queuectl):
    queuectl.manifest(BACKUP)
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")
    queuectl.manifest('[jobs.db-backup]\ncommand = "echo backup"\nrenamed_from = "backup"\n')

    assert "> rename  backup → db-backup" in queuectl("apply", "nightly.toml").stdout

    assert queuectl.states() == [("nightly/db-backup", "completed")]


def test_a_name_that_another_file_owns_is_refused_and_can_be_adopted(queuectl):
    queuectl.manifest(BACKUP)
    queuectl("apply", "nightly.toml")
    (queuectl.folder / "other").mkdir()
    queuectl.manifest('version = 1\nmanifest = "nightly"\n' + SYNC, "other/moved.toml")

    refused = queuectl("apply", "--allow-remove", "1", "other/moved.toml", code=1)
    assert "nightly.toml" in refused.stderr
    assert "other/moved.toml" in refused.stderr

    queuectl("apply", "--adopt", "--allow-remove", "1", "other/moved.toml")
    assert queuectl.states() == [("nightly/backup", "cancelled"), ("nightly/sync", "pending")]


def test_one_invalid_file_means_that_nothing_is_applied(queuectl):
    queuectl.manifest(BACKUP)
    queuectl.manifest('[jobs.b]\ncomand = "x"\nretries = -1\n', "bad.toml")

    found = queuectl("apply", ".", code=65)

    assert "bad.toml:4:1" in found.stderr
    assert "unknown key `comand`" in found.stderr
    assert "bad.toml:5:" in found.stderr
    assert "did you mean `command`?" in found.stderr
    assert queuectl.json("list") == []


def test_validate_needs_no_queue_and_finds_every_problem_of_every_file(queuectl, tmp_path):
    queuectl.manifest('[jobs.a]\ncommand = ""\n', "first.toml")
    queuectl.manifest("[jobs.a\n", "second.toml")

    found = queuectl("validate", "first.toml", "second.toml", code=65)

    assert "first.toml:4:" in found.stderr
    assert "second.toml:3:" in found.stderr
    assert found.stdout == ""
    assert not (tmp_path / "queue.db").exists()


@pytest.mark.parametrize(("change", "code"), [(True, 2), (False, 0)])
@pytest.mark.parametrize("verb", [["plan"], ["apply"], ["apply", "--dry-run"]])
def test_the_detailed_exit_code_says_whether_something_changes(queuectl, change, code, verb):
    queuectl.manifest(BACKUP)
    queuectl("apply", "nightly.toml")
    if change:
        queuectl.manifest(BACKUP + SYNC)

    queuectl(*verb, "--detailed-exitcode", "nightly.toml", code=code)


def test_a_dry_run_writes_nothing(queuectl):
    queuectl.manifest(BACKUP)

    assert "+ create  backup" in queuectl("apply", "--dry-run", "nightly.toml").stdout

    assert queuectl.json("list") == []


def test_a_one_shot_runs_at_its_time_and_a_missed_one_is_recorded(queuectl):
    soon = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251
    queuectl.manifest(
        f'[jobs.soon]\ncommand = "true"\nrun_at = {soon:%Y-%m-%dT%H:%M:%SZ}\n'
        '[jobs.old]\ncommand = "true"\nrun_at = "2020-01-01T00:00:00"\ntimezone = "Europe/Berlin"\n'
    )

    plan = queuectl("plan", "nightly.toml").stdout
    queuectl("apply", "nightly.toml")

    assert "! old: missed by" in plan
    assert queuectl.states() == [("nightly/soon", "pending"), ("nightly/old", "skipped")]
    assert queuectl.json("list", "--job", "nightly/old")[0]["reason"] == "missed"


def test_a_new_revision_runs_a_completed_job_again(queuectl):
    queuectl.manifest(BACKUP)
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")
    queuectl.manifest(BACKUP + "revision = 2\n")

    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")

    assert queuectl.states() == [("nightly/backup", "completed"), ("nightly/backup", "completed")]


def test_a_dead_job_whose_command_was_mended_goes_again(queuectl):
    queuectl.manifest('[jobs.backup]\ncommand = "exit 1"\nretries = 0\n')
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain", code=1)
    assert "= 1 unchanged (dead: backup)" in queuectl("plan", "nightly.toml").stdout
    queuectl.manifest('[jobs.backup]\ncommand = "exit 0"\nretries = 0\n')

    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")

    assert queuectl.states() == [("nightly/backup", "completed")]


def test_a_job_runs_in_its_manifest_s_folder_with_its_environment(queuectl):
    (queuectl.folder / "sub").mkdir()
    (queuectl.folder / "secrets.env").write_text("TOKEN=s3cret\n")
    queuectl.manifest(
        '[defaults]\nenv = { A = "default", B = "default" }\nenv_file = "secrets.env"\n'
        '[jobs.here]\ncommand = "pwd; echo $A $B $TOKEN"\nenv = { B = "job" }\n'
        '[jobs.sub]\ncommand = "pwd"\ncwd = "sub"\n'
    )
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")

    assert queuectl("logs", "nightly/here").stdout == f"{queuectl.folder}\ndefault job s3cret\n"
    assert queuectl("logs", "nightly/sub").stdout == f"{queuectl.folder}/sub\n"
    assert "s3cret" not in queuectl("show", "r1", "--json").stdout


def test_limits_and_what_an_interruption_means_are_declared_and_compared(queuectl):
    job = '[jobs.a]\ncommand = "ulimit -n"\non_interrupt = "fail"\n'
    job += 'limits = {{ memory = "512M", cpu = "60s", open_files = {} }}\n'
    queuectl.manifest(job.format(64))
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")
    queuectl.manifest(job.format(128))

    assert queuectl("logs", "nightly/a").stdout == "64\n"
    assert "'open_files': 64} → " in queuectl("plan", "nightly.toml").stdout
    [change] = queuectl.json("plan", "nightly.toml")["manifests"][0]["changes"]
    assert change["fields"][0]["new"] == {"memory": 512 << 20, "cpu": 60, "open_files": 128}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('limits = { memory = "1K" }', "`limits.memory` must be at least 1 MiB: `1K`"),
        ("limits = { cpu = 0 }", "`limits.cpu` must be more than 0: 0"),
        ("limits = { files = 3 }", "unknown key `files`"),
        ("limits = { nice = -5 }", "`limits.nice` must be 0 or more: -5"),
        ('on_interrupt = "ignore"', "`on_interrupt` must be `retry` or `fail`: `ignore`"),
    ],
)
def test_a_wrong_limit_is_refused(queuectl, line, message):
    queuectl.manifest(f'[jobs.a]\ncommand = "true"\n{line}\n')

    assert message in queuectl("validate", "nightly.toml", code=65).stderr


def test_an_apply_records_who_where_and_from_which_commit(queuectl):
    def git(*arguments):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=queuectl.folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    queuectl.manifest(BACKUP)
    git("init"), git("add", "."), git("commit", "-m", "Back up")
    queuectl("apply", "nightly.toml")
    queuectl.manifest(BACKUP + SYNC)
    queuectl("apply", "nightly.toml")

    dirty, clean = queuectl.json("applies")
    assert (clean["git_commit"], clean["git_dirty"], dirty["git_dirty"]) == (git("rev-parse", "HEAD"), False, True)
    assert clean["changes"] == [{"action": "create", "job": "nightly/backup"}]


def test_plan_and_apply_are_one_json_document_each(queuectl):
    queuectl.manifest(BACKUP)

    plan, apply = queuectl.json("plan", "nightly.toml"), queuectl.json("apply", "nightly.toml")

    assert (plan["writes"], apply["apply"]) == (True, 1)
    assert plan["manifests"][0]["changes"][0]["job"] == "nightly/backup"
    assert queuectl.json("apply", "nightly.toml")["apply"] is None


def test_many_manifests_are_applied_in_one_go(queuectl):
    for number in range(3):
        queuectl.manifest(BACKUP, f"m{number}.toml")

    queuectl("apply", ".")

    assert sorted(run["job"] for run in queuectl.json("list")) == ["m0/backup", "m1/backup", "m2/backup"]


def test_two_applies_at_once_both_end_well_and_queue_each_job_once(queuectl):
    queuectl.manifest("".join(f'[jobs.job-{number}]\ncommand = "true"\n' for number in range(50)))

    both = [queuectl.start("apply", "nightly.toml") for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert len(queuectl.json("list")) == 50


def test_a_pipe_given_as_a_manifest_does_not_hang(queuectl):
    os.mkfifo(queuectl.folder / "pipe.toml")

    assert "pipe.toml:1:1" in queuectl("validate", "pipe.toml", code=65).stderr
