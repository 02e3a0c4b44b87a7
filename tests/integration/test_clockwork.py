"""What the runner's clockwork says is due, also when the wall clock jumps; both clocks are ours."""

import select
from datetime import UTC, datetime, timedelta

import pytest

from queuectl.clockwork import Clockwork
from tests.support.clocks import ManualClock
from tests.support.waiting import eventually

BEAT, LOOK = timedelta(minutes=10), timedelta(minutes=2)
BOTH = {"beat", "look"}
HOUR = 3600


@pytest.fixture
def wall():
    return ManualClock()


@pytest.fixture
def steady():
    return ManualClock()


@pytest.fixture
def clockwork(wall, steady):
    found = Clockwork(wall=wall, steady=lambda: steady().timestamp())
    found.every(BEAT, "beat")
    found.every(LOOK, "look")
    yield found
    found.close()


def test_everything_is_due_at_first_and_once(clockwork):
    assert (clockwork.due(), clockwork.due()) == (BOTH, set())


def test_time_that_passes_on_both_clocks_is_no_jump(clockwork, wall, steady):
    clockwork.due()
    for _ in range(1000):
        wall.advance(seconds=15.0005)  # slewed, as by NTP
        steady.advance(seconds=15)

        assert clockwork.due() == set()


@pytest.mark.parametrize("seconds", [-HOUR, HOUR, 8 * HOUR, -2, 2], ids=["back", "forth", "suspend", "a bit", "more"])
def test_after_a_jump_of_the_wall_clock_everything_is_due_once(clockwork, wall, steady, seconds):
    clockwork.due()
    wall.advance(seconds=15 + seconds)
    steady.advance(seconds=15)

    assert (clockwork.due(), clockwork.due()) == (BOTH, set())


def test_after_the_clock_was_set_back_the_next_beat_is_a_period_away_and_not_an_hour(clockwork, wall):
    clockwork.due()
    scheduler = clockwork._scheduler
    for name in BOTH:  # as they stand on a clock that is an hour behind what it was
        scheduler.modify_job(name, next_run_time=datetime.now(UTC) + timedelta(hours=1))  # noqa: TID251 - APScheduler's

    wall.advance(seconds=-HOUR)
    clockwork.due()

    ahead = {name: scheduler.get_job(name).next_run_time - datetime.now(UTC) for name in BOTH}  # noqa: TID251
    assert ahead["beat"] <= BEAT
    assert ahead["look"] <= LOOK


def test_after_its_patience_something_is_due():
    clockwork = Clockwork()
    clockwork.every(timedelta(seconds=0.05), "tick")
    clockwork.every(timedelta(seconds=0.15), "third tick")
    clockwork.due()
    found = []

    def turn():
        select.select([], [], [], clockwork.patience())
        found.append(clockwork.due())
        return "third tick" in found[-1]

    eventually(turn)
    clockwork.close()

    assert {"tick", "third tick"} == found[-1]  # both in one turn: to wake up is what costs
