from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.job import State, Stop
from queuectl.lifecycle import cancel, miss, refresh, requeue, reschedule, settle, withdraw
from queuectl.outcome import Cancelled, Exited, Lost, Released, Signalled, TimedOut
from queuectl.spec import OnInterrupt
from tests.support.factories import NOW, make_run, make_spec

LATER = NOW + timedelta(minutes=5)
FAILURES = [Exited(1), Exited(127, "not found"), Signalled(9), TimedOut(60)]
LOST = Lost("its worker was killed")

outcomes = st.one_of(
    st.builds(Exited, st.integers(0, 255)),
    st.builds(Signalled, st.integers(1, 64)),
    st.builds(TimedOut, st.floats(1, 100)),
    st.just(Cancelled()),
    st.just(Lost("power cut")),
    st.builds(Released, st.booleans()),
)


def settled(run, outcome):
    return settle(run, outcome, now=LATER, jitter=0)


def test_exit_code_0_completes_a_run():
    after = settled(make_run(), Exited(0))

    assert (after.state, after.reason, after.finished_at) == (State.COMPLETED, None, LATER)


def test_a_job_names_the_exit_codes_that_mean_success():
    run = make_run(spec=make_spec(success_exit_codes=(0, 3)))

    assert settled(run, Exited(3)).state is State.COMPLETED


def test_a_command_that_could_not_start_never_counts_as_success():
    run = make_run(spec=make_spec(success_exit_codes=(127,)))

    assert settled(run, Exited(127, "cannot start `x`: not found")).state is State.FAILED


@pytest.mark.parametrize("outcome", FAILURES, ids=str)
def test_a_failed_attempt_is_retried_after_its_delay(outcome):
    after = settled(make_run(attempt=2), outcome)

    assert (after.state, after.run_at, after.attempts) == (State.FAILED, LATER + timedelta(seconds=4), 2)
    assert after.reason == str(outcome)


@pytest.mark.parametrize("outcome", FAILURES, ids=str)
def test_the_last_attempt_that_fails_leaves_the_run_dead(outcome):
    after = settled(make_run(attempt=4, retries=3), outcome)

    assert (after.state, after.finished_at, after.reason) == (State.DEAD, LATER, str(outcome))


def test_an_exit_code_that_a_retry_cannot_help_leads_straight_to_the_dead_letter_queue():
    after = settled(make_run(attempt=1, fail_on_exit_codes=(2,)), Exited(2))

    assert (after.state, after.reason) == (State.DEAD, "exit code 2: a retry cannot help")


def test_a_released_run_keeps_its_attempt():
    after = settled(make_run(attempt=4, retries=3), Released())

    assert (after.state, after.attempts, after.run_at, after.finished_at) == (State.PENDING, 3, NOW, None)


def test_a_cancelled_attempt_is_not_retried():
    assert settled(make_run(), Cancelled()).state is State.CANCELLED


@pytest.mark.parametrize("stop", list(Stop))
@pytest.mark.parametrize("outcome", [*FAILURES, LOST, Released()], ids=str)
def test_a_run_that_nobody_wants_any_more_is_not_retried(stop, outcome):
    assert settled(make_run(stop=stop), outcome).state is State.CANCELLED


@pytest.mark.parametrize("stop", list(Stop))
def test_an_attempt_that_succeeds_in_spite_of_being_stopped_completes_the_run(stop):
    assert settled(make_run(stop=stop), Exited(0)).state is State.COMPLETED


def test_cancelling_a_waiting_run_ends_it():
    after = cancel(make_run(state=State.PENDING), now=LATER)

    assert (after.state, after.finished_at) == (State.CANCELLED, LATER)


def test_cancelling_a_running_run_asks_its_runner_to_end_it():
    after = cancel(make_run(), now=LATER)

    assert (after.state, after.stop, after.lease) == (State.PROCESSING, Stop.NOW, 7)


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
def test_cancelling_or_withdrawing_a_finished_run_changes_nothing(state):
    run = make_run(state=state, finished_at=NOW)

    assert cancel(run, now=LATER) == withdraw(run, now=LATER) == run


def test_withdrawing_a_running_run_lets_its_attempt_finish():
    assert withdraw(make_run(), now=LATER).stop is Stop.AFTER_ATTEMPT


def test_withdrawing_does_not_take_back_a_cancel():
    assert withdraw(make_run(stop=Stop.NOW), now=LATER).stop is Stop.NOW


def test_a_requeued_run_has_all_its_attempts_before_it():
    spec = make_spec(command="new")
    after = requeue(make_run(state=State.DEAD, attempt=4, reason="exit code 1", finished_at=NOW), spec, now=LATER)

    assert (after.state, after.attempts, after.run_at, after.finished_at) == (State.PENDING, 0, LATER, None)
    assert (after.spec, after.reason, after.started_at) == (spec, None, None)


def test_a_refreshed_run_takes_the_new_spec_and_keeps_its_time():
    after = refresh(make_run(state=State.FAILED), make_spec(command="new"), now=LATER)

    assert (after.spec.command, after.run_at, after.state) == ("new", NOW, State.FAILED)


def test_a_run_that_its_manifest_wants_again_is_not_withdrawn_any_more():
    assert refresh(make_run(stop=Stop.AFTER_ATTEMPT), make_spec(), now=LATER).stop is None
    assert refresh(make_run(stop=Stop.NOW), make_spec(), now=LATER).stop is Stop.NOW


def test_a_rescheduled_run_is_another_occurrence():
    after = reschedule(make_run(state=State.FAILED, attempt=2), make_spec(), run_at=LATER, now=NOW)

    assert (after.state, after.attempts, after.run_at, after.scheduled_at) == (State.PENDING, 0, LATER, LATER)


def test_a_missed_run_is_skipped_with_its_reason():
    after = miss(make_run(state=State.PENDING), now=LATER)

    assert (after.state, after.reason, after.finished_at) == (State.SKIPPED, "missed", LATER)


def test_a_lost_attempt_is_an_interruption_and_not_charged():
    after = settled(make_run(attempt=4, retries=3, interruptions=1), LOST)

    assert (after.state, after.attempts, after.interruptions) == (State.FAILED, 3, 2)
    assert (after.run_at, after.reason) == (LATER + timedelta(seconds=4), "lost: its worker was killed")


def test_a_run_that_was_lost_too_often_is_poison():
    after = settled(make_run(interruptions=4), LOST)

    assert (after.state, after.attempts, after.interruptions) == (State.DEAD, 0, 5)
    assert after.reason == "poison: 5 attempts lost; the last: its worker was killed"


@pytest.mark.parametrize(
    "spec", [make_spec(retries=0), make_spec(on_interrupt=OnInterrupt.FAIL)], ids=["retries", "key"]
)
@pytest.mark.parametrize("outcome", [LOST, Released()], ids=str)
def test_a_run_that_must_run_at_most_once_is_dead_when_its_attempt_was_interrupted(spec, outcome):
    after = settled(make_run(spec=spec), outcome)

    assert (after.state, after.reason) == (State.DEAD, f"{outcome}: it must not run twice")


def test_a_requeued_run_has_no_interruptions_behind_it():
    run = make_run(state=State.DEAD, interruptions=5, finished_at=NOW)

    assert requeue(run, run.spec, now=LATER).interruptions == 0


def test_without_retries_a_command_that_was_begun_never_begins_again():
    assert settled(make_run(retries=0), Released()).state is State.DEAD
    assert settled(make_run(retries=0), Released(began=False)).state is State.PENDING


@given(st.integers(0, 20), st.lists(outcomes, min_size=40, max_size=40), st.floats(0, 1, exclude_max=True))
def test_no_run_is_attempted_more_often_than_its_policy_allows(retries, ends, jitter):
    run = make_run(attempt=0, state=State.PENDING, retries=retries)
    charged = 0
    for outcome in ends:
        if not run.state.is_waiting:
            break
        running = make_run(spec=run.spec, attempt=run.attempts + 1, interruptions=run.interruptions)
        run = settle(running, outcome, now=NOW, jitter=jitter)
        charged += not isinstance(outcome, Released | Lost)

    assert charged <= retries + 1


@given(outcomes, st.integers(1, 4), st.sampled_from([None, *Stop]))
def test_finished_at_is_set_exactly_in_final_states(outcome, attempt, stop):
    after = settled(make_run(attempt=attempt, stop=stop), outcome)

    assert (after.finished_at is not None) == after.state.is_final
    assert (after.lease, after.runner, after.stop) == (None, None, None)
