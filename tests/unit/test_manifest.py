import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuectl.diagnostics import InvalidManifest
from queuectl.faults import MOST_FAULTS
from queuectl.fields import JOB_KEYS
from queuectl.job import Job, Manifest
from queuectl.limits import MOST_BYTES, MOST_JOBS, breach
from queuectl.manifest import load
from queuectl.manifest_keys import validated
from queuectl.retry import RetryPolicy
from queuectl.spec import JobSpec

HEAD = 'version = 1\nmanifest = "nightly"\n'
JOB = HEAD + '[jobs.backup]\ncommand = "true"\n'

A_NAME = "must be 1 to 63 of a-z, 0-9, `.`, `_` and `-`, a letter or digit first"
A_TAG = "must be 1 to 63 letters, digits or `._:/@=+-`, a letter or digit first"
AN_OFFSET = "must have an offset from UTC, such as `Z` or `+01:00`"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of its own, which is the current one: messages have short paths then."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def loaded(folder):
    """Return a function that loads the manifest of a text."""

    def load_text(text, **options):
        Path("m.toml").write_text(text, encoding="utf-8")
        [manifest] = load([Path("m.toml")], **options)
        return manifest

    return load_text


@pytest.fixture
def problems(folder):
    """Return a function that says what is wrong with a text or bytes, line by line, with the hint."""

    def problems_of(content):
        Path("m.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return refused("m.toml")

    return problems_of


def refused(*paths):
    with pytest.raises(InvalidManifest) as error:
        load([Path(path) for path in paths])
    lines = [" ".join(line.split()) for line in str(error.value).splitlines()[1:]]
    return [*lines, *([error.value.hint] if error.value.hint else [])]


def test_a_manifest_declares_jobs_with_absolute_paths(loaded, folder):
    text = """
        version = 1
        manifest = "nightly"
        [defaults]
        timeout = "10m"
        env = { LANG = "C", HOME = "/srv" }
        [jobs.db-backup]
        description = "Copy and verify"
        command = ["backup", "--all"]
        priority = 50
        grace_period = "5s"
        retries = 1
        backoff_base = 3
        run_at = 2026-12-01T02:00:00+01:00
        cwd = "../data"
        shell = ["bash", "-c"]
        env = { HOME = "/root" }
        env_file = "secrets.env"
        success_exit_codes = [0, 3]
        fail_on_exit_codes = [2]
        tags = ["backup"]
        enabled = false
        revision = 2
        renamed_from = "backup"
    """

    assert loaded(text) == Manifest(
        name="nightly",
        path=str(folder / "m.toml"),
        jobs=(
            Job(
                manifest="nightly",
                name="db-backup",
                spec=JobSpec(
                    description="Copy and verify",
                    command=("backup", "--all"),
                    priority=50,
                    timeout=600.0,
                    grace_period=5.0,
                    retry=RetryPolicy(retries=1, backoff_base=3.0),
                    cwd=str(folder.parent / "data"),
                    shell=("bash", "-c"),
                    env={"LANG": "C", "HOME": "/root"},
                    env_file=str(folder / "secrets.env"),
                    success_exit_codes=(0, 3),
                    fail_on_exit_codes=(2,),
                    tags=("backup",),
                ),
                run_at=datetime(2026, 12, 1, 1, tzinfo=UTC),
                enabled=False,
                revision=2,
                renamed_from="backup",
            ),
        ),
    )


def test_a_job_that_says_little_has_the_defaults_and_runs_in_the_folder_of_its_manifest(loaded, folder):
    assert loaded(JOB).jobs == (Job(manifest="nightly", name="backup", spec=JobSpec(command="true", cwd=str(folder))),)


def test_a_manifest_keeps_its_source_for_positions(loaded):
    assert loaded(JOB).source == JOB.encode()


def test_a_manifest_may_declare_nothing_any_more(loaded):
    assert loaded(HEAD).jobs == ()


def test_the_nearest_default_wins(loaded):
    text = HEAD + '[defaults]\nretries = 2\n[jobs.a]\ncommand = "a"\n[jobs.b]\ncommand = "b"\nretries = 1\n'

    manifest = loaded(text, defaults={"retries": 9, "priority": 7})

    assert [(job.spec.retry.retries, job.spec.priority) for job in manifest.jobs] == [(2, 7), (1, 7)]


@pytest.mark.parametrize(
    "run_at", ["2026-12-01T02:00:00", '"2026-12-01T02:00"', "2026-12-01T01:00:00Z", '"2026-12-01T02:00:00+01:00"']
)
def test_a_time_is_toml_or_text_and_holds_in_the_time_zone_unless_it_has_an_offset(loaded, run_at):
    [job] = loaded(JOB + f'run_at = {run_at}\ntimezone = "Europe/Berlin"\n').jobs

    assert job.run_at == datetime(2026, 12, 1, 1, tzinfo=UTC)


def test_how_long_a_run_may_wait_is_said_for_one_job_or_for_all(loaded):
    job = '[jobs.a]\ncommand = "true"\n[jobs.b]\ncommand = "true"\nmax_wait = 90\n'

    manifest = loaded(f'version = 1\nmanifest = "m"\n[defaults]\nmax_wait = "5m"\n{job}')

    assert [job.max_wait for job in manifest.jobs] == [300.0, 90.0]


def test_the_files_of_a_folder_are_loaded_by_name_and_each_file_once(folder):
    for name in ("b.toml", "a.toml", ".hidden.toml", "queuectl.toml", "a.txt"):
        Path(name).write_text(f'version = 1\nmanifest = "{name[0]}"\n')
    Path("below").mkdir()
    Path("below/c.toml").write_text("not looked at")

    manifests = load([Path("b.toml"), Path(), folder])

    assert [manifest.name for manifest in manifests] == ["b", "a"]


def test_every_problem_of_every_file_is_reported_at_once(folder):
    Path("a.toml").write_text(
        HEAD
        + """
[defaults]
retries = "3"

[jobs.nightly-report]
command = ""
retries = -1
tags = ["ok",
  "not ok"]

[jobs.sync]
timeoutt = 5

[jobs."Bad Name"]
command = "true"
""".lstrip()
    )
    Path("b.toml").write_text('version = 1\nmanifest = "b"\n[jobs.a\n')

    assert refused("a.toml", "b.toml", "c.toml") == [
        "a.toml:4:11 `[defaults]`: `retries` must be a whole number, not a string: `3`",
        "a.toml:7:11 job `nightly-report`: `command` must not be empty",
        "a.toml:8:11 job `nightly-report`: `retries` must be 0 or more: -1",
        f"a.toml:10:3 job `nightly-report`: `tags` item 2 {A_TAG}: `not ok`",
        "a.toml:12:7 job `sync`: `command` is missing",
        "a.toml:13:1 job `sync`: unknown key `timeoutt`",
        f"a.toml:15:7 job `Bad Name`: the name {A_NAME}: `Bad Name`",
        "b.toml:3:8 not valid TOML: expected ']' at the end of a table declaration",
        "c.toml:1:1 no such file",
        "did you mean `timeout`?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["m.toml:1:1 `version` is missing", "begin with `version = 1`"]),
        ('manifest = "x"\nversion = 2', ["m.toml:2:11 `version` must be 1, the only one that this queuectl reads: 2"]),
        ("version = true", ["m.toml:1:11 `version` must be 1, not a boolean: true"]),
        ("version = 1", ["m.toml:1:1 `manifest` is missing: the name that owns the jobs of this file"]),
        (
            'version = 1\nmanifest = "A"',
            [f"m.toml:2:12 `manifest` {A_NAME}: `A`"],
        ),
        (HEAD + "job.a = 1", ["m.toml:3:1 unknown key `job`", "did you mean `jobs`?"]),
        (HEAD + "jobs = 1", ["m.toml:3:8 `jobs` must be a table, not a whole number: 1"]),
        (HEAD + "[jobs]\na = 'x'", ["m.toml:4:5 job `a`: must be a table, not a string: `x`"]),
        (HEAD + "[[jobs.a]]", ["m.toml:3:8 job `a`: must be a table, not a list: 1 item"]),
        (HEAD + "[defaults]\nrenamed_from = 'x'", ["m.toml:4:1 `[defaults]`: unknown key `renamed_from`"]),
        (JOB + 'mailto = "me"', ["m.toml:5:1 job `backup`: unknown key `mailto`"]),
        (JOB + "env.A = 1", ["m.toml:5:9 job `backup`: `env.A` must be a string, not a whole number: 1"]),
        (
            JOB + "run_at = 02:00:00",
            ["m.toml:5:10 job `backup`: `run_at` must be a date and time, not a time of day: `02:00:00`"],
        ),
        (
            JOB + "run_at = 2026-12-01T02:00:00",
            [
                f"m.toml:5:10 job `backup`: `run_at` {AN_OFFSET}: `2026-12-01 02:00:00`",
                'or say where it holds: `timezone = "Europe/Berlin"`',
            ],
        ),
        (
            JOB + "run_at = 2026-12-01T02:00:00\ntimezone = 'Europe/Berln'",
            [
                "m.toml:6:12 job `backup`: `timezone` must be an IANA time zone like `Europe/Berlin`: `Europe/Berln`",
                "did you mean `Europe/Berlin`?",
            ],
        ),
        (
            JOB + "schedule = '60 1 * * *'\ntimezone = 'Europe/Berln'",
            [
                "m.toml:5:12 job `backup`: `schedule` must have a minute from 0 to 59: `60`",
                "m.toml:6:12 job `backup`: `timezone` must be an IANA time zone like `Europe/Berlin`: `Europe/Berln`",
                "did you mean `Europe/Berlin`?",
            ],
        ),
        (
            JOB + "fail_on_exit_codes = [0, 2]",
            ["m.toml:5:22 job `backup`: `fail_on_exit_codes` has 0, which `success_exit_codes` has too"],
        ),
        (
            HEAD + "[defaults]\nfail_on_exit_codes = [0]\n[jobs]\na.command = 'a'\nb.command = 'b'",
            ["m.toml:4:22 `[defaults]`: `fail_on_exit_codes` has 0, which `success_exit_codes` has too"],
        ),
        (
            JOB + "renamed_from = 'backup'",
            ["m.toml:5:16 job `backup`: `renamed_from` names a job that is still declared: `backup`"],
        ),
        (
            HEAD + "[jobs]\na = {command = 'a', renamed_from = 'x'}\nb = {command = 'b', renamed_from = 'x'}",
            ["m.toml:5:36 job `b`: `renamed_from` is `x`, as in job `a`"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(problems, text, expected):
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('version = 1\r\nmanifest = "x\r\n', "m.toml:2:14 not valid TOML: the string does not end on its line"),
        ("a = \n", "m.toml:1:5 not valid TOML: invalid value"),
        ("a = 1\na = 2", "m.toml:2:6 not valid TOML: cannot overwrite a value"),
        ("ä = 1", "m.toml:1:1 not valid TOML: invalid statement"),
        (b"# \xc3\xa4 \xff", "m.toml:1:5 not UTF-8 text"),
        (b"\xef\xbb\xbfversion = 1", "m.toml:1:1 begins with a byte order mark: save it as UTF-8 without one"),
        ('\na = "\0"', "m.toml:2:6 NUL character"),
        ("a" + ".b" * 16 + " = 1", "m.toml:1:2 a key must have at most 16 parts"),
        ("a" + ".b" * 50_000 + " = 1", "m.toml:1:2 a key must have at most 16 parts"),
        ("a = " + "[" * 100_000, "m.toml:1:69 must not be nested deeper than 64 levels"),
        ("a = " + "{b=" * 100_000, "m.toml:1:197 must not be nested deeper than 64 levels"),
        ("a = '[[['\nb = " + "9" * 5000, "m.toml:2:5 a whole number must have at most 20 digits"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_toml_or_would_choke_the_parser_is_refused_the_same_way(problems, text, expected):
    assert problems(text) == [expected]


def test_a_file_that_is_too_large_is_not_parsed(folder):
    Path("m.toml").touch()
    os.truncate("m.toml", MOST_BYTES + 1)

    assert refused("m.toml") == ["m.toml:1:1 the file has more than 32 MiB"]


def test_too_many_jobs_are_counted_before_they_are_parsed():
    source = b"version = 1\n" + b"".join(b"[jobs.j%d]\n" % number for number in range(MOST_JOBS + 1))

    assert breach(source) == (f"a manifest must have at most {MOST_JOBS:,} jobs", source.rindex(b"[jobs"))


@pytest.mark.parametrize(
    "value",
    [
        '"""\n' + "[jobs.x]\n" * (MOST_JOBS + 1) + '"""',
        "'''" + "a." * 99 + "''''",
        '"' + "a." * 99 + '\\"b"',
        "'x' # " + "a." * 99,
        '"""\n"' + "a." * 99 + '\\""" """""',
    ],
    ids=lambda value: value[:9],
)
def test_what_stands_in_strings_and_comments_does_not_count(loaded, value):
    [job] = loaded(HEAD + f"[jobs.a]\ncommand = 'x'\ndescription = {value}\n").jobs

    assert job.name == "a"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "the folder has no `*.toml` file"),
        (lambda path: path.symlink_to("nowhere"), "no such file"),
        (lambda path: path.symlink_to(path.name), "cannot be read: too many levels of symbolic links"),
    ],
    ids=["pipe", "empty folder", "broken link", "loop"],
)
def test_what_is_no_file_is_a_problem_and_never_waits(folder, make, said):
    make(Path("thing"))

    assert refused("thing") == [f"thing:1:1 {said}"]


def test_two_files_cannot_have_one_name_even_if_one_of_them_is_wrong(folder):
    Path("a.toml").write_text(HEAD + "jobs = 1")
    Path("b.toml").write_text(HEAD)

    assert refused("a.toml", "b.toml") == [
        "a.toml:3:8 `jobs` must be a table, not a whole number: 1",
        "b.toml:2:12 manifest `nightly` is declared in `a.toml` too",
        "a name is for one file only",
    ]


def test_of_very_many_faults_enough_are_kept():
    _, found = validated({"version": 1, "manifest": "x"} | {f"x{number}": 1 for number in range(MOST_FAULTS + 1)})

    assert len(found) == MOST_FAULTS + 1
    assert found[-1].sentence == "10,001 problems, of which 10,000 are shown"


scalars = st.sampled_from(
    ["1", "-1", '"x"', '"1h"', "true", "nan", "1.5", "[]", '["a", 1]', "{}", "{ A = 1 }", "2026-12-01"]
)
keys = st.sampled_from([*JOB_KEYS, "timeoutt", '"\\u001b"', "a.b"])
lines = st.builds("{} = {}".format, keys, scalars) | st.sampled_from(
    ["[defaults]", "[jobs.a]", "[jobs.b.env]", "[[jobs]]"]
)
toml_like = st.lists(lines, max_size=8).map(lambda each: (HEAD + "\n".join(each)).encode())


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.text().map(str.encode) | toml_like)
def test_any_bytes_are_a_manifest_or_refused_with_a_place_in_the_file(folder, content):
    Path("any.toml").write_bytes(content)
    try:
        load([Path("any.toml")])
    except InvalidManifest as error:
        lines = content.split(b"\n")
        for problem in error.problems:
            assert 1 <= problem.column <= len(lines[problem.line - 1].decode(errors="replace")) + 1
        error.detailed()
