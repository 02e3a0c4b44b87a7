"""What an attempt ran with, and which apply that came from."""

from datetime import timedelta

from queuectl.lifecycle import requeue
from queuectl.outcome import Exited, Released
from queuectl.plan import plan
from queuectl.slots import first_slot
from queuectl.store import Author, Origin
from tests.support.factories import NOW, make_job, make_manifest, make_spec
from tests.support.queue import claim, declare, enqueue, finish

LATER = NOW + timedelta(hours=1)


def ran_with(store, run):
    """Return the command and the apply of each attempt."""
    return [(past.spec.command, past.origin and past.origin.apply) for past in store.past_attempts(run)]


def test_an_attempt_has_its_spec_its_runner_and_the_commit_that_it_came_from(store):
    manifest = make_manifest(make_job(command="old"))
    with store.transaction():
        found = plan([manifest], {}, {}, now=NOW, first_slot=first_slot)
        store.apply(found, author=Author(user="ada", host="atlas", git_commit="c0ffee", git_dirty=True), now=NOW)
    run = finish(store, claim(store), Exited(1))

    [past] = store.past_attempts(run)

    assert (past.attempt, past.spec, past.host, past.pid) == (
        store.attempts(run)[0],
        make_spec(command="old"),
        "atlas",
        1,
    )
    assert past.origin == Origin(apply=1, applied_at=NOW, git_commit="c0ffee", git_dirty=True) == store.origin(run)


def test_each_attempt_keeps_the_spec_it_ran_with(store):
    declare(store, make_job(command="one"))
    run = claim(store)
    declare(store, make_job(command="two"))  # the attempt under way keeps its own
    finish(store, run, Exited(1))
    declare(store, make_job(command="three"))  # before any attempt had it
    declare(store, make_job(command="four"))
    run = finish(store, claim(store, now=LATER), Exited(1), now=LATER)

    assert ran_with(store, run) == [("one", 1), ("four", 4)]
    assert store.origin(run).apply == 4


def test_an_apply_that_leaves_the_spec_alone_is_not_where_it_came_from(store):
    declare(store, make_job())
    declare(store, make_job(revision=2))

    assert store.origin(store.runs()[0]).apply == 1


def test_what_is_declared_again_comes_from_that_apply(store):
    declare(store, make_job())
    declare(store)
    declare(store, make_job())

    assert [store.origin(run).apply for run in store.runs()] == [3, 1]


def test_a_run_that_is_requeued_with_another_spec_keeps_that_of_its_attempts(store):
    run = enqueue(store, command="old", retries=0)
    dead = finish(store, claim(store), Exited(1))
    new = make_spec(command="new", retries=0)
    store.change(dead, requeue(dead, new, now=NOW))
    run = finish(store, claim(store), Exited(1))

    assert (ran_with(store, run), store.origin(run)) == ([("old", None), ("new", None)], None)


def test_a_spec_that_no_attempt_ran_with_is_not_kept(store):
    declare(store, make_job(command="one"))
    declare(store, make_job(command="two"))
    finish(store, claim(store), Released(began=False))
    declare(store, make_job(command="three"))

    assert store._execute("SELECT count(*) FROM former_specs") == [(0,)]


def test_a_purged_run_leaves_no_specs(store):
    declare(store, make_job(command="one", retries=0))
    finish(store, claim(store), Exited(1))
    declare(store, make_job(command="two"))
    assert store._execute("SELECT count(*) FROM former_specs") == [(1,)]
    [run] = store.runs()

    store.purge([run])

    assert store._execute("SELECT count(*) FROM former_specs") == [(0,)]
