import re
from datetime import UTC, datetime, timedelta

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.cron import MACROS
from queuectl.crontab import InvalidCrontab, parse_crontab, resolve_percent
from queuectl.crontab_compare import Discrepancy, Kind, compare
from queuectl.crontab_manifest import cron_jobs, manifest_text
from queuectl.crontab_names import distinct_names, suggested_name
from queuectl.job import Catchup, Overlap
from queuectl.manifest_jobs import declared_jobs
from queuectl.manifest_keys import validated
from queuectl.slots import schedule_of
from tests.support.cron_oracle import fires, ticks
from tests.support.factories import NOW

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def parsed(text, **keys):
    return parse_crontab(text.encode(), "my.cron", **keys)


def imported(text, *, zone="UTC", home="/home/me", **keys):
    """Return the text of the manifest for a crontab and the jobs that it declares."""
    crontab = parsed(text, **keys)
    written = manifest_text(crontab, cron_jobs(crontab, zone=zone, home=lambda user: home), name="crontab")
    fields, found = validated(tomli.loads(written))
    jobs, more = declared_jobs(fields, found, folder="/repo", defaults={})
    assert (found, more) == ([], [])
    return written, jobs


def problems(text, **keys):
    with pytest.raises(InvalidCrontab) as error:
        parsed(text, **keys)
    return [f"{problem.place} {problem.message}" for problem in error.value.problems]


def test_an_entry_becomes_a_job_that_does_what_cron_did():
    _, [job] = imported("30 2 * * *\t/usr/bin/backup --full  >/dev/null\n", zone="Europe/Berlin")

    assert (job.name, job.spec.argv) == ("backup", ("/bin/sh", "-c", "/usr/bin/backup --full  >/dev/null"))
    assert job.recurrence.times == ("30 2 * * *", "Europe/Berlin")
    assert (job.recurrence.overlap, job.recurrence.catchup) == (Overlap.ALLOW, Catchup.NONE)
    assert (job.spec.retry.retries, job.spec.timeout, job.spec.cwd) == (0, None, "/home/me")
    assert job.spec.env == {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}


def test_what_is_set_holds_for_the_entries_after_it():
    text = """\
PATH=/opt/bin:$PATH
@daily first
  SHELL = "/bin/bash"
HOME='/srv/my app'
FOO =  a "b" c  \t
CRON_TZ=America/New_York
@daily second
FOO=
PATH=/bin
@daily third
"""
    _, jobs = imported(text)

    assert [(job.name, job.recurrence.timezone, job.spec.cwd, job.spec.shell[0], job.spec.env) for job in jobs] == [
        ("first", "UTC", "/home/me", "/bin/sh", {"PATH": "/opt/bin:$PATH", "SHELL": "/bin/sh"}),
        (
            "second",
            "America/New_York",
            "/srv/my app",
            "/bin/bash",
            {"PATH": "/opt/bin:$PATH", "SHELL": "/bin/bash", "HOME": "/srv/my app", "FOO": 'a "b" c'},
        ),
        (
            "third",
            "America/New_York",
            "/srv/my app",
            "/bin/bash",
            {"PATH": "/bin", "SHELL": "/bin/bash", "HOME": "/srv/my app", "FOO": ""},
        ),
    ]


def test_a_line_with_an_equals_sign_is_an_entry_unless_it_sets_something():
    _, [job] = imported("* * * * * A=b cmd\n")

    assert job.spec.command == "A=b cmd"


def test_a_shell_or_a_home_of_nothing_is_none():
    _, [job] = imported('SHELL=" "\nHOME=\n@daily a\n')

    assert (job.spec.shell[0], job.spec.cwd) == ("/bin/sh", "/home/me")


def test_a_variable_that_no_program_can_be_started_with_is_a_problem():
    [found] = problems(f"FOO={'x' * 131_071}\n")

    assert found.startswith("my.cron:1:1 a variable must have at most 131,071 bytes; `FOO` has 131,075")


def test_the_zone_of_a_command_is_not_that_of_its_times():
    written, [job] = imported("TZ=Asia/Tokyo\n0 9 * * * report\n", zone="Europe/Berlin")

    assert (job.recurrence.timezone, job.spec.env["TZ"]) == ("Europe/Berlin", "Asia/Tokyo")
    assert "# TZ is for the command only" in written


def test_mail_reboot_and_comments_stay_as_comments_beside_their_entries():
    text = '# all of it\nMAILTO="me@x\x1b[31m"\n\n# one\n@daily one\n@reboot two \x07\n# three\n\n@daily three\n#end\n'

    written, jobs = imported(text)

    assert [job.name for job in jobs] == ["one", "three"]
    body = [line for line in written.partition('catchup = "none"')[2].splitlines() if line.startswith(("#", "["))]
    assert body == [
        "# all of it",
        "# MAILTO=me@x\\x1b[31m: cron's mail; `queuectl logs` has what each attempt wrote",
        "# one",
        "[jobs.one]",
        "# @reboot two \\x07",
        "#   that is no time: let systemd, or the machine's cron, call `queuectl enqueue` when the machine starts",
        "# three",
        "[jobs.three]",
        "#end",
    ]


def test_a_crontab_of_the_system_has_a_user_in_each_entry():
    written, [job] = imported("17 * * * *\troot\tcd / && run-parts --report /etc/cron.hourly\n", has_user=True)

    assert (job.name, job.spec.command) == ("run-parts-cron-hourly", "cd / && run-parts --report /etc/cron.hourly")
    assert "# cron ran it as the user root; queuectl runs it as the user of the runner" in written


def test_a_crontab_without_entries_is_a_manifest_without_jobs():
    assert imported("")[1] == []
    assert imported("# nothing\nFOO=bar\n@reboot x\n")[1] == []


def test_every_problem_is_reported_with_its_place():
    text = (
        "61 2 * * * a\n* * * *\n5 5 5 x 5 b\n@Daily c\n@every 5m d\nQUEUECTL_X=1\nCRON_TZ=Mars/Base\n0 2 30 2 * e\n"
        "  0 22-2 * * * f\n* * * * *\n@daily\n1x=2\n* * * * * g\r\n"
    )

    assert problems(text) == [
        "my.cron:1:1 the schedule must have a minute from 0 to 59: `61`",
        "my.cron:2:8 must have five fields or a macro, and a command",
        "my.cron:3:7 the schedule must have a month from 1 to 12 or `jan` to `dec`: `x`",
        f"my.cron:4:1 the schedule must be one of {', '.join([*MACROS, '@reboot'])}: `@Daily`",
        f"my.cron:5:1 the schedule must be one of {', '.join([*MACROS, '@reboot'])}: `@every`",
        "my.cron:6:1 a variable must not have names with `QUEUECTL_`, which queuectl sets itself: `QUEUECTL_X`",
        "my.cron:7:9 `CRON_TZ` must be an IANA time zone like `Europe/Berlin`: `Mars/Base`",
        "my.cron:8:1 the schedule never comes: day of month `30`, but month `2` has 29 at most",
        "my.cron:9:5 the schedule must have ranges that go up in the hour: `22-2`",
        "my.cron:10:10 must have five fields or a macro, and a command",
        "my.cron:11:7 must have five fields or a macro, and a command",
        "my.cron:12:1 a variable must have names of letters, digits and `_`, no digit first: `1x`",
        "my.cron:13:12 ends with a carriage return, which cron gives to the command",
    ]
    assert problems("* * * * * root\n", has_user=True) == [
        "my.cron:1:15 must have five fields or a macro, a user and a command"
    ]
    with pytest.raises(InvalidCrontab) as error:
        parse_crontab(b"# \xc3\xa4 \xff\n* * * * * a\0b\n", "x")
    assert [problem.place for problem in error.value.problems] == ["x:1:5", "x:2:12"]


@pytest.mark.parametrize(
    ("written", "command", "stdin"),
    [
        ("date +\\%F", "date +%F", None),
        ("mail joe%Joe,%%Where?%", "mail joe", "Joe,\n\nWhere?\n"),
        ("cat%a\\%b\\c%d", "cat", "a%b\\c\nd\n"),
        ("cat%", "cat", None),
        ("cat%%", "cat", "\n"),
        ("a \\\\ b \\x\\\\%in\\\\%put", "a \\ b \\x\\", "in\\%put\n"),
        ("no percent \\", "no percent \\", None),
    ],
)
def test_a_percent_sign_ends_the_command_and_is_a_new_line_in_what_it_reads(written, command, stdin):
    assert resolve_percent(written) == (command, stdin)


def test_a_shell_that_is_none_of_posix_is_begun_by_one_that_reads_for_it():
    _, [job] = imported("SHELL=/usr/bin/fish\n@daily cat%a%b\n")

    assert job.spec.argv == (
        "/bin/sh",
        "-c",
        'exec <<\'STDIN\'\na\nb\nSTDIN\nexec "$0" -c "$1"',
        "/usr/bin/fish",
        "cat",
    )


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/local/bin/backup.sh --full >/dev/null 2>&1", "backup"),
        ("cd /srv/app && php artisan schedule:run >> /dev/null 2>&1", "artisan-schedule-run"),
        ("test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }", "run-parts-cron-daily"),
        (
            "[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd ]; then /usr/lib/php/sessionclean; fi",
            "sessionclean",
        ),
        ("flock -n /tmp/x.lock nice -n 19 /opt/sync.py --all", "sync"),
        ("FOO=1 BAR='a b' /usr/bin/python3 -m mypkg.tool run", "mypkg-tool-run"),
        ("/bin/bash -c 'cd /x && ./go.sh now'", "go-now"),
        ("sudo -u www-data timeout 5m /usr/bin/php -f /var/www/cron.php", "cron"),
        ("(sleep 5; curl -fsS https://example.org/ping)", "curl"),
        ("echo 'no end", "echo-end"),
        ("日本 && ü", "job"),
        ("* ?", "job"),
        ("x" * 200, "x" * 48),
    ],
)
def test_a_job_is_called_what_its_command_is_about(command, name):
    assert suggested_name(command) == name


def test_names_are_distinct_whatever_they_are_derived_from():
    assert distinct_names(["a", "a-2", "a", "a", "?", "?"]) == ["a", "a-2", "a-3", "a-4", "job", "job-2"]


nasty = st.text(st.sampled_from("ab %\\\"'#=\t$`\x1b\x7f日{}[]'\n"), max_size=30)
lines = st.one_of(
    nasty,
    st.builds(lambda text: f"*/5 2 * * mon {text}", nasty),
    st.builds(lambda text: f"@daily {text}", nasty),
    st.builds(
        lambda name, text: f"{name}={text}", st.sampled_from(["FOO", "SHELL", "PATH", "MAILTO", "HOME", "TZ"]), nasty
    ),
    st.builds(lambda text: f"# {text}", nasty),
    st.sampled_from(["CRON_TZ=Europe/Berlin", "@reboot x", "@daily cat%''' \\\\%'"]),
)


@settings(max_examples=100)
@given(st.lists(lines, max_size=8), st.booleans())
def test_whatever_is_read_becomes_a_valid_manifest_that_says_the_same(drawn, has_user):
    text = "\n".join(drawn)
    try:
        crontab = parsed(text, has_user=has_user)
    except InvalidCrontab:
        return
    crons = cron_jobs(crontab, zone="UTC", home=lambda _: "/home/me")

    _, jobs = imported(text, has_user=has_user)

    assert [(job.name, job.spec.command, job.spec.shell, job.spec.env, job.recurrence.times) for job in jobs] == [
        (cron.name, cron.command, cron.shell, cron.env, (cron.entry.schedule, cron.timezone)) for cron in crons
    ]
    assert compare(crons, jobs, begin=NOW, until=NOW + DAY).discrepancies == ()


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/20 1-3 * * *", "0 2 1,15 * sun", "0 */2 * 3 *"])
def test_an_imported_job_is_due_when_debians_cron_would_start_the_entry(expression):
    begin, end = datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    _, [job] = imported(f"CRON_TZ=Europe/Berlin\n{expression} true\n")

    slots = list(schedule_of(job).slots(begin - MINUTE, end))
    assert slots == fires(expression, list(ticks("Europe/Berlin", begin, end)))


# --- comparing ------------------------------------------------------------------------------------------------


def compared(crontab, manifest=None, *, edit=lambda text: text, days=10):
    """Return what differs between a crontab and the manifest of one, edited."""
    written, _ = imported(crontab if manifest is None else manifest)
    fields, found = validated(tomli.loads(edit(written)))
    jobs, _ = declared_jobs(fields, found, folder="/repo", defaults={})
    crons = cron_jobs(parsed(crontab), zone="UTC", home=lambda _: "/home/me")
    return compare(crons, jobs, begin=NOW, until=NOW + days * DAY)


def test_what_was_imported_has_the_same_times():
    found = compared("30 2 * * * a\n@hourly b\n")

    assert (found.entries, found.jobs, found.same, found.times, found.discrepancies) == (2, 2, 2, 250, ())


def test_another_way_to_write_the_same_times_is_no_difference():
    assert compared("0 0 * * 7 a\n", edit=lambda text: text.replace("0 0 * * 7", "@weekly")).discrepancies == ()
    assert compared("0 */12 * * * a\n", edit=lambda text: text.replace("0 */12 * * *", "@every 12h")).same == 1


def test_other_times_are_counted_and_the_first_are_named():
    found = compared("0 3 * * * a\n", edit=lambda text: text.replace("0 3 * * *", "0 3 * * 1-5"))

    saturday = datetime(2026, 12, 5, 3, tzinfo=UTC)
    assert found.discrepancies == (
        Discrepancy(kind=Kind.LEFT_OUT, line=1, job="crontab/a", count=2, first=(saturday, saturday + DAY)),
    )


def test_another_zone_is_another_time():
    found = compared("0 3 * * * a\n", edit=lambda text: text.replace('"UTC"', '"Europe/Berlin"'))

    assert [(each.kind, each.count) for each in found.discrepancies] == [(Kind.LEFT_OUT, 10), (Kind.ADDED, 10)]


def test_entries_and_jobs_without_each_other_are_named():
    found = compared("@daily a\n@daily b\n", "@daily a\n@daily c\n")

    assert [(each.kind, each.line, each.job, each.command) for each in found.discrepancies] == [
        (Kind.WITHOUT_JOB, 2, None, "b"),
        (Kind.WITHOUT_ENTRY, None, "crontab/c", "c"),
    ]


def test_a_job_that_is_disabled_or_begins_later_is_an_exception():
    off = compared("@daily a\n", edit=lambda text: text + "enabled = false\n")
    late = compared("@daily a\n", edit=lambda text: text + 'spread = "1h"\n')

    assert [each.kind for each in off.discrepancies] == [Kind.DISABLED]
    assert [(each.kind, each.count) for each in late.discrepancies] == [(Kind.DELAYED, 10)]
    assert timedelta(0) < late.discrepancies[0].delay < timedelta(hours=1)


def test_jobs_are_found_by_their_command_even_if_they_were_renamed_and_by_their_name_if_that_was_changed():
    renamed = compared("@daily a\n@hourly a\n", edit=lambda text: re.sub(r"jobs\.a-2", "jobs.other", text))
    changed = compared("@daily a\n", edit=lambda text: text.replace('command = "a"', 'command = "exec a"'))

    assert (renamed.same, changed.same) == (2, 1)
