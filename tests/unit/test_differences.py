from dataclasses import replace

from queuectl.differences import Difference, Subject, differences
from queuectl.job import State
from queuectl.outcome import Exited
from queuectl.spec import Limits
from queuectl.store import Origin, PastAttempt
from tests.support.factories import NOW, make_attempt, make_run, make_spec


def subject(run=None, *, outcome=None, apply=1, host="atlas", **spec):
    run = run or make_run(spec=make_spec(**spec))
    origin = Origin(apply=apply, applied_at=NOW, git_commit=f"commit{apply}", git_dirty=False)
    past = PastAttempt(attempt=make_attempt(run, outcome), spec=run.spec, origin=origin, host=host, pid=1)
    return Subject(run=run, last=past, origin=origin)


def test_what_is_the_same_is_no_difference():
    assert differences(subject(env={"A": "1"}), subject(env={"A": "1"})) == []


def test_a_spec_is_compared_key_by_key_and_an_environment_variable_by_variable():
    a = subject(command="old", env={"A": "1", "B": "2"}, limits=Limits(nice=1), retries=1)
    b = subject(command=("old",), env={"A": "1", "B": "3", "C": "4"}, retries=2)

    assert differences(a, b) == [
        Difference("command", "old", ("old",)),
        Difference("retries", 1, 2),
        Difference("env.B", "2", "3"),
        Difference("limits.nice", 1, None),
        Difference("env.C", None, "4"),
    ]


def test_the_end_the_place_and_the_origin_are_compared():
    good = subject()
    bad = subject(outcome=Exited(3), apply=2, host="borea")
    bad = replace(bad, run=make_run(state=State.DEAD, reason="exit code 3", spec=bad.run.spec, finished_at=NOW))

    assert {each.key: (each.a, each.b) for each in differences(good, bad)} == {
        "state": ("processing", "dead"),
        "reason": (None, "exit code 3"),
        "outcome": ("exit code 0", "exit code 3"),
        "exit_code": (0, 3),
        "host": ("atlas", "borea"),
        "apply": (1, 2),
        "git_commit": ("commit1", "commit2"),
    }


def test_a_run_that_had_no_attempt_is_compared_by_the_spec_it_waits_with():
    waiting = Subject(run=make_run(state=State.PENDING, attempts=0), last=None, origin=None)

    assert ("outcome", "exit code 0", None) in [(each.key, each.a, each.b) for each in differences(subject(), waiting)]
