"""What is written to select runs, and what it means."""

from datetime import timedelta

import pytest

from queuectl.cli.options import rate
from queuectl.cli.selecting import selector_of
from queuectl.errors import UsageError
from queuectl.job import State
from queuectl.selector import EVERYTHING, UNFINISHED, Selector, whole_manifest
from tests.support.factories import NOW, make_job


def written(**options):
    return selector_of(**{"now": NOW, "needs": True, **options})


def test_conditions_are_taken_as_they_are_written_each_value_once():
    found = written(jobs=["nightly/*", "a/b", "a/b"], states=[State.DEAD], tags=["t"], exit_codes=[3, 4], text="disk")

    assert found == Selector(
        jobs=("nightly/*", "a/b"), states=(State.DEAD,), tags=("t",), exit_codes=(3, 4), text="disk"
    )


def test_a_word_with_a_slash_is_a_job():
    assert written(words=["nightly/b", "nightly/*"]) == Selector(jobs=("nightly/b", "nightly/*"))
    assert written(words=["nightly/b"], states=[State.DEAD]) == Selector(jobs=("nightly/b",), states=(State.DEAD,))


def test_where_it_is_about_jobs_a_word_without_a_slash_is_a_manifest():
    found = written(words=["weekly", "nightly/b"], is_about_jobs=True)

    assert found == Selector(jobs=("nightly/b", "weekly/*"))
    assert [whole_manifest(job) for job in (*found.jobs, "night*/*", "a/b*")] == [None, "weekly", None, None]


@pytest.mark.parametrize(
    ("conditions", "is_meant"),
    [
        ({}, True),
        ({"tags": ("x", "disk")}, True),
        ({"tags": ("x",)}, False),
        ({"text": "BACK"}, True),
        ({"text": "copy: all"}, True),
        ({"text": "rsync -A"}, True),
        ({"text": "\u00c4"}, False),
        ({"text": "\u00e4"}, True),
        ({"text": "back", "tags": ("x",)}, False),
    ],
)
def test_a_job_is_described_by_its_tags_name_command_and_description(conditions, is_meant):
    job = make_job("backup", command=("rsync", "-a"), description="Copy: all of it, \u00e4", tags=("disk",))

    assert Selector(**conditions).describes(job) is is_meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("90", NOW - timedelta(seconds=90)),
        ("2026-12-01T02:30:00+01:00", NOW - timedelta(minutes=30)),
        ("2026-11-30T23:00:00Z", NOW - timedelta(hours=3)),
    ],
)
def test_a_time_is_an_instant_or_so_long_ago(said, meant):
    assert written(since=said).since == meant
    assert written(until=said).until == meant


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "yesterday"}, "`--since` must be a time like"),
        ({"since": "2026-12-01T02:30:00"}, "`--since` must have an offset from UTC"),
        ({"until": "5y"}, "`--until` must be a duration"),
        ({"until": ""}, "`--until` must be a time"),
        ({"jobs": ["backup"]}, "`--job` must be `manifest/job`, or a pattern"),
        ({"text": ""}, "`--grep` must have 1 to 1,000 characters"),
        ({"text": "x" * 1001}, "`--grep` must have 1 to 1,000 characters; it has 1,001"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(UsageError) as caught:
        written(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"words": ["r1"], "states": [State.DEAD]}, "named and described"),
        ({"since": "1h", "until": "2h"}, "ends before it begins"),
        ({"since": "1h", "until": "1h"}, "ends before it begins"),
        ({"words": ["r1", "a/b"]}, "named and described"),
        ({"jobs": ["a/b"], "manifests": ["c"]}, "none of the jobs is of one of the manifests"),
        ({"every": True, "words": ["r1"]}, "`--all` and a selection contradict each other: `r1`"),
        ({"every": True, "tags": ["x"]}, "`--all` and a selection contradict each other: `--tag x`"),
    ],
)
def test_a_selection_that_contradicts_itself_is_refused(options, why):
    with pytest.raises(UsageError, match=why):
        written(**options)


@pytest.mark.parametrize("options", [{"jobs": ["a/b"], "manifests": ["a", "c"]}, {"jobs": ["*/b"], "manifests": ["c"]}])
def test_jobs_and_manifests_that_can_both_hold_are_no_contradiction(options):
    assert written(**options)


def test_nothing_at_all_is_not_everything_unless_it_is_said():
    with pytest.raises(UsageError, match="say `--all`"):
        written()
    assert written(every=True) == EVERYTHING
    assert selector_of(now=NOW, needs=False) == EVERYTHING


def test_a_verb_takes_of_a_selection_what_it_is_for():
    assert EVERYTHING.among(UNFINISHED) == Selector(states=UNFINISHED)
    assert Selector(states=(State.DEAD, State.FAILED)).among(UNFINISHED) == Selector(states=(State.FAILED,))
    assert Selector(states=(State.DEAD,)).among(UNFINISHED) is None


def test_a_selection_reads_as_it_is_written():
    selector = Selector(jobs=("nightly/*",), states=(State.DEAD, State.CANCELLED), since=NOW, text="no space")

    assert str(selector) == (
        "--job 'nightly/*' --state dead --state cancelled --since 2026-12-01T02:00:00+00:00 --grep 'no space'"
    )
    assert str(EVERYTHING) == "--all"


@pytest.mark.parametrize(("said", "seconds"), [("10/m", 6), ("1/30s", 30), ("2/h", 1800), ("4/1h30m", 1350)])
def test_a_rate_is_the_time_between_two(said, seconds):
    assert rate(said) == timedelta(seconds=seconds)


@pytest.mark.parametrize("said", ["", "10", "0/m", "-1/m", "1/", "/m", "x/m", "1/x", "1/0s", "1.5/m", "10/m/m", "1/2d"])
def test_what_is_no_rate_is_refused(said):
    with pytest.raises(ValueError, match="must be"):
        rate(said)
