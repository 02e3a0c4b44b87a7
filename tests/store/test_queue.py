import contextlib
from datetime import timedelta

import pytest

from queuectl.errors import RunNotFound
from queuectl.job import NewRun, State, Stop
from queuectl.lifecycle import cancel, requeue, settle
from queuectl.outcome import Cancelled, Exited, Lost, Released, Signalled, TimedOut
from queuectl.selector import Selector
from queuectl.store import RunIdTaken
from tests.support.factories import NOW, make_attempt, make_spec
from tests.support.queue import claim, enqueue, finish, register

LATER = NOW + timedelta(minutes=5)


def test_ids_are_short_and_rise(store):
    ids = store.enqueue([NewRun(spec=make_spec(), run_at=NOW)] * 3, now=NOW)

    assert ids == ["r1", "r2", "r3"]


def test_an_id_that_a_person_gave_is_kept(store):
    assert enqueue(store, given_id="nightly-2026-12-01").id == "nightly-2026-12-01"


def test_an_id_is_given_once_and_a_batch_that_has_it_twice_leaves_nothing(store):
    runs = [NewRun(spec=make_spec(), run_at=NOW, given_id="job1")] * 2

    with pytest.raises(RunIdTaken, match="there is a run `job1` already"):
        store.enqueue(runs, now=NOW)
    assert store.runs() == []


def test_many_runs_at_once_get_the_ids_and_numbers_of_their_order(store):
    enqueue(store)
    runs = [
        NewRun(
            spec=make_spec(command=f"echo {index}", priority=index % 3),
            run_at=NOW + timedelta(seconds=index % 7),
            given_id=f"mine-{index}" if index % 4 == 0 else None,
        )
        for index in range(350)
    ]

    ids = store.enqueue(runs, now=NOW)

    assert ids == [run.given_id or f"r{number}" for number, run in enumerate(runs, start=2)]
    stored = [store.run(each) for each in ids]
    assert [run.number for run in stored] == list(range(2, 352))
    assert [(run.spec, run.run_at) for run in stored] == [(run.spec, run.run_at) for run in runs]
    assert store.counts()[State.PENDING] == 351


@pytest.mark.parametrize("place", [1, 299])
@pytest.mark.parametrize("other", [0, 298, None], ids=["far", "near", "stored"])
def test_an_id_that_is_taken_leaves_nothing_of_many_runs(store, place, other):
    enqueue(store, given_id="stored")
    runs = [NewRun(spec=make_spec(), run_at=NOW, given_id=f"job-{index}") for index in range(300)]
    taken = "stored" if other is None else f"job-{other}"
    runs[place] = NewRun(spec=make_spec(), run_at=NOW, given_id=taken)

    with pytest.raises(RunIdTaken, match=f"there is a run `{taken}` already"):
        store.enqueue(runs, now=NOW)

    assert [run.id for run in store.runs()] == ["stored"]


def test_of_two_ids_that_are_taken_the_first_is_named(store):
    enqueue(store, given_id="z")
    runs = [NewRun(spec=make_spec(), run_at=NOW, given_id=each) for each in ("b", "b", "z")]

    with pytest.raises(RunIdTaken, match="`b`"):
        store.enqueue(runs, now=NOW)


@pytest.mark.parametrize(
    "text", ['"\\"', "a\tb\x01\x7f", "\u2028 é 漢 🜁", "{}[]:,'--", "\\u0041", "a\0b", " "], ids=ascii
)
def test_any_text_comes_back_as_it_was_put_in(store, text):
    run = enqueue(store, command=(text, text), env={"A": text}, tags=(text,), timeout=1e-7, retries=0)

    assert run.spec == make_spec(command=(text, text), env={"A": text}, tags=(text,), timeout=1e-7, retries=0)


def test_the_number_of_a_purged_run_is_not_given_again(store):
    run = enqueue(store, retries=0)
    dead = finish(store, claim(store), Exited(1))
    assert store.purge([dead]) == [dead]

    assert enqueue(store).number == run.number + 1


def test_a_run_comes_back_as_it_was_put_in(store):
    run = enqueue(store, command=("echo", "a b"), priority=7, env={"A": "b"}, tags=("x",), timeout=1.5)

    assert run.spec == make_spec(command=("echo", "a b"), priority=7, env={"A": "b"}, tags=("x",), timeout=1.5)
    assert (run.state, run.attempts, run.run_at, run.created_at) == (State.PENDING, 0, NOW, NOW)


def test_an_unknown_id_is_not_found_and_similar_ones_are_named(store):
    enqueue(store, given_id="weekly-report")

    with pytest.raises(RunNotFound) as caught:
        store.run("weekly-reports")
    assert caught.value.hint == "did you mean `weekly-report`?"


def test_larger_priorities_are_claimed_first_then_earlier_times_then_smaller_numbers(store):
    late = enqueue(store, priority=5)
    early = enqueue(store, priority=5, run_at=NOW - timedelta(hours=1))
    low = enqueue(store, priority=-5, run_at=NOW - timedelta(days=9))
    late_too = enqueue(store, priority=5)
    high = enqueue(store, priority=6)

    claimed = store.claim(limit=10, runner=register(store), now=NOW)

    assert [run.id for run in claimed] == [run.id for run in (high, early, late, late_too, low)]


def test_the_limit_takes_the_first_of_that_order(store):
    for priority in (1, 3, 2):
        enqueue(store, priority=priority)

    claimed = store.claim(limit=2, runner=register(store), now=NOW)

    assert [run.spec.priority for run in claimed] == [3, 2]


def test_a_run_is_not_claimed_before_its_time(store):
    enqueue(store, run_at=LATER, priority=9)
    runner = register(store)

    assert store.claim(limit=1, runner=runner, now=LATER - timedelta(microseconds=1)) == []
    assert len(store.claim(limit=1, runner=runner, now=LATER)) == 1


def test_a_claimed_run_is_processing_under_a_lease_of_its_own(store):
    enqueue(store), enqueue(store)
    runner = register(store)

    first, second = claim(store, runner), claim(store, runner)

    assert (first.state, first.attempts, first.runner, first.started_at) == (State.PROCESSING, 1, runner, NOW)
    assert first.execution != second.execution
    assert first.lease != second.lease
    assert store.claim(limit=1, runner=runner, now=NOW) == []


@pytest.mark.parametrize(
    "outcome",
    [
        Exited(0),
        Exited(3),
        Exited(127, "not found"),
        Signalled(9),
        TimedOut(1.5),
        Cancelled(),
        Lost("?"),
        Released(),
    ],
    ids=str,
)
def test_an_attempt_is_kept_as_it_ended(store, outcome):
    enqueue(store)
    run = claim(store)

    finish(store, run, outcome)

    assert store.attempts(run) == [make_attempt(run, outcome)]


def test_an_attempt_that_never_began_is_none(store):
    enqueue(store)
    run = claim(store)

    finish(store, run, Released(began=False))

    assert store.attempts(run) == []


def test_a_failed_run_is_claimed_again_once_its_retry_time_has_come(store):
    enqueue(store)
    finish(store, claim(store), Exited(1))

    assert store.claim(limit=1, runner=register(store), now=NOW + timedelta(seconds=1)) == []
    assert claim(store, now=NOW + timedelta(seconds=2)).attempts == 2


def test_a_lease_settles_once(store):
    enqueue(store)
    run = claim(store)
    finish(store, run, Released())

    assert not store.settle([(run, settle(run, Exited(0), now=NOW, jitter=0), make_attempt(run))])
    assert (store.run(run.id).state, len(store.attempts(run))) == (State.PENDING, 1)


def test_an_end_that_is_told_twice_is_stored_once(store):
    enqueue(store)
    run = claim(store)
    end = (run, settle(run, Exited(1), now=NOW, jitter=0), make_attempt(run, Exited(1)))

    assert store.settle([end, end]) == [end]
    assert (store.run(run.id).state, len(store.attempts(run))) == (State.FAILED, 1)


def test_a_runner_that_lost_its_lease_cannot_settle_the_next_attempt(store):
    enqueue(store)
    lost = claim(store)
    finish(store, lost, Released())
    claim(store)

    assert not store.settle([(lost, settle(lost, Exited(0), now=NOW, jitter=0), make_attempt(lost))])
    assert store.run(lost.id).state is State.PROCESSING


def test_a_change_that_was_decided_on_an_older_state_is_not_stored(store):
    run = enqueue(store)
    claim(store)

    assert not store.change(run, cancel(run, now=NOW))
    assert store.run(run.id).state is State.PROCESSING


def test_a_runner_is_told_which_of_its_attempts_to_stop(store):
    enqueue(store), enqueue(store)
    mine, other = register(store), register(store)
    run = claim(store, mine)
    claim(store, other)

    store.change(run, cancel(run, now=NOW))

    assert (store.stops(mine), store.stops(other)) == ({run.number: Stop.NOW}, {})


def test_a_requeued_run_keeps_its_id_and_is_due_again(store):
    enqueue(store, retries=0)
    dead = finish(store, claim(store), Exited(1))

    store.change(dead, requeue(dead, dead.spec, now=LATER))

    assert claim(store, now=LATER).id == dead.id


def test_only_runs_that_are_still_in_their_state_are_purged(store):
    enqueue(store, retries=0)
    dead = finish(store, claim(store), Exited(1))
    store.change(dead, requeue(dead, dead.spec, now=NOW))

    assert store.purge([dead]) == []
    assert store.run(dead.id).state is State.PENDING


def test_the_next_due_time_is_the_earliest_of_all_priorities(store):
    assert store.next_due() is None
    enqueue(store, priority=9, run_at=LATER)
    enqueue(store, priority=1, run_at=NOW)
    enqueue(store, priority=5, run_at=LATER)

    assert store.next_due() == NOW


def test_every_state_is_counted_through_all_changes(store):
    for _ in range(3):
        enqueue(store, retries=0)
    finish(store, claim(store))
    finish(store, claim(store), Exited(1))
    pending = store.run("r3")
    store.change(pending, cancel(pending, now=NOW))

    assert {state: count for state, count in store.counts().items() if count} == {
        State.COMPLETED: 1,
        State.DEAD: 1,
        State.CANCELLED: 1,
    }


def test_runs_are_listed_newest_first_and_filtered_by_everything_that_is_given(store):
    first, second = enqueue(store, tags=("a",)), enqueue(store, tags=("a", "b"))
    cancelled = store.run(second.id)
    store.change(cancelled, cancel(cancelled, now=NOW))

    def ids(limit=None, **conditions):
        return [run.id for run in store.runs(Selector(**conditions), limit=limit)]

    assert ids() == [second.id, first.id]
    assert ids(limit=1) == [second.id]
    assert ids(tags=("a",)) == [second.id, first.id]
    assert ids(tags=("a",), states=(State.PENDING,)) == [first.id]
    assert ids(tags=("c",)) == []


def test_a_failure_inside_a_transaction_leaves_nothing_behind(store):
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        enqueue(store)
        raise ZeroDivisionError

    assert store.runs() == []


def test_a_runner_is_listed_until_it_stops(store):
    runner = register(store)
    store.beat(runner, now=LATER)
    [found] = store.running_runners()
    store.stop_runner(runner, now=LATER)

    assert (found.id, found.started_at, found.heartbeat_at) == (runner, NOW, LATER)
    assert store.running_runners() == []
