"""`queuectl import crontab`, and the proof that its times are the same, through the command."""

import pytest

CRONTAB = r"""
# every night
30 2 * * * echo "backup of $(date +\%F)" >> backup.log
*/5 * * * * cat >> told.log%hello%50\% more
MAILTO=me@example.org
CRON_TZ=Europe/Berlin
@daily echo berlin
"""


@pytest.fixture
def crontab(queuectl):
    """A crontab in the folder."""
    path = queuectl.folder / "my.cron"
    path.write_text(CRONTAB)
    return path


def test_a_manifest_is_printed_that_is_valid_and_has_the_same_times(queuectl, crontab):
    done = queuectl("import", "crontab", "my.cron", "--timezone", "America/New_York", "--name", "mine")
    queuectl.manifest(done.stdout, "mine.toml")

    assert done.stderr == "3 jobs, times in America/New_York\n"
    assert queuectl("validate", "mine.toml").stderr.endswith("1 manifest with 3 jobs: valid\n")
    compare = ("simulate", "mine.toml", "--compare-crontab", "my.cron", "--from", "2026-01-01T00:00:00Z")
    same = queuectl(*compare, "--timezone", "America/New_York").stdout
    assert same == (
        "2026-01-01T00:00:00Z to 2027-02-05T00:00:00Z: 3 of 3 entries with a job of the same times, "
        "116,000 times in all; 3 jobs\n"
    )
    other = queuectl(*compare, "--timezone", "UTC", code=2).stdout
    assert "job mine/echo is not due when line 3 was, 400 times: 2026-01-01T02:30:00Z, 2026-01-02T02:30:00Z, " in other


def test_the_jobs_do_what_cron_did(queuectl, crontab):
    queuectl("import", "crontab", "my.cron", "--output", "mine.toml", HOME=str(queuectl.folder))
    queuectl("apply", "mine.toml")
    queuectl("trigger", "crontab/echo", "crontab/cat")

    queuectl("run", "--drain")

    assert (queuectl.folder / "told.log").read_text() == "hello\n50% more\n"
    assert (queuectl.folder / "backup.log").read_text().startswith("backup of 20")


def test_exceptions_are_a_document_too(queuectl, crontab):
    text = queuectl("import", "crontab", "my.cron", "--timezone", "UTC").stdout
    queuectl.manifest(text.replace('schedule = "30 2 * * *"', 'schedule = "31 2 * * *"'), "mine.toml")
    arguments = ("--compare-crontab", "my.cron", "--timezone", "UTC", "--until", "2099-12-02T00:00:00Z")

    done = queuectl("simulate", "mine.toml", *arguments, "--from", "2099-12-01T00:00:00Z", "--json", code=2)

    assert '"kind": "job is not due when the entry was"' in done.stdout
    assert '"same": 2' in done.stdout


def test_standard_input_is_a_crontab_as_well(queuectl):
    done = queuectl("import", "crontab", "-", "--timezone", "UTC", input="@hourly date\n")

    assert "[jobs.date]" in done.stdout
    assert "Imported from standard input" in done.stdout
    assert queuectl("import", "crontab", "-", input="nonsense\n", code=65).stderr == (
        "error: `standard input` is not valid: 1 problem\n"
        "  standard input:1:9  must have five fields or a macro, and a command\n"
    )


def test_the_zone_is_that_of_the_machine_unless_it_is_said(queuectl):
    done = queuectl("import", "crontab", "-", input="@hourly date\n", TZ="Asia/Tokyo")

    assert 'timezone = "Asia/Tokyo"' in done.stdout
    assert done.stderr == "1 job, times in Asia/Tokyo (from `TZ`)\n"


def test_a_file_that_is_there_is_not_overwritten(queuectl, crontab):
    queuectl("import", "crontab", "my.cron", "--output", "mine.toml")
    before = (queuectl.folder / "mine.toml").read_text()

    again = queuectl("import", "crontab", "my.cron", "--output", "mine.toml", code=1)

    assert again.stderr.startswith("error: `mine.toml` exists already")
    assert (queuectl.folder / "mine.toml").read_text() == before


def test_problems_are_told_at_once_and_nothing_is_written(queuectl):
    (queuectl.folder / "bad.cron").write_text("99 * * * * a\n* * * * *\n@daily fine\n")

    done = queuectl("import", "crontab", "bad.cron", "--output", "mine.toml", code=65)

    assert [line.split()[0] for line in done.stderr.splitlines() if line.startswith("  ")] == [
        "bad.cron:1:1",
        "bad.cron:2:10",
    ]
    assert (done.stdout, (queuectl.folder / "mine.toml").exists()) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["import"], 64, ""),
        (["import", "crontab", "nowhere"], 65, "error: `nowhere` is not valid: 1 problem"),
        (["import", "crontab", "."], 65, "error: `.` is not valid: 1 problem"),
        (["import", "crontab", "my.cron", "--timezone", "Berlin"], 64, "error: `--timezone` must be an IANA time zone"),
        (["import", "crontab", "my.cron", "--name", "My Jobs"], 64, "error: `--name` must be 1 to 63 of"),
        (["import", "crontab", "my.cron", "--output", "no/where.toml"], 64, "error: `no/where.toml` cannot be written"),
        (["simulate", "my.toml", "--system"], 64, "error: `--system` and `--timezone` are about a crontab"),
    ],
)
def test_what_cannot_be_meant_is_refused(queuectl, crontab, arguments, code, said):
    assert queuectl(*arguments, code=code).stderr.startswith(said)
