from datetime import timedelta

import pytest

from queuectl.job import HELD, Catchup, Overlap, State
from queuectl.pause import Pause
from queuectl.slots import fire, first_slot
from tests.support.factories import NOW, make_job

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def hourly(**keys):
    return make_job("report", schedule="0 * * * *", **keys)


def fired(job, *, now=NOW, since=NOW, is_unfinished=False, pauses=()):
    """Return the slot, the time and the fate of each run that a tick makes."""
    firing = fire(job, since, now, is_unfinished=is_unfinished, pauses=pauses)
    return [(run.slot, run.run_at, run.reason or str(run.state)) for run in firing.runs]


def test_a_slot_on_time_is_one_run_and_the_next_slot_follows():
    assert fired(hourly()) == [(NOW, NOW, "pending")]
    assert fire(hourly(), NOW, NOW, is_unfinished=False, pauses=()).caught_up.next_slot == NOW + HOUR


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.SKIP, [(NOW, NOW, "overlap")]),
        (Overlap.QUEUE, [(NOW, HELD, "pending")]),
        (Overlap.ALLOW, [(NOW, NOW, "pending")]),
        (Overlap.REPLACE, [(NOW, HELD, "pending")]),
    ],
)
def test_a_run_that_is_not_over_is_met_as_the_job_says(overlap, expected):
    job = hourly(overlap=overlap)

    assert fired(job, is_unfinished=True) == expected
    assert fire(job, NOW, NOW, is_unfinished=True, pauses=()).replaces == (overlap is Overlap.REPLACE)


def test_after_a_downtime_each_slot_has_its_fate():
    fates = [fate for *_, fate in fired(hourly(), since=NOW - 3 * HOUR, now=NOW + MINUTE / 2)]
    none = [fate for *_, fate in fired(hourly(catchup=Catchup.NONE), since=NOW - 3 * HOUR, now=NOW + 2 * MINUTE)]

    assert fates == ["coalesced", "coalesced", "coalesced", "pending"]
    assert none == ["missed"] * 4


def test_slots_that_are_all_caught_up_run_one_after_the_other():
    job = hourly(catchup=Catchup.ALL, overlap=Overlap.QUEUE)

    assert [run_at for _, run_at, _ in fired(job, since=NOW - 2 * HOUR)] == [NOW - 2 * HOUR, HELD, HELD]


def test_a_spread_delays_the_run_and_not_the_slot():
    [(slot, run_at, _)] = fired(hourly(spread=600.0))

    assert slot == NOW
    assert timedelta(0) <= run_at - slot < timedelta(minutes=10)
    assert fired(hourly(spread=600.0)) == [(slot, run_at, "pending")]


@pytest.mark.parametrize("scope", ["", "nightly", "nightly/report"])
def test_a_slot_in_a_pause_is_recorded_and_not_caught_up(scope):
    pause = Pause(scope=scope, begins_at=NOW - HOUR, ended_at=NOW + MINUTE)

    runs = fired(hourly(), since=NOW - 2 * HOUR, now=NOW + HOUR, pauses=[pause])

    assert [fate for *_, fate in runs] == ["coalesced", "paused", "paused", "pending"]


def test_a_pause_of_another_job_is_nothing_to_this_one():
    pauses = [Pause(scope=scope, begins_at=NOW - HOUR) for scope in ("nightl", "nightly/repor", "report")]

    assert fired(hourly(), pauses=pauses) == [(NOW, NOW, "pending")]


def test_a_pause_ends_by_itself_when_its_time_has_come():
    pause = Pause(scope="", begins_at=NOW - HOUR, until=NOW)

    assert fired(hourly(), pauses=[pause]) == [(NOW, NOW, "pending")]


def test_when_only_the_newest_runs_a_paused_slot_does_not_hide_the_one_before():
    pause = Pause(scope="", begins_at=NOW, ended_at=NOW + MINUTE)

    runs = fired(hourly(), since=NOW - HOUR, now=NOW + 2 * MINUTE, pauses=[pause])

    assert [fate for *_, fate in runs] == ["pending", "paused"]


def test_a_slot_from_before_a_pause_that_holds_now_does_not_begin_in_it():
    pause = Pause(scope="nightly", begins_at=NOW - MINUTE)
    runs = fired(hourly(), since=NOW - 2 * HOUR, pauses=[pause])

    assert [fate for *_, fate in runs] == ["paused"] * 3


def test_the_first_slot_lies_after_the_declaration():
    assert first_slot(hourly(), NOW) == NOW + HOUR
    assert first_slot(hourly(enabled=False), NOW) is None
    assert first_slot(make_job(), NOW) is None


def test_what_is_skipped_is_over():
    [run] = fire(hourly(), NOW, NOW, is_unfinished=True, pauses=()).runs

    assert run.state is State.SKIPPED
