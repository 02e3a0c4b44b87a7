from datetime import timedelta

import pytest

from queuectl.alarms import Level, Thresholds, health
from queuectl.outcome import Exited
from tests.support.factories import NOW, make_job
from tests.support.queue import AUTHOR, claim, declare, enqueue, finish

HOUR = timedelta(hours=1)
DAILY = {"schedule": "0 2 * * *", "expect_success_within": 26 * 3600.0}


def alarms(store, *, at, **thresholds):
    found = health(store, Thresholds(**thresholds), now=at)
    return {alarm.subject: (alarm.level, alarm.fact) for alarm in found.alarms}


def level(store, at, subject="nightly/backup", **thresholds):
    found = alarms(store, at=at, **thresholds).get(subject)
    return found and found[0]


def succeed(store, *, at):
    store.trigger(store.job("nightly/backup"), now=at, by=AUTHOR)
    finish(store, claim(store, now=at), Exited(0), now=at)


def test_a_job_that_never_succeeded_has_all_the_time_from_when_it_is_expected(store):
    declare(store, make_job(**DAILY))

    assert level(store, NOW + 26 * HOUR) is Level.OK
    assert alarms(store, at=NOW + 27 * HOUR)["nightly/backup"] == (
        Level.CRITICAL,
        "no success yet in 1d 3h, expected within 1d 2h",
    )


def test_a_success_gives_it_the_time_again_and_a_failure_does_not(store):
    declare(store, make_job(**DAILY, retries=0))
    succeed(store, at=NOW + 20 * HOUR)
    store.trigger(store.job("nightly/backup"), now=NOW + 30 * HOUR, by=AUTHOR)
    finish(store, claim(store, now=NOW + 30 * HOUR), Exited(1), now=NOW + 30 * HOUR)

    assert level(store, NOW + 46 * HOUR) is Level.OK
    assert alarms(store, at=NOW + 47 * HOUR)["nightly/backup"] == (
        Level.CRITICAL,
        "last success 1d 3h ago, expected within 1d 2h",
    )


def test_a_purge_does_not_make_a_success_forgotten(store):
    declare(store, make_job(**DAILY))
    succeed(store, at=NOW + 20 * HOUR)
    store.purge(store.runs())

    assert level(store, NOW + 46 * HOUR) is Level.OK


def test_an_edit_of_something_else_gives_no_more_time(store):
    declare(store, make_job(**DAILY))
    declare(store, make_job(**DAILY, timeout=5.0), now=NOW + 20 * HOUR)

    assert level(store, NOW + 27 * HOUR) is Level.CRITICAL


@pytest.mark.parametrize("before", [{"expect_success_within": None}, {"enabled": False}], ids=str)
def test_what_is_expected_anew_has_all_the_time(store, before):
    declare(store, make_job(**(DAILY | before)))
    declare(store, make_job(**DAILY), now=NOW + 20 * HOUR)

    assert level(store, NOW + 46 * HOUR) is Level.OK
    assert level(store, NOW + 47 * HOUR) is Level.CRITICAL


def test_a_job_that_was_removed_and_declared_again_has_all_the_time(store):
    declare(store, make_job(**DAILY), make_job("other"))
    declare(store, make_job("other"), now=NOW + HOUR)
    assert level(store, NOW + 99 * HOUR) is None
    declare(store, make_job(**DAILY), make_job("other"), now=NOW + 20 * HOUR)

    assert level(store, NOW + 46 * HOUR) is Level.OK


def test_nothing_is_expected_of_a_disabled_job(store):
    declare(store, make_job(**DAILY, enabled=False))

    assert level(store, NOW + 99 * HOUR) is None


def pause(store, scope, *, at, until=None):
    store.pause(scope, until=until, reason=None, author=AUTHOR, now=at)


@pytest.mark.parametrize("scope", ["", "nightly", "nightly/backup"])
def test_a_job_that_is_paused_raises_no_alarm_and_has_all_the_time_when_that_is_over(store, scope):
    declare(store, make_job(**DAILY))
    pause(store, scope, at=NOW + HOUR)
    during = alarms(store, at=NOW + 50 * HOUR)["nightly/backup"]
    store.resume(scope, now=NOW + 60 * HOUR, author=AUTHOR)

    assert during == (Level.OK, "paused; no success yet in 2d 2h")
    assert level(store, NOW + 86 * HOUR) is Level.OK
    assert level(store, NOW + 87 * HOUR) is Level.CRITICAL


def test_a_pause_that_ends_by_itself_ends_for_the_alarm_too(store):
    declare(store, make_job(**DAILY))
    pause(store, "", at=NOW + HOUR, until=NOW + 10 * HOUR)

    assert level(store, NOW + 36 * HOUR) is Level.OK
    assert level(store, NOW + 37 * HOUR) is Level.CRITICAL


def test_the_pause_of_another_job_changes_nothing(store):
    declare(store, make_job(**DAILY), make_job("other"))
    pause(store, "nightly/other", at=NOW)

    assert level(store, NOW + 27 * HOUR) is Level.CRITICAL


def test_a_run_that_waits_for_longer_than_its_job_allows_raises_the_alarm_until_it_begins(store):
    declare(store, make_job(max_wait=60.0))

    assert level(store, NOW + timedelta(seconds=60)) is None
    assert alarms(store, at=NOW + timedelta(seconds=90))["nightly/backup"] == (
        Level.CRITICAL,
        "a run waits for 1m 30s, at most 1m allowed",
    )
    claim(store)
    assert level(store, NOW + timedelta(seconds=90)) is None


@pytest.mark.parametrize(
    ("thresholds", "found"),
    [
        ({}, Level.OK),
        ({"max_dlq": 2}, Level.OK),
        ({"warn_dlq": 1, "max_dlq": 2}, Level.WARNING),
        ({"max_dlq": 1}, Level.CRITICAL),
        ({"warn_dlq": 0, "max_dlq": 1}, Level.CRITICAL),
    ],
    ids=str,
)
def test_the_dead_letter_queue_may_have_so_many(store, thresholds, found):
    for _ in range(2):
        enqueue(store, retries=0)
        finish(store, claim(store), Exited(1))

    assert level(store, NOW, "dlq", **thresholds) is found


@pytest.mark.parametrize(
    ("thresholds", "found"),
    [
        ({}, Level.OK),
        ({"warn_wait": 60, "max_wait": 600}, Level.WARNING),
        ({"max_wait": 89}, Level.CRITICAL),
        ({"max_wait": 90}, Level.OK),
    ],
    ids=str,
)
def test_a_due_run_may_wait_so_long(store, thresholds, found):
    enqueue(store, run_at=NOW)

    assert level(store, NOW + timedelta(seconds=90), "wait", **thresholds) is found


def test_nothing_is_said_of_runs_that_are_not_due(store):
    enqueue(store, run_at=NOW + HOUR)

    assert alarms(store, at=NOW, max_wait=0.0)["wait"] == (Level.OK, "nothing that is due waits")


def test_the_worst_comes_first(store):
    enqueue(store, run_at=NOW)
    found = health(store, Thresholds(warn_wait=1, needs_runner=True), now=NOW + HOUR)

    assert [alarm.level for alarm in found.alarms] == [Level.CRITICAL, Level.WARNING, Level.OK]
    assert found.level is Level.CRITICAL
