"""What the store remembers of jobs, runs and runners, so that it can be said afterwards why."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from queuectl.errors import JobNotFound
from queuectl.evidence import Ahead, Declaration, Folded, Intervention
from queuectl.job import Overlap
from queuectl.lifecycle import cancel, requeue
from queuectl.outcome import Exited
from queuectl.store.queue import LONGEST_BEAT
from queuectl.store.statements import migrations
from tests.support.factories import NOW, make_job
from tests.support.queue import AUTHOR, claim, declare, enqueue, finish, register, tick

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def hourly(**keys):
    return make_job("report", schedule="0 * * * *", **keys)


def test_every_apply_that_changed_a_job_is_kept_with_what_it_changed(store):
    other = make_job("other")
    declare(store, other, hourly())
    declare(store, other, hourly(priority=5), now=NOW + HOUR)
    declare(store, replace(other, enabled=False), hourly(priority=5), now=NOW + 2 * HOUR)
    declare(
        store, make_job("digest", schedule="0 * * * *", renamed_from="report", priority=5), other, now=NOW + 3 * HOUR
    )
    declare(store, other, now=NOW + 4 * HOUR)

    stored, removed_at = store.job_on_record("nightly/digest")

    assert removed_at == NOW + 4 * HOUR
    by = {"by": "ada@atlas", "commit": "c0ffee", "is_dirty": False}
    assert store.declarations(stored.id) == [
        Declaration(apply=1, at=NOW, action="create", **by),
        Declaration(apply=2, at=NOW + HOUR, action="update", fields={"priority": (0, 5)}, **by),
        Declaration(apply=4, at=NOW + 3 * HOUR, action="rename", **by),
        Declaration(
            apply=5,
            at=NOW + 4 * HOUR,
            action="remove",
            fields={"schedule": ("0 * * * *", None), "timezone": ("UTC", None)},
            **by,
        ),
    ]


def test_a_job_that_nobody_declared_is_not_found_and_similar_ones_are_named(store):
    declare(store, hourly())

    with pytest.raises(JobNotFound) as caught:
        store.job_on_record("nightly/repport")
    assert caught.value.hint == "did you mean `nightly/report`?"


def test_applies_from_before_they_were_kept_by_job_are_found_again(store):
    declare(store, make_job("other"), hourly())
    declare(store, make_job("other"), hourly(priority=5), now=NOW + HOUR)
    stored, _ = store.job_on_record("nightly/report")
    before = store.declarations(stored.id)
    store._execute("DELETE FROM job_applies")

    [step] = [text for text in migrations() if "CREATE TABLE job_applies" in text]
    store._execute("INSERT OR IGNORE" + step.partition("INSERT OR IGNORE")[2].partition(";")[0])

    assert store.declarations(stored.id) == before


def test_slots_are_found_by_their_time_and_by_what_ran_before_and_in_their_stead(store):
    declare(store, hourly())
    tick(store, NOW + HOUR)
    tick(store, NOW + 5 * HOUR)  # the first is not over: all four are coalesced or overlap
    stored, _ = store.job_on_record("nightly/report")
    first, second = (store.run_of_slot(stored.id, NOW + hours * HOUR) for hours in (1, 2))

    assert (store.latest_slot(stored.id, NOW + 1.5 * HOUR), store.latest_slot(stored.id, NOW)) == (first, None)
    assert store.latest_slot(stored.id, NOW + 9 * HOUR).slot == NOW + 5 * HOUR
    assert (store.run_before(stored.id, second), store.run_before(stored.id, first)) == (first, None)
    assert store.run_in_stead(stored.id, second) is None
    assert store.newest_run_until(stored.id, NOW + 2 * HOUR) == first
    assert store.run_of_slot(stored.id, NOW + 1.5 * HOUR) is None


def test_a_coalesced_slot_is_followed_by_the_one_that_ran(store):
    declare(store, hourly())
    tick(store, NOW + 3 * HOUR)
    stored, _ = store.job_on_record("nightly/report")

    instead = store.run_in_stead(stored.id, store.run_of_slot(stored.id, NOW + HOUR))

    assert instead.slot == NOW + 3 * HOUR


def test_a_slot_that_was_only_counted_is_known_by_those_it_was_counted_with(store):
    declare(store, make_job("report", schedule="* * * * *"))
    now = NOW + timedelta(days=10)
    tick(store, now)
    stored, _ = store.job_on_record("nightly/report")

    last = NOW + 4400 * MINUTE
    assert store.folded_with(stored.id, NOW + HOUR) == Folded(
        first=NOW + MINUTE, last=last, count=4400, recorded_at=now
    )
    assert [store.folded_with(stored.id, at) for at in (NOW, last + MINUTE)] == [None, None]


def test_what_is_claimed_before_a_run_is_counted_by_priority_and_time(store):
    for priority, late in ((5, 0), (5, 1), (0, 0), (0, 2), (-1, 0), (9, 90)):
        enqueue(store, priority=priority, run_at=NOW + late * SECOND)
    run = enqueue(store, run_at=NOW + SECOND)

    assert store.ahead(run, now=NOW + 10 * SECOND) == Ahead(higher=2, earlier=1)
    assert store.ahead(run, now=NOW) == Ahead(higher=1, earlier=1)


def test_who_did_what_to_a_run_is_kept_and_goes_with_it(store):
    declare(store, hourly(overlap=Overlap.ALLOW))
    run = store.run(store.trigger(store.job("nightly/report"), now=NOW, by=AUTHOR))
    dead = finish(store, claim(store), Exited(1), now=NOW)
    while dead.state.is_waiting:
        dead = finish(store, claim(store, now=NOW + 9 * HOUR), Exited(1), now=NOW)
    store.change(dead, requeue(dead, dead.spec, now=NOW + HOUR), by=AUTHOR)
    waiting = store.run(run.id)
    store.change(waiting, cancel(waiting, now=NOW + 2 * HOUR), by=AUTHOR)

    assert store.interventions(run) == [
        Intervention(at=NOW + hours * HOUR, act=act, by="ada@atlas")
        for hours, act in enumerate(["trigger", "retry", "cancel"])
    ]
    store.purge([store.run(run.id)])
    assert store.interventions(run) == []


def test_a_change_that_comes_too_late_is_nobody_s(store):
    run = enqueue(store)
    claim(store)

    assert not store.change(run, cancel(run, now=NOW), by=AUTHOR)
    assert store.interventions(run) == []


def test_beats_that_are_too_far_apart_and_a_clock_that_goes_back_are_silences(store):
    runner = register(store)
    beats = [10, 20, 20 + LONGEST_BEAT.total_seconds(), 51 + LONGEST_BEAT.total_seconds(), 30, 40]
    for seconds in beats:
        store.beat(runner, now=NOW + seconds * SECOND)

    [life] = store.runner_lives(NOW, NOW)

    assert life.silences == ((NOW + 50 * SECOND, NOW + 81 * SECOND), (NOW + 81 * SECOND, NOW + 30 * SECOND))


def test_the_runners_of_a_time_come_with_the_last_before_and_the_first_after(store):
    spans = [(0, 1), (1, 2), (2, 5), (3, None), (6, 7), (8, 9)]
    for begin, end in spans:
        runner = store.register_runner(host="atlas", pid=1, workers=1, has_schedule=end != 5, now=NOW + begin * HOUR)
        if end is not None:
            store.stop_runner(runner, now=NOW + end * HOUR, died=end == 2)
    run = enqueue(store)
    running = claim(store, 1, now=NOW)

    lives = store.runner_lives(NOW + 2.5 * HOUR, NOW + 3.5 * HOUR)

    assert [(life.id, life.died, life.has_schedule, life.last_sign) for life in lives] == [
        (2, True, True, NOW + HOUR),
        (3, False, False, NOW + 5 * HOUR),
        (4, False, True, NOW + 3 * HOUR),
        (5, False, True, NOW + 7 * HOUR),
    ]
    with_run = store.runner_lives(NOW + 2.5 * HOUR, NOW + 2.5 * HOUR, run=running)
    assert [(life.id, life.busy) for life in with_run] == [(1, 1), (2, 0), (3, 0), (4, 0)]
    assert run.id == running.id


def test_a_removed_schedule_is_on_record_in_the_apply(store):
    declare(store, make_job("other"), hourly())
    declare(store, make_job("other"), now=NOW + HOUR)

    [removal] = store.applies(limit=1)[0].changes

    assert json.loads(json.dumps(removal)) == {
        "action": "remove",
        "job": "nightly/report",
        "fields": {"schedule": ["0 * * * *", None], "timezone": ["UTC", None]},
    }
