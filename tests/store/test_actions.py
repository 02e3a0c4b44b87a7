"""What people do to runs and jobs: what is done, what is left alone and why, and the record of it."""

from datetime import timedelta

import pytest

from queuectl import actions
from queuectl.job import HELD, NewRun, State
from queuectl.outcome import Exited
from queuectl.selector import EVERYTHING, Selector
from queuectl.store import Author
from tests.support.factories import NOW, make_job, make_spec
from tests.support.queue import claim, declare, enqueue, finish

ADA = Author(user="ada", host="atlas", channel="cli")
BOB = Author(user="bob", host="atlas", channel="dashboard")
LATER = NOW + timedelta(hours=1)


def die(store, *, now=NOW, **spec):
    """Put a run into the queue that dies at once and return it."""
    enqueue(store, **{"retries": 0, "priority": 9} | spec)
    return finish(store, claim(store, now=now), Exited(1), now=now)


def said(effects):
    return [(effect.id, effect.what) for effect in effects]


def states(store):
    return [(run.id, run.state) for run in reversed(store.runs())]


def test_cancelling_ends_what_waits_and_asks_the_runner_to_end_what_runs(store):
    enqueue(store)
    running = claim(store)
    enqueue(store)

    report = actions.cancel(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    assert said(report.done) == [("r1", "being ended"), ("r2", "cancelled")]
    assert store.run("r2").state is State.CANCELLED
    assert list(store.stops(running.runner)) == [1]


def test_what_ended_meanwhile_is_left_alone(store):
    enqueue(store)
    choices = store.choices(EVERYTHING)
    finish(store, claim(store))

    report = actions.cancel(store, choices, by=ADA, now=LATER)

    assert (said(report.done), said(report.skipped)) == ([], [("r1", "is completed")])


def test_only_what_is_still_in_a_selected_state_is_cancelled(store):
    enqueue(store)
    choices = store.choices(Selector(states=(State.PENDING,)))
    running = claim(store)

    report = actions.cancel(store, choices, states=(State.PENDING,), by=ADA, now=LATER)

    assert said(report.skipped) == [("r1", "is processing")]
    assert not store.stops(running.runner)


@pytest.mark.parametrize("state", [State.DEAD, State.COMPLETED, State.CANCELLED, State.FAILED])
def test_a_retried_run_is_as_new_under_its_id(store, state):
    enqueue(store, retries=0 if state is State.DEAD else 3)
    if state is State.CANCELLED:
        actions.cancel(store, store.choices(EVERYTHING), by=ADA, now=NOW)
    else:
        finish(store, claim(store), Exited(0 if state is State.COMPLETED else 1))

    report = actions.retry(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    run = store.run("r1")
    assert said(report.done) == [("r1", "back in the queue")]
    assert (run.state, run.attempts, run.run_at, run.reason) == (State.PENDING, 0, LATER, None)


def test_what_waits_for_its_first_attempt_or_runs_is_not_retried(store):
    enqueue(store)
    claim(store)
    enqueue(store)

    report = actions.retry(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    assert said(report.skipped) == [("r1", "is processing"), ("r2", "is pending")]


def test_retried_twice_at_once_it_runs_once(store):
    die(store)
    seen_by_ada, seen_by_bob = store.choices(EVERYTHING), store.choices(EVERYTHING)

    actions.retry(store, seen_by_ada, by=ADA, now=LATER)
    finish(store, claim(store, now=LATER), Exited(1), now=LATER)  # dead again, before Bob's turn
    report = actions.retry(store, seen_by_bob, by=BOB, now=LATER)

    assert said(report.skipped) == [("r1", "is dead, changed meanwhile")]
    assert len(store.attempts(store.run("r1"))) == 2


def test_a_retried_run_takes_its_jobs_present_spec_unless_it_is_to_keep_its_own(store):
    declare(store, make_job(command="false", retries=0))
    finish(store, claim(store), Exited(1))
    declare(store, make_job(command="false", retries=0, description="new"))
    new, old = make_spec(command="false", retries=0, description="new"), make_spec(command="false", retries=0)
    choices = store.choices(EVERYTHING)

    actions.retry(store, choices, by=ADA, now=LATER, original_spec=True)
    assert store.run("r1").spec == old

    finish(store, claim(store, now=LATER), Exited(1), now=LATER)
    actions.retry(store, store.choices(EVERYTHING), by=ADA, now=LATER)
    assert store.run("r1").spec == new


def test_the_run_of_a_removed_job_keeps_its_spec(store):
    declare(store, make_job(command="false", retries=0))
    finish(store, claim(store), Exited(1))
    declare(store)

    actions.retry(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    assert store.run("r1").spec == make_spec(command="false", retries=0)


def test_retried_runs_keep_their_order_and_are_due_one_after_the_other(store):
    for _ in range(3):
        die(store)

    actions.retry(store, store.choices(EVERYTHING), by=ADA, now=LATER, pace=timedelta(seconds=6))

    assert [run.run_at - LATER for run in reversed(store.runs())] == [timedelta(seconds=6 * n) for n in range(3)]


def test_runs_of_a_job_that_must_not_overlap_wait_for_each_other(store):
    job = make_job(command="false", retries=0)
    declare(store, job)
    finish(store, claim(store), Exited(1))
    for _ in range(2):
        store.trigger(store.job("nightly/backup"), now=NOW)
        finish(store, claim(store), Exited(1))

    actions.retry(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    assert [run.run_at for run in reversed(store.runs())] == [LATER, HELD, HELD]
    finish(store, claim(store, now=LATER), now=LATER)
    assert [run.is_held for run in reversed(store.runs())] == [False, False, True]


def test_purging_deletes_what_is_over_and_what_it_wrote(store, tmp_path):
    die(store)
    running = enqueue(store)
    claim(store)

    report = actions.purge(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    assert (said(report.done), said(report.skipped)) == ([("r1", "deleted")], [("r2", "is processing")])
    assert states(store) == [(running.id, State.PROCESSING)]


def test_what_is_gone_or_was_retried_meanwhile_is_not_purged(store):
    die(store)
    die(store)
    choices = store.choices(EVERYTHING)
    actions.purge(store, choices[:1], by=BOB, now=LATER)
    actions.retry(store, choices[1:], by=BOB, now=LATER)

    report = actions.purge(store, choices, by=ADA, now=LATER)

    assert said(report.skipped) == [("r2", "is pending, changed meanwhile"), ("run number 1", "is gone")]


def test_what_was_done_is_recorded_with_who_did_it(store):
    declare(store, make_job())
    run = store.run("r1")
    actions.cancel(store, store.choices(EVERYTHING), by=ADA, now=NOW, detail="--all")
    actions.retry(store, store.choices(EVERYTHING), by=BOB, now=LATER)
    [triggered] = actions.trigger(store, ["nightly/backup"], by=BOB, now=LATER)
    actions.pause(store, "nightly", until=None, reason="holiday", by=ADA, now=LATER)
    actions.resume(store, "nightly", by=BOB, now=LATER)
    actions.resume(store, "nightly", by=BOB, now=LATER)  # not paused: nothing is done

    assert [(each.at, each.act, each.by, each.channel, each.detail) for each in store.interventions(run)] == [
        (NOW, "cancel", "ada@atlas", "cli", "--all"),
        (LATER, "retry", "bob@atlas", "dashboard", None),
    ]
    assert [each.by for each in store.interventions(triggered)] == ["bob@atlas"]
    [pause] = store.pauses(since=NOW)
    assert (pause.by, pause.ended_by, pause.reason) == ("ada@atlas", "bob@atlas", "holiday")


def test_who_deleted_how_many_runs_is_recorded(store):
    die(store)
    die(store)

    actions.purge(store, store.choices(EVERYTHING), by=BOB, now=LATER, detail="--state dead")

    rows = store._execute("SELECT user, host, channel, runs, detail FROM purges")
    assert rows == [("bob", "atlas", "dashboard", 2, "--state dead")]


def test_a_hundred_thousand_runs_are_changed_in_short_transactions_with_pauses_between_them(store, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    store.enqueue([NewRun(spec=make_spec(), run_at=NOW)] * 100_000, now=NOW)

    report = actions.cancel(store, store.choices(EVERYTHING), by=ADA, now=LATER)

    assert len(report.done) == store.counts()[State.CANCELLED] == 100_000
    assert len(pauses) == 499


def test_each_commit_is_told_of(store):
    store.enqueue([NewRun(spec=make_spec(), run_at=NOW)] * 450, now=NOW)
    parts = []

    actions.cancel(store, store.choices(EVERYTHING), by=ADA, now=LATER, tell=lambda part: parts.append(len(part.done)))

    assert parts == [200, 200, 50]
    assert store.counts()[State.CANCELLED] == 450
