from datetime import timedelta

from queuectl.hook import Hook, Trigger
from queuectl.job import Attempt
from queuectl.lifecycle import settle
from queuectl.outcome import Exited, Released
from queuectl.store import Fate
from tests.support.factories import NOW, make_attempt
from tests.support.queue import claim, enqueue, finish, register

DEAD = Hook(command=("notify", "me"), timeout=10.0, retries=1)
SECOND = timedelta(seconds=1)


def call(store, hook=DEAD, *, now=NOW):
    """Let a run die that has a hook, and return it."""
    enqueue(store, retries=0, on_dead=hook)
    return finish(store, claim(store, now=now), Exited(1), now=now)


def take(store, *, now=NOW, limit=9):
    return store.claim_hooks(limit=limit, runner=register(store), now=now)


def end(store, errand, fate, *, now=NOW, due_at=NOW):
    return store.settle_hook(
        errand, fate=fate, failures=errand.failures + 1, due_at=due_at, detail="exit code 1", output="oh", now=now
    )


def test_a_hook_is_called_in_the_transaction_that_settles(store):
    run = call(store)

    [found] = store.hooks(run)
    assert (found.trigger, found.hook, found.fate, found.tries) == (Trigger.ON_DEAD, DEAD, None, 0)
    assert store.next_hook() == NOW


def test_what_changes_nothing_calls_nothing(store):
    enqueue(store, retries=0, on_dead=DEAD)
    run = claim(store)
    stale = Attempt(**{**make_attempt(run, Exited(1)).__dict__, "lease": 99})
    store.settle([(finish(store, run, Released(began=False)), settle(run, Exited(1), now=NOW, jitter=0), stale)])

    assert store.next_hook() is None


def test_a_courier_takes_what_is_due_longest_and_nobody_else_does(store):
    late, early = call(store, now=NOW + SECOND), call(store)

    [first] = take(store, limit=1, now=NOW + SECOND)
    [second] = take(store, now=NOW + SECOND)

    assert (first.facts["run"], second.facts["run"]) == (early.id, late.id)
    assert (first.hook, first.shell, first.tries) == (DEAD, ("/bin/sh", "-c"), 1)
    assert take(store, now=NOW + SECOND) == []


def test_a_hook_of_which_nothing_was_heard_is_due_again_and_the_late_word_counts_for_nothing(store):
    call(store)
    [lost] = take(store)
    [again] = take(store, now=NOW + timedelta(seconds=DEAD.timeout + 30))

    assert (again.id, again.tries) == (lost.id, 2)
    assert not end(store, lost, Fate.DELIVERED)
    assert end(store, again, Fate.DELIVERED)


def test_a_hook_that_failed_is_due_again_later_and_one_that_ended_never(store):
    run = call(store)
    [errand] = take(store)
    end(store, errand, None, due_at=NOW + SECOND)

    assert take(store) == []
    [again] = take(store, now=NOW + SECOND)
    assert again.failures == 1
    end(store, again, Fate.FAILED)
    [found] = store.hooks(run)
    assert (found.fate, found.detail, found.output, found.tries) == (Fate.FAILED, "exit code 1", "oh", 2)
    assert store.next_hook() is None
    assert store.waiting_hooks() == 0


def test_a_try_that_was_cut_short_gives_its_number_back(store):
    run = call(store)
    [errand] = take(store)
    store.settle_hook(
        errand, fate=None, failures=0, due_at=NOW, detail="cut short", output="", now=NOW, is_given_back=True
    )

    assert store.hooks(run)[0].tries == 0
    [again] = take(store)
    assert again.tries == 1


def test_what_the_courier_of_a_dead_runner_had_is_due_within_seconds(store):
    call(store)
    runner = register(store)
    store.claim_hooks(limit=1, runner=runner, now=NOW)
    store.hurry_hooks(runner, now=NOW)

    assert take(store, now=NOW + 6 * SECOND) == []
    assert len(take(store, now=NOW + 7 * SECOND)) == 1


def test_a_purge_takes_the_hooks_of_a_run_along(store):
    store.purge([call(store)])

    assert store.next_hook() is None


def test_each_attempt_calls_its_own(store):
    enqueue(store, retries=1, retry_delay=0.0, on_failure=DEAD)
    for _ in range(2):
        run = finish(store, claim(store), Exited(1))

    assert [each.trigger for each in store.hooks(run)] == [Trigger.ON_FAILURE, Trigger.ON_FAILURE]
