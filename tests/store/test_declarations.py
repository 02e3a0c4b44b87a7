from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.changes import Action
from queuectl.job import State
from queuectl.outcome import Exited
from queuectl.plan import plan
from queuectl.store.archive import Archive
from tests.support.factories import NOW, make_job, make_manifest, make_spec
from tests.support.queue import AUTHOR, claim, declare, enqueue, finish


def states(store):
    return [(run.job, run.state) for run in reversed(store.runs())]


def test_a_declared_job_comes_back_as_it_was_declared(store):
    job = make_job(command=("a", "b"), run_at=NOW, revision=3, max_wait=90.0, env={"A": "b"}, retries=7)

    declare(store, job)

    [stored] = store.stored_jobs(["nightly"])["nightly"]
    assert (stored.job, stored.latest.job, stored.latest.state) == (job, "nightly/backup", State.PENDING)


def test_applying_the_same_twice_writes_nothing(store):
    declare(store, make_job("a"), make_job("b", enabled=False), make_job("c", run_at=NOW))

    again = declare(store, make_job("a"), make_job("b", enabled=False), make_job("c", run_at=NOW))

    assert not again.writes
    assert [apply.number for apply in store.applies()] == [1]


def test_an_apply_is_recorded_with_its_author_and_its_changes(store):
    declare(store, make_job(retries=1))
    declare(store, make_job(retries=2))

    newest = store.applies()[0]
    assert (newest.number, newest.applied_at, newest.author) == (2, NOW, AUTHOR)
    assert newest.changes == [{"action": "update", "job": "nightly/backup", "fields": {"retries": [1, 2]}}]


def test_a_pending_run_takes_the_new_spec_and_its_priority(store):
    declare(store, make_job())
    enqueue(store, priority=5)

    declare(store, make_job(command="new", priority=9))

    assert claim(store).spec == make_spec(command="new", priority=9)


def test_a_running_attempt_keeps_its_spec_and_the_next_takes_the_new_one(store):
    declare(store, make_job(command="old"))
    run = claim(store)

    declare(store, make_job(command="new"))
    finish(store, run, Exited(1))

    assert (run.spec.command, claim(store, now=NOW + timedelta(hours=1)).spec.command) == ("old", "new")


def test_removing_a_job_cancels_its_waiting_run_and_keeps_its_history(store):
    declare(store, make_job("a"), make_job("b"))
    finish(store, claim(store))

    declare(store)

    assert states(store) == [("nightly/a", State.COMPLETED), ("nightly/b", State.CANCELLED)]
    assert store.jobs() == []


def test_a_job_that_comes_back_runs_and_has_its_history(store):
    declare(store, make_job())
    finish(store, claim(store))
    declare(store)

    declare(store, make_job())

    assert states(store) == [("nightly/backup", State.COMPLETED), ("nightly/backup", State.PENDING)]


def test_a_rename_carries_state_and_history_over(store):
    declare(store, make_job("backup"))
    finish(store, claim(store))

    declare(store, make_job("db-backup", renamed_from="backup"))

    assert states(store) == [("nightly/db-backup", State.COMPLETED)]
    assert not declare(store, make_job("db-backup", renamed_from="backup")).writes


def test_a_job_can_be_renamed_to_the_name_of_one_that_was_removed(store):
    declare(store, make_job("a"), make_job("b"))
    declare(store, make_job("a"))

    declare(store, make_job("b", renamed_from="a"))

    assert [stored.job.name for stored in store.jobs()] == ["b"]


def test_a_recurring_job_that_becomes_a_one_shot_before_its_first_slot_runs(store):
    declare(store, make_job(schedule="@daily"))

    declare(store, make_job())

    assert states(store) == [("nightly/backup", State.PENDING)]


def test_applying_no_jobs_writes_nothing(store):
    assert not declare(store).writes
    assert store.applies() == []


def test_only_jobs_of_the_declared_manifest_are_touched(store):
    other = make_manifest(make_job(manifest="weekly"), name="weekly", path="/repo/weekly.toml")
    with store.transaction():
        store.apply(plan([other], {}, {}, now=NOW), author=AUTHOR, now=NOW)

    declare(store, make_job("a"))
    declare(store)

    assert [stored.job.full_name for stored in store.jobs()] == ["weekly/backup"]


def test_a_name_without_jobs_is_free_for_another_file(store):
    declare(store, make_job())
    declare(store)

    assert store.owners() == {}


def test_what_was_missed_is_recorded_as_skipped(store):
    declare(store, make_job(run_at=NOW - timedelta(days=9)))

    [run] = store.runs()
    assert (run.state, run.reason, run.finished_at) == (State.SKIPPED, "missed", NOW)


@pytest.mark.parametrize("state", [State.PENDING, State.PROCESSING, State.FAILED, State.COMPLETED, State.DEAD])
def test_removing_and_declaring_again_converges_whatever_the_run_does(store, state):
    declare(store, make_job(retries=0 if state is State.DEAD else 3))
    if state is not State.PENDING:
        run = claim(store)
        if state is not State.PROCESSING:
            finish(store, run, Exited(0 if state is State.COMPLETED else 1))
    assert store.runs()[0].state is state

    declare(store)
    declare(store, make_job())

    assert not declare(store, make_job()).writes


def test_a_new_occurrence_waits_until_the_run_before_it_is_over(store):
    declare(store, make_job())
    first = claim(store)
    later = NOW + timedelta(hours=1)

    declare(store, make_job(revision=2, run_at=later))
    second = store.runs()[0]
    assert (second.is_held, second.scheduled_at) == (True, later)
    declare(store, make_job(revision=3))
    assert store.run(second.id).is_held
    declare(store, make_job(revision=3, run_at=later))
    finish(store, first)

    assert store.run(second.id).run_at == later
    assert states(store) == [("nightly/backup", State.COMPLETED), ("nightly/backup", State.PENDING)]


def test_a_job_that_comes_back_while_its_last_attempt_runs_waits_for_that(store):
    declare(store, make_job())
    first = claim(store)
    declare(store)

    declare(store, make_job())

    second = store.runs()[0]
    assert second.is_held
    assert finish(store, store.run(first.id), Exited(1)).state is State.CANCELLED
    assert not store.run(second.id).is_held


@pytest.mark.parametrize("after", [(), (make_job(enabled=False),)], ids=["removed", "disabled"])
def test_of_a_one_shot_that_is_not_wanted_any_more_no_run_goes_on(store, after):
    declare(store, make_job(), make_job("other", run_at=NOW + timedelta(days=1)))
    first = claim(store)
    store.trigger(store.job("nightly/backup"), now=NOW)

    declare(store, *after, make_job("other", run_at=NOW + timedelta(days=1)))

    finish(store, store.run(first.id), Exited(1))
    assert [state for job, state in states(store) if job == "nightly/backup"] == [State.CANCELLED] * 2


def test_a_revision_bumped_while_the_job_was_disabled_runs_once_it_is_enabled(store):
    declare(store, make_job())
    finish(store, claim(store))
    declare(store, make_job(enabled=False))
    declare(store, make_job(enabled=False, revision=2))
    declare(store, make_job("db-backup", enabled=False, revision=2, renamed_from="backup"))
    assert len(store.runs()) == 1

    declare(store, make_job("db-backup", revision=2))
    declare(store, make_job("db-backup", revision=2, priority=3))

    assert states(store) == [("nightly/db-backup", State.COMPLETED), ("nightly/db-backup", State.PENDING)]


names = st.sampled_from(["a", "b", "c", "d"])
jobs = st.builds(
    lambda name, command, enabled, revision, hours: make_job(
        name,
        command=command,
        enabled=enabled,
        revision=revision,
        run_at=None if hours is None else NOW + timedelta(hours=hours),
    ),
    names,
    st.sampled_from(["true", "false"]),
    st.booleans(),
    st.integers(1, 2),
    st.sampled_from([None, -48, -1, 1]),
)
manifests = st.lists(jobs, max_size=4, unique_by=lambda job: job.name)


@given(st.lists(manifests, min_size=1, max_size=4))
def test_applying_a_plan_leaves_nothing_to_plan(tmp_path_factory, versions):
    with Archive(tmp_path_factory.mktemp("queue") / "queue.db") as store:
        for version in versions:
            declare(store, *version)
            again = declare(store, *version)

            assert not [change for change in again.changes if change.action is not Action.UNCHANGED]
            assert [stored.job for stored in store.jobs()] == sorted(version, key=lambda job: job.name)
