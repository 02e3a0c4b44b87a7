"""The ledger of slots: each accounted for once, however many tick."""

from datetime import timedelta

import pytest

from queuectl.job import HELD, Overlap, State
from queuectl.lifecycle import cancel, requeue
from queuectl.outcome import Exited, Lost
from queuectl.selector import Selector
from queuectl.slots import fire
from queuectl.store.archive import Archive
from tests.support.factories import NOW, make_job
from tests.support.queue import AUTHOR, claim, declare, enqueue, finish, register, tick

HOUR = timedelta(hours=1)


def hourly(**keys):
    return make_job("report", schedule="0 * * * *", **keys)


def ledger(store):
    """Return the slot and the fate of every run, oldest first."""
    return [(run.slot, run.reason or str(run.state)) for run in reversed(store.runs())]


def test_a_declared_schedule_is_due_at_its_next_slot_and_not_before(store):
    declare(store, hourly())

    assert (store.next_slot(), tick(store, NOW + HOUR / 2)) == (NOW + HOUR, [])
    assert tick(store, NOW + HOUR) == [True]
    assert (ledger(store), store.next_slot()) == ([(NOW + HOUR, "pending")], NOW + 2 * HOUR)


def test_a_slot_that_another_runner_has_accounted_for_is_left_alone(store):
    declare(store, hourly(max_wait=60.0))
    [due] = store.due_jobs(now=NOW + HOUR)
    assert due.job == hourly(max_wait=60.0)
    tick(store, NOW + HOUR)

    firing = fire(due.job, due.next_slot, NOW + HOUR, is_unfinished=False, pauses=())
    assert not store.fire(due, firing.runs, after=firing.caught_up.next_slot, now=NOW + HOUR)

    assert len(ledger(store)) == 1


def test_a_changed_schedule_never_fires_the_past(store):
    declare(store, hourly())

    declare(store, make_job("report", schedule="30 * * * *"), now=NOW + 5 * HOUR)

    assert (tick(store, NOW + 5 * HOUR), ledger(store)) == ([], [])
    assert store.next_slot() == NOW + 5.5 * HOUR


def test_a_slot_that_comes_again_since_the_clock_was_set_back_is_not_run_again(store):
    declare(store, hourly())
    tick(store, NOW + HOUR)
    finish(store, claim(store, now=NOW + HOUR), now=NOW + HOUR)

    declare(store, make_job("report", schedule="*/20 * * * *"), now=NOW + HOUR / 2)
    tick(store, NOW + HOUR)

    assert ledger(store) == [(NOW + HOUR, "completed"), (NOW + HOUR * 2 / 3, "coalesced")]
    assert store.next_slot() == NOW + HOUR * 4 / 3


def test_a_changed_command_keeps_the_next_slot_and_reaches_what_waits(store):
    declare(store, hourly(overlap=Overlap.QUEUE))
    for hours in (1, 2):
        tick(store, NOW + hours * HOUR)

    declare(store, hourly(overlap=Overlap.QUEUE, command="new"), now=NOW + 2.5 * HOUR)

    assert [run.spec.command for run in store.runs()] == ["new", "new"]
    assert store.next_slot() == NOW + 3 * HOUR


@pytest.mark.parametrize("after", [(), (hourly(enabled=False),)], ids=["removed", "disabled"])
def test_what_is_no_longer_wanted_has_no_slots_and_nothing_waiting(store, after):
    declare(store, hourly(overlap=Overlap.QUEUE), make_job("other"))
    for hours in (1, 2):
        tick(store, NOW + hours * HOUR)

    declare(store, *after, make_job("other"), now=NOW + 2 * HOUR)

    assert (store.next_slot(), tick(store, NOW + 9 * HOUR)) == (None, [])
    assert [run.state for run in store.runs(Selector(jobs=("nightly/report",)))] == [State.CANCELLED] * 2


def test_what_waits_for_the_run_before_is_let_go_when_that_is_over(store):
    declare(store, hourly(overlap=Overlap.QUEUE))
    for hours in (1, 2, 3):
        tick(store, NOW + hours * HOUR)
    runner = register(store)
    third, second, first = store.runs()
    assert [run.run_at for run in (first, second, third)] == [NOW + HOUR, HELD, HELD]

    now = NOW + 4 * HOUR
    finish(store, claim(store, runner, now=now), Exited(1), now=now)  # to be retried: not over
    assert store.run(second.id).run_at == HELD
    finish(store, claim(store, runner, now=now + HOUR), Exited(0), now=now + HOUR)

    assert (store.run(second.id).run_at, store.run(third.id).run_at) == (now + HOUR, HELD)
    waiting = store.run(second.id)
    store.change(waiting, cancel(waiting, now=now + HOUR))
    assert store.run(third.id).run_at == now + HOUR


def test_a_run_that_is_replaced_ends_before_the_new_one_begins(store):
    declare(store, hourly(overlap=Overlap.REPLACE))
    tick(store, NOW + HOUR)
    running = claim(store, now=NOW + HOUR)
    tick(store, NOW + 2 * HOUR)
    new = store.runs(limit=1)[0]
    assert (new.is_held, str(store.run(running.id).stop)) == (True, "now")

    finish(store, store.run(running.id), Exited(0), now=NOW + 2 * HOUR)

    assert store.run(new.id).run_at == NOW + 2 * HOUR


def dead_run(store, *, at):
    """Let the run of a slot die."""
    tick(store, at)
    run = claim(store, now=at)
    return finish(store, run, Lost("its worker was killed"), now=at)


def give_back(store, run, *, now):
    run = store.run(run.id)
    store.change(run, requeue(run, run.spec, now=now))
    return store.run(run.id)


def test_dead_runs_that_are_given_back_run_one_after_the_other_and_after_what_runs(store):
    declare(store, hourly(retries=0))
    dead = [dead_run(store, at=NOW + hours * HOUR) for hours in (1, 2)]
    tick(store, NOW + 3 * HOUR)
    running = claim(store, now=NOW + 3 * HOUR)

    first, second = (give_back(store, run, now=NOW + 3 * HOUR) for run in dead)
    assert (first.is_held, second.is_held) == (True, True)
    finish(store, running, now=NOW + 4 * HOUR)
    first, second = store.run(first.id), store.run(second.id)
    assert (first.run_at, second.is_held) == (NOW + 4 * HOUR, True)
    finish(store, claim(store, now=NOW + 4 * HOUR), now=NOW + 5 * HOUR)

    assert store.run(second.id).run_at == NOW + 5 * HOUR


def test_dead_runs_of_a_job_that_lets_its_runs_overlap_are_given_back_together(store):
    declare(store, hourly(retries=0, overlap=Overlap.ALLOW))
    dead = [dead_run(store, at=NOW + hours * HOUR) for hours in (1, 2)]

    assert [give_back(store, run, now=NOW).is_held for run in dead] == [False, False]


def test_dead_ad_hoc_runs_have_nothing_to_wait_for(store):
    runs = [enqueue(store, retries=0), enqueue(store, retries=0)]
    for _ in runs:
        finish(store, claim(store), Exited(1))

    assert [give_back(store, run, now=NOW).is_held for run in runs] == [False, False]


def test_a_waiting_run_that_is_replaced_makes_way_at_once(store):
    declare(store, hourly(overlap=Overlap.REPLACE))
    for hours in (1, 2):
        tick(store, NOW + hours * HOUR)

    newest, oldest = store.runs()
    assert (oldest.state, newest.is_held) == (State.CANCELLED, False)


def test_slots_of_a_pause_are_recorded_and_resuming_does_not_bring_them_back(store):
    declare(store, hourly())
    store.pause("nightly", until=None, reason="holiday", author=AUTHOR, now=NOW)
    tick(store, NOW + HOUR)
    assert store.resume("nightly", author=AUTHOR, now=NOW + 1.5 * HOUR)
    assert not store.resume("nightly", author=AUTHOR, now=NOW + 1.5 * HOUR)

    tick(store, NOW + 2 * HOUR)

    assert ledger(store) == [(NOW + HOUR, "paused"), (NOW + 2 * HOUR, "pending")]


def test_ten_thousand_slots_are_recorded_and_what_is_older_is_counted(store):
    declare(store, make_job("report", schedule="* * * * *"))
    [due] = store.due_jobs(now=NOW + timedelta(days=10))
    firing = fire(due.job, due.next_slot, NOW + timedelta(days=10), is_unfinished=False, pauses=())
    caught_up = firing.caught_up

    folded = (caught_up.first_folded, caught_up.last_folded, caught_up.folded)
    now = NOW + timedelta(days=10)
    store.fire(due, firing.runs, after=caught_up.next_slot, folded=folded, now=now)

    assert (store.counts()[State.SKIPPED], store.counts()[State.PENDING], caught_up.folded) == (9_999, 1, 4_400)


def test_two_connections_that_tick_at_once_make_one_run_a_slot(store):
    declare(store, hourly())
    with Archive(store.path) as other:
        for hours in range(1, 6):
            assert [*tick(store, NOW + hours * HOUR), *tick(other, NOW + hours * HOUR)] == [True]
            finish(store, claim(store, now=NOW + hours * HOUR), now=NOW + hours * HOUR)

    assert [slot for slot, _ in ledger(store)] == [NOW + hours * HOUR for hours in range(1, 6)]
