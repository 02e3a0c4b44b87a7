from dataclasses import replace
from datetime import timedelta

import pytest

from queuectl.changes import Action, FieldChange
from queuectl.errors import OwnedElsewhere, RemovalRefused
from queuectl.job import HELD, NewRun, State, Stop
from queuectl.plan import plan, refused
from tests.support.factories import NOW, make_job, make_manifest, make_spec, make_stored

PATH = "/repo/nightly.toml"


def planned(declared, stored, *, prune=True):
    """Return the changes for one manifest that owns its name already."""
    found = plan([make_manifest(*declared)], {"nightly": stored}, {"nightly": PATH}, now=NOW, prune=prune)
    return list(found.changes)


def only(declared, stored):
    [change] = planned(declared, stored)
    return change


def test_a_new_job_is_created_and_runs_now():
    change = only([make_job()], [])

    assert (change.action, change.new_run, change.note) == (
        Action.CREATE,
        NewRun(spec=make_spec(), run_at=NOW),
        "runs now",
    )


def test_a_new_job_with_a_time_to_come_waits_for_it():
    change = only([make_job(run_at=NOW + timedelta(hours=1))], [])

    assert (change.new_run.run_at, change.note) == (NOW + timedelta(hours=1), "runs at 2026-12-01 03:00:00 UTC")


def test_a_one_shot_that_is_a_little_late_runs_now_with_a_warning():
    change = only([make_job(run_at=NOW - timedelta(minutes=7))], [])

    assert (change.new_run.state, change.warning) == (State.PENDING, "runs now, 7m late")


@pytest.mark.parametrize("late", [timedelta(hours=24), timedelta(days=700)])
def test_a_one_shot_that_is_a_day_late_is_recorded_as_missed(late):
    change = only([make_job(run_at=NOW - late)], [])

    assert (change.new_run.state, change.new_run.reason) == (State.SKIPPED, "missed")


def test_a_disabled_job_is_stored_and_not_run():
    change = only([make_job(enabled=False)], [])

    assert (change.action, change.new_run, change.note) == (Action.CREATE, None, "disabled, will not run")


def test_another_limit_of_the_wait_is_shown_and_runs_nothing():
    change = only([make_job(max_wait=60.0)], [make_stored(make_job())])

    assert (change.fields, change.new_run) == ((FieldChange(key="max_wait", old=None, new=60.0),), None)


@pytest.mark.parametrize("state", list(State))
def test_what_is_declared_as_it_is_stored_changes_nothing(state):
    found = plan([make_manifest(make_job())], {"nightly": [make_stored(make_job(), state)]}, {"nightly": PATH}, now=NOW)

    assert [change.action for change in found.changes] == [Action.UNCHANGED]
    assert not found.writes


@pytest.mark.parametrize(("owners", "writes"), [({}, False), ({"nightly": "/repo/nightly.toml"}, True)])
def test_a_manifest_without_jobs_writes_only_to_give_its_name_back(owners, writes):
    assert plan([make_manifest()], {}, owners, now=NOW).writes is writes


def test_a_changed_field_is_shown_from_old_to_new():
    change = only([make_job(retries=5)], [make_stored(make_job(retries=2))])

    assert (change.action, change.fields) == (Action.UPDATE, (FieldChange(key="retries", old=2, new=5),))


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_a_waiting_run_takes_the_new_spec(state):
    change = only([make_job(command="new")], [make_stored(make_job(), state)])

    assert (change.changed_run.spec.command, change.changed_run.state, change.changed_run.run_at) == ("new", state, NOW)


def test_a_running_attempt_keeps_its_spec_and_the_next_takes_the_new_one():
    change = only([make_job(command="new")], [make_stored(make_job(), State.PROCESSING)])

    assert (change.changed_run.spec.command, change.changed_run.state) == ("new", State.PROCESSING)
    assert change.note == "running: this attempt keeps its spec, the next takes the new one"


def test_a_completed_one_shot_does_not_run_again_because_it_was_edited():
    change = only([make_job(command="new")], [make_stored(make_job())])

    assert (change.action, change.new_run, change.changed_run) == (Action.UPDATE, None, None)
    assert change.note == "(completed; will not run again)"


@pytest.mark.parametrize("change", [{"revision": 2}, {"run_at": NOW + timedelta(hours=1)}], ids=str)
@pytest.mark.parametrize("state", [State.COMPLETED, State.DEAD, State.CANCELLED, State.SKIPPED, State.PROCESSING])
def test_a_new_revision_or_time_is_a_new_occurrence(change, state):
    found = only([make_job(**change)], [make_stored(make_job(), state)])

    assert found.new_run is not None
    assert (found.note == "running: a new run waits until it is over") is (state is State.PROCESSING)


def test_a_pending_run_moves_to_the_new_time():
    later = NOW + timedelta(hours=1)
    change = only([make_job(run_at=later)], [make_stored(make_job(), State.PENDING)])

    assert (change.new_run, change.changed_run.run_at, change.changed_run.scheduled_at) == (None, later, later)


def test_a_run_that_waits_for_a_retry_becomes_the_new_occurrence():
    change = only([make_job(revision=2)], [make_stored(make_job(), State.FAILED, attempt=2)])

    assert (change.new_run, change.changed_run.state, change.changed_run.attempts) == (None, State.PENDING, 0)


def test_a_run_that_waits_for_the_one_before_still_does_when_it_becomes_the_new_occurrence():
    later = NOW + timedelta(hours=1)
    change = only([make_job(run_at=later)], [make_stored(make_job(), State.PENDING, run_at=HELD)])

    assert (change.changed_run.run_at, change.changed_run.scheduled_at) == (HELD, later)


@pytest.mark.parametrize("stored", [None, make_job(enabled=False), make_job()], ids=["new", "disabled", "enabled"])
def test_a_disabled_one_shot_owes_the_run_of_an_occurrence_that_never_ran(stored):
    change = only([make_job(enabled=False, revision=2)], [make_stored(stored)] if stored else [])

    assert (change.owes_run, change.new_run) == (True, None)


def test_what_was_owed_while_a_job_was_disabled_runs_when_it_is_enabled():
    owing = replace(make_stored(make_job(enabled=False, revision=2)), owes_run=True)

    edited = only([make_job(enabled=False, revision=2, priority=3)], [owing])
    enabled = only([make_job(revision=2)], [owing])

    assert (edited.owes_run, edited.new_run) == (True, None)
    assert (enabled.owes_run, enabled.new_run) == (False, NewRun(spec=make_spec(), run_at=NOW))


def test_a_job_that_is_mended_and_disabled_at_once_does_not_run():
    change = only([make_job(enabled=False, command="new")], [make_stored(make_job(), State.DEAD)])

    assert (change.new_run, change.changed_run) == (None, None)


def test_a_pending_run_that_moves_far_into_the_past_is_missed():
    change = only([make_job(run_at=NOW - timedelta(days=9))], [make_stored(make_job(), State.PENDING)])

    assert (change.new_run, change.changed_run.state) == (None, State.SKIPPED)


def test_a_dead_one_shot_that_is_unchanged_is_said_to_be_dead():
    change = only([make_job()], [make_stored(make_job(), State.DEAD)])

    assert (change.action, change.note) == (Action.UNCHANGED, "(dead)")


@pytest.mark.parametrize(
    "cure",
    [{"command": "new"}, {"shell": ("bash", "-c")}, {"cwd": "/srv"}, {"env": {"A": "b"}}, {"timeout": 60.0}],
    ids=str,
)
def test_a_dead_run_goes_again_when_what_may_have_killed_it_changed(cure):
    change = only([make_job(**cure)], [make_stored(make_job(), State.DEAD, attempt=4)])

    assert (change.changed_run.state, change.changed_run.attempts) == (State.PENDING, 0)


@pytest.mark.parametrize("edit", [{"description": "new"}, {"priority": 9}, {"retries": 9}, {"tags": ("a",)}], ids=str)
def test_a_dead_run_stays_dead_when_something_else_changed(edit):
    change = only([make_job(**edit)], [make_stored(make_job(), State.DEAD)])

    assert (change.action, change.changed_run) == (Action.UPDATE, None)


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_a_removed_job_s_waiting_run_is_cancelled(state):
    change = only([], [make_stored(make_job(), state)])

    assert (change.action, change.changed_run.state) == (Action.REMOVE, State.CANCELLED)


def test_a_removed_job_s_running_attempt_finishes():
    change = only([], [make_stored(make_job(), State.PROCESSING)])

    assert (change.changed_run.state, change.changed_run.stop) == (State.PROCESSING, Stop.AFTER_ATTEMPT)


def test_without_pruning_a_job_that_is_not_declared_stays():
    assert planned([], [make_stored(make_job())], prune=False) == []


def test_disabling_a_job_withdraws_its_waiting_run():
    change = only([make_job(enabled=False)], [make_stored(make_job(), State.PENDING)])

    assert (change.action, change.changed_run.state) == (Action.UPDATE, State.CANCELLED)


def test_enabling_a_job_again_runs_what_was_withdrawn():
    change = only([make_job()], [make_stored(make_job(enabled=False), State.CANCELLED)])

    assert change.new_run == NewRun(spec=make_spec(), run_at=NOW)


def test_enabling_a_job_that_completed_does_not_run_it_again():
    change = only([make_job()], [make_stored(make_job(enabled=False), State.COMPLETED)])

    assert change.new_run is None


def test_a_renamed_job_keeps_its_run():
    stored = make_stored(make_job("backup"))
    change = only([make_job("db-backup", renamed_from="backup")], [stored])

    assert (change.action, change.stored, change.new_run, change.fields) == (Action.RENAME, stored, None, ())


def test_a_job_that_was_renamed_long_ago_is_unchanged():
    job = make_job("db-backup", renamed_from="backup")

    assert only([job], [make_stored(make_job("db-backup"))]).action is Action.UNCHANGED


def test_a_manifest_name_that_another_file_owns_is_refused_without_adopting_it():
    found = plan([make_manifest(make_job())], {}, {"nightly": "/elsewhere.toml"}, now=NOW)

    refusal = refused(found, allow_remove=0, adopt=False)
    assert isinstance(refusal, OwnedElsewhere)
    assert "`/repo/nightly.toml` belongs to `/elsewhere.toml`" in str(refusal)
    assert refused(found, allow_remove=0, adopt=True) is None


@pytest.mark.parametrize(("before", "after"), [(1, 0), (4, 0), (9, 4)])
def test_losing_most_jobs_is_refused_without_saying_how_many(before, after):
    jobs = [make_job(f"job-{number}") for number in range(before)]
    found = plan(
        [make_manifest(*jobs[:after])], {"nightly": [make_stored(job) for job in jobs]}, {"nightly": PATH}, now=NOW
    )

    assert isinstance(refused(found, allow_remove=before - after - 1, adopt=False), RemovalRefused)
    assert refused(found, allow_remove=before - after, adopt=False) is None


@pytest.mark.parametrize(("before", "after"), [(2, 1), (6, 2), (10, 5)])
def test_losing_a_few_jobs_is_allowed(before, after):
    jobs = [make_job(f"job-{number}") for number in range(before)]
    found = plan(
        [make_manifest(*jobs[:after])], {"nightly": [make_stored(job) for job in jobs]}, {"nightly": PATH}, now=NOW
    )

    assert refused(found, allow_remove=0, adopt=False) is None
