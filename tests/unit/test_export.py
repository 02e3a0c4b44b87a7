import os
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.export import Exported, manifest_text
from queuectl.hook import Hook
from queuectl.job import Overlap, StoredJob
from queuectl.manifest import load
from queuectl.plan import plan
from queuectl.spec import Limits, OnInterrupt
from queuectl.visible import visible
from tests.support.factories import NOW, make_job


def exported(*jobs, defaults=None, **rest):
    return manifest_text("nightly", [Exported(job=job) for job in jobs], defaults=defaults or {}, **rest)


def test_a_job_is_written_as_a_person_would(tmp_path):
    job = make_job(
        "report",
        description='the "big" one',
        command='psql -c "SELECT 1" | tee C:\\x',
        schedule="30 2 * * *",
        timezone="Europe/Berlin",
        overlap=Overlap.QUEUE,
        timeout=5400.0,
        retry_delay=0.25,
        cwd="/srv",
        env={"LANG": "C"},
        limits=Limits(memory=512 << 20, cpu=60),
        tags=("a", "b"),
    )

    assert (
        exported(job)
        == """\
version = 1
manifest = "nightly"

[jobs.report]
description = 'the "big" one'
command = 'psql -c "SELECT 1" | tee C:\\x'
schedule = "30 2 * * *"
timezone = "Europe/Berlin"
overlap = "queue"
timeout = "1h30m"
cwd = "/srv"
limits = { memory = "512 MiB", cpu = "1m" }
tags = ["a", "b"]
retry_delay = "250ms"
env = { LANG = "C" }
"""
    )


awkward = st.sampled_from(
    ["'", '"', "\\", "\n", "\r", "\t", "'''", '"""', "#", "$x", "\x7f", "\x1b[31m", "\u202e", "é", "🜁", " ", "a"]
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.lists(awkward, max_size=8).map(
    "".join
)
programs = st.tuples(texts.filter(str.strip)).flatmap(
    lambda first: st.lists(texts, max_size=30).map(lambda rest: (*first, *rest))
)
paths = texts.map(lambda text: os.path.normpath(f"/{text}"))
seconds = st.floats(0, 366 * 86400.0) | st.integers(0, 100_000).map(float)
some_seconds = seconds.filter(bool)
low_codes, high_codes = (
    st.sets(st.integers(low, high), max_size=40).map(sorted).map(tuple) for low, high in ((0, 127), (128, 255))
)
env_names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True).filter(lambda name: not name.startswith("QUEUECTL_"))
tags = st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/@=+-]{0,9}", fullmatch=True), max_size=20, unique=True)
tries = {"timeout": st.floats(0.1, 600), "retries": st.integers(0, 100)}
hooks = st.builds(Hook, command=texts.filter(str.strip) | programs, **tries) | st.builds(
    Hook, url=st.sampled_from(["https://example.org/x?y='#", "${WEBHOOK}"]), **tries
)
specs = st.fixed_dictionaries(
    {"command": texts.filter(str.strip) | programs},
    optional={
        "description": texts,
        "priority": st.integers(-1000, 1000),
        "timeout": some_seconds,
        "grace_period": seconds,
        "retries": st.integers(0, 1000),
        "retry_delay": seconds,
        "backoff_base": st.floats(1, 1000),
        "backoff_max": seconds,
        "jitter": st.floats(0, 1),
        "cwd": paths,
        "shell": programs,
        "env": st.dictionaries(env_names, texts, max_size=5),
        "env_file": paths,
        "success_exit_codes": low_codes.filter(bool),
        "fail_on_exit_codes": high_codes,
        "on_interrupt": st.just(OnInterrupt.FAIL),
        "limits": st.builds(
            Limits,
            memory=st.none() | st.integers(1 << 26, 1 << 40),
            cpu=st.none() | st.integers(1, 10_000_000),
            open_files=st.none() | st.integers(16, 1 << 20),
            nice=st.none() | st.integers(0, 19),
        ),
        "tags": tags.map(tuple),
        "max_wait": some_seconds,
        "expect_success_within": some_seconds,
        "on_success": hooks,
        "on_dead": hooks,
        "enabled": st.just(False),
    },
)
instants = st.timedeltas(timedelta(days=-365 * 50), timedelta(days=365 * 900)).map(lambda delta: NOW + delta)
one_shots = st.fixed_dictionaries({}, optional={"run_at": instants, "revision": st.integers(1, 1_000_000_000)})
recurrences = st.fixed_dictionaries(
    {"schedule": st.sampled_from(["30 2 * * mon-fri", "@daily", "@every 90s"])},
    optional={
        "timezone": st.sampled_from(["Europe/Berlin", "UTC"]),
        "catchup_window": some_seconds,
        "overlap": st.sampled_from([Overlap.QUEUE, Overlap.ALLOW]),
        "spread": seconds,
    },
)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
jobs = st.builds(
    lambda name, spec, when: make_job(name, **{"cwd": "/", **spec}, **when), names, specs, one_shots | recurrences
)
defaults = st.fixed_dictionaries(
    {}, optional={"retries": st.just(7), "priority": st.just(5), "shell": st.just(("bash", "-c"))}
)


@settings(max_examples=50)
@given(st.lists(jobs, min_size=1, max_size=4, unique_by=lambda job: job.name), defaults)
def test_a_manifest_that_is_applied_again_from_its_export_plans_nothing(tmp_path_factory, declared, defaults):
    file = tmp_path_factory.getbasetemp() / "nightly.toml"
    file.write_text(exported(*declared, defaults=defaults), encoding="utf-8", newline="")

    [manifest] = load([file], defaults=defaults)

    assert manifest.jobs == tuple(declared)
    stored = {"nightly": [StoredJob(id=number, job=job) for number, job in enumerate(declared)]}
    assert not plan([manifest], stored, {"nightly": str(file)}, now=NOW).writes


def test_nothing_in_an_export_acts_on_a_terminal():
    text = exported(make_job(command="\x1b]0;x\x07", env={"A": "\u202e"}), notes=["\x1b[2J"])

    assert visible(text, keep="\n\t") == text


def test_what_the_settings_give_and_a_manifest_cannot_take_away_is_said():
    assert "# no `timeout`: " in exported(make_job(), defaults={"timeout": 60.0})
