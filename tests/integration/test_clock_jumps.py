"""The ledger of slots when the wall clock jumps, the machine sleeps or the calendar does something rare: by rounds."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from queuectl.executors import ExecutorWorkers
from queuectl.job import Catchup, Overlap, State
from queuectl.presence import Presence
from queuectl.runner import Runner
from queuectl.spool import Spool
from queuectl.store.archive import Archive
from tests.support.clocks import ManualClock
from tests.support.factories import NOW, make_job
from tests.support.inline import HeldExecutor, InlineExecutor
from tests.support.queue import AUTHOR, declare, register

HOUR = timedelta(hours=1)


class Silent:
    def settled(self, run, after, attempt):
        pass

    def troubled(self, error):
        raise error


@pytest.fixture
def store(tmp_path):
    with Archive(tmp_path / "queue.db", durability="normal") as opened:
        yield opened


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make_runner(store, clock):
    living = []

    def make(executor=None):
        spool = Spool(str(store.path))
        spool.prepare()
        runner = register(store)
        living.append(Presence(spool, runner))
        workers = ExecutorWorkers(executor or InlineExecutor(), 4, spool, output_limit=1 << 20, wake=lambda: None)
        return Runner(store, workers, spool, id=runner, clock=clock, chance=lambda: 0.0, reporter=Silent())

    yield make
    for presence in living:
        presence.close()


def hourly(**keys):
    return make_job("report", schedule="0 * * * *", **keys)


def rounds(runner, clock, until, *, step=30):
    """Let time pass, with a round and a beat every ``step`` seconds."""
    while clock() < until:
        clock.advance(seconds=step)
        runner.round(beat=True)
    runner.round(beat=True)


def ledger(store):
    """Return the slots in the order in which they were accounted for, each with its fate."""
    return [(run.slot, run.reason or str(run.state)) for run in reversed(store.runs())]


def hours(*numbers):
    return [NOW + number * HOUR for number in numbers]


def test_a_clock_that_goes_back_an_hour_repeats_no_slot_and_loses_none(store, make_runner, clock):
    declare(store, hourly())
    runner = make_runner()
    rounds(runner, clock, NOW + 2.5 * HOUR)

    clock.advance(seconds=-3600)
    rounds(runner, clock, NOW + 2.25 * HOUR)  # past the slot that it has had before
    assert ledger(store) == [(slot, "completed") for slot in hours(1, 2)]
    assert store.next_slot() == NOW + 3 * HOUR
    rounds(runner, clock, NOW + 3.25 * HOUR)

    assert ledger(store) == [(slot, "completed") for slot in hours(1, 2, 3)]
    [life] = store.runner_lives(NOW, NOW)
    assert life.silences == ((NOW + 2.5 * HOUR, NOW + 1.5 * HOUR + timedelta(seconds=30)),)


@pytest.mark.parametrize(
    ("catchup", "fates"),
    [
        (Catchup.LATEST, ["completed"]),
        (Catchup.NONE, ["missed"]),
        (Catchup.ALL, ["completed"]),
    ],
)
def test_a_clock_that_goes_forth_an_hour_has_the_slot_between_looked_at_once(store, make_runner, clock, catchup, fates):
    declare(store, hourly(catchup=catchup))
    runner = make_runner()
    rounds(runner, clock, NOW + 0.5 * HOUR)

    clock.advance(seconds=3600)
    rounds(runner, clock, NOW + 1.6 * HOUR)
    clock.advance(seconds=-3600)
    rounds(runner, clock, NOW + 1.7 * HOUR)

    assert ledger(store) == list(zip(hours(1), fates, strict=True))


@pytest.mark.parametrize(
    ("keys", "fates"),
    [
        ({}, ["coalesced"] * 7 + ["completed"]),
        ({"catchup": Catchup.NONE}, ["missed"] * 8),
        ({"catchup": Catchup.ALL, "overlap": Overlap.ALLOW}, ["completed"] * 8),
        ({"catchup": Catchup.ALL, "catchup_window": 3 * 3600.0, "overlap": Overlap.QUEUE},
         ["missed"] * 5 + ["completed"] * 3),
    ],
    ids=["latest", "none", "all", "window"],
)  # fmt: skip
def test_after_a_suspend_of_eight_hours_each_slot_has_its_fate(store, make_runner, clock, keys, fates):
    declare(store, hourly(**keys))
    runner = make_runner()
    rounds(runner, clock, NOW + 0.25 * HOUR)

    clock.advance(seconds=8 * 3600)
    rounds(runner, clock, NOW + 8.5 * HOUR)

    assert ledger(store) == list(zip(hours(*range(1, 9)), fates, strict=True))
    [life] = store.runner_lives(NOW, NOW)
    assert life.silences == ((NOW + 0.25 * HOUR, NOW + 8.25 * HOUR + timedelta(seconds=30)),)


def test_what_ran_through_a_suspend_is_not_over_and_stands_in_the_way(store, make_runner, clock):
    declare(store, hourly())
    runner = make_runner(HeldExecutor())
    rounds(runner, clock, NOW + 1.1 * HOUR)

    clock.advance(seconds=8 * 3600)
    rounds(runner, clock, NOW + 9.2 * HOUR)

    fates = [fate for _, fate in ledger(store)]
    assert fates == ["processing", *["coalesced"] * 7, "overlap"]


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        ("0 0 29 2 *", "2028-02-28T23:59:50", "2028-02-29T00:00:00"),
        ("0 0 * * *", "2028-02-29T23:59:50", "2028-03-01T00:00:00"),
        ("14 3 19 1 *", "2038-01-19T03:13:50", "2038-01-19T03:14:00"),  # 32 bits of seconds end 7 s later
        ("15 3 19 1 *", "2038-01-19T03:14:50", "2038-01-19T03:15:00"),
        ("0 0 1 1 *", "2099-12-31T23:59:50", "2100-01-01T00:00:00"),
        ("0 0 1 3 *", "2100-02-28T23:59:50", "2100-03-01T00:00:00"),  # no leap day
        ("59 23 31 12 *", "2999-12-31T23:58:50", "2999-12-31T23:59:00"),
    ],
)
def test_a_slot_on_a_rare_day_runs_at_its_instant(store, make_runner, clock, schedule, start, expected):
    begin, slot = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, expected))
    clock.advance(seconds=(begin - NOW).total_seconds())
    declare(store, make_job("report", schedule=schedule), now=begin)
    runner = make_runner()
    assert runner.round() == slot

    rounds(runner, clock, slot)

    assert ledger(store) == [(slot, "completed")]
    [run] = store.runs()
    assert (run.state, run.started_at) == (State.COMPLETED, begin + timedelta(seconds=30))


def test_a_runner_that_stops_leaves_the_slots_to_others_and_is_not_called_for_them(store, make_runner, clock):
    declare(store, hourly())
    runner = make_runner()
    runner.stop()
    clock.advance(seconds=2 * 3600)

    assert runner.round() is None  # else it would be called again at once, and again
    assert (ledger(store), store.next_slot()) == ([], NOW + HOUR)


def test_between_slots_an_edit_a_pause_and_a_removal_each_have_their_way(store, make_runner, clock):
    runner = make_runner()
    declare(store, hourly())
    rounds(runner, clock, NOW + 1.2 * HOUR, step=60)
    declare(store, make_job("report", schedule="30 * * * *"), now=clock())
    rounds(runner, clock, NOW + 2.6 * HOUR, step=60)
    pause_from = clock()
    store.pause("nightly/report", until=pause_from + HOUR, reason=None, author=AUTHOR, now=pause_from)
    rounds(runner, clock, NOW + 4.6 * HOUR, step=60)
    declare(store, now=clock())
    rounds(runner, clock, NOW + 7 * HOUR, step=60)

    assert ledger(store) == [
        (NOW + HOUR, "completed"),
        (NOW + 1.5 * HOUR, "completed"),
        (NOW + 2.5 * HOUR, "completed"),
        (NOW + 3.5 * HOUR, "paused"),
        (NOW + 4.5 * HOUR, "completed"),
    ]
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(ledger(store)))
