"""The exit code that a run which is over stands for."""

import pytest

from queuectl.cli.wait import exit_code
from queuectl.job import State
from queuectl.outcome import Cancelled, Exited, Lost, Signalled, TimedOut
from tests.support.factories import make_attempt, make_run


@pytest.mark.parametrize(
    ("state", "outcome", "code"),
    [
        (State.COMPLETED, Exited(0), 0),
        (State.COMPLETED, Exited(3), 3),  # a success by `success_exit_codes`, and still what the command said
        (State.DEAD, Exited(7), 7),
        (State.DEAD, Exited(0), 1),  # no success by `success_exit_codes`: never taken for one
        (State.DEAD, Signalled(9), 137),
        (State.DEAD, TimedOut(5.0), 124),
        (State.DEAD, Lost("its runner died"), 1),
        (State.CANCELLED, Cancelled(), 1),
        (State.CANCELLED, Exited(0), 1),
    ],
    ids=str,
)
def test_a_run_exits_as_its_last_attempt_did(state, outcome, code):
    run = make_run(state=state)

    assert exit_code(run, [make_attempt(run, outcome=Exited(42)), make_attempt(run, outcome=outcome)]) == code


@pytest.mark.parametrize("state", [State.CANCELLED, State.SKIPPED])
def test_a_run_that_never_began_has_failed(state):
    assert exit_code(make_run(state=state), []) == 1
