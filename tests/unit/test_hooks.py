from datetime import timedelta

import pytest

from queuectl.courier import after
from queuectl.delivery import Delivery
from queuectl.hook import Hook, Trigger
from queuectl.hook_rules import hook
from queuectl.hooks import called, facts, variables
from queuectl.job import State
from queuectl.lifecycle import settle
from queuectl.outcome import Cancelled, Exited, Lost, Released, TimedOut
from queuectl.rules import Refused
from queuectl.spec import JobSpec
from queuectl.store import Errand, Fate
from tests.support.factories import NOW, make_attempt, make_run, make_spec

SUCCESS, FAILURE, DEAD = Hook(command="s"), Hook(command="f"), Hook(command="d")
ALL = {"on_success": SUCCESS, "on_failure": FAILURE, "on_dead": DEAD}


def after_attempt(outcome, *, retries=1, **hooks):
    run = make_run(spec=make_spec(retries=retries, **hooks))
    return called(settle(run, outcome, now=NOW, jitter=0))


@pytest.mark.parametrize(
    ("outcome", "retries", "found"),
    [
        (Exited(0), 1, (Trigger.ON_SUCCESS, SUCCESS)),
        (Exited(1), 1, (Trigger.ON_FAILURE, FAILURE)),
        (Lost("x"), 1, (Trigger.ON_FAILURE, FAILURE)),
        (TimedOut(1), 0, (Trigger.ON_DEAD, DEAD)),
        (Released(), 0, (Trigger.ON_DEAD, DEAD)),
        (Released(), 1, None),
        (Released(began=False), 1, None),
        (Cancelled(), 1, None),
    ],
)
def test_the_end_of_an_attempt_calls_at_most_one_hook(outcome, retries, found):
    assert after_attempt(outcome, retries=retries, **ALL) == found


def test_a_run_that_died_calls_on_failure_if_there_is_no_on_dead():
    assert after_attempt(Exited(1), retries=0, on_failure=FAILURE) == (Trigger.ON_FAILURE, FAILURE)


@pytest.mark.parametrize("outcome", [Exited(0), Exited(1), TimedOut(1)])
def test_a_job_without_hooks_calls_none(outcome):
    assert after_attempt(outcome) is None


def test_a_hook_is_told_what_there_is_to_know():
    run = make_run(attempt=2, job="nightly/backup", spec=make_spec(retries=3))
    then = settle(run, Exited(3), now=NOW, jitter=0)

    told = facts(Trigger.ON_FAILURE, run, then, make_attempt(run, Exited(3), seconds=1.5))

    assert told == {
        "id": "1.7",
        "hook": "on_failure",
        "run": "r1",
        "job": "nightly/backup",
        "manifest": "nightly",
        "state": "failed",
        "attempt": 2,
        "max_attempts": 4,
        "outcome": "exited",
        "exit_code": 3,
        "signal": None,
        "reason": "exit code 3",
        "scheduled_at": "2026-12-01T02:00:00.000Z",
        "started_at": "2026-12-01T02:00:00.000Z",
        "finished_at": "2026-12-01T02:00:01.500Z",
        "seconds": 1.5,
        "next_attempt_at": "2026-12-01T02:00:04.000Z",
    }
    given = variables(told)
    assert (given["QUEUECTL_JOB"], given["QUEUECTL_MANIFEST"]) == ("backup", "nightly")
    assert (given["QUEUECTL_EXIT_CODE"], given["QUEUECTL_SIGNAL"], given["QUEUECTL_HOOK_ID"]) == ("3", "", "1.7")


def test_a_spec_with_hooks_comes_back_as_it_was_stored():
    spec = make_spec(on_success=Hook(command=("a", "b")), on_dead=Hook(url="https://a.example/b", retries=2, timeout=5))

    assert JobSpec.from_dict(spec.to_dict()) == spec
    assert "on_failure" not in spec.to_dict()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("echo hi", Hook(command="echo hi")),
        (["echo", "hi"], Hook(command=("echo", "hi"))),
        ({"command": "echo", "timeout": "5s", "retries": 2}, Hook(command="echo", timeout=5.0, retries=2)),
        ({"url": "https://example.org/x"}, Hook(url="https://example.org/x", retries=3)),
        ({"url": "http://[::1]:8080/", "timeout": 1}, Hook(url="http://[::1]:8080/", retries=3, timeout=1.0)),
        ({"url": "${HOOK_URL}"}, Hook(url="${HOOK_URL}", retries=3)),
        ({"url": "https://example.org/$TOKEN?a=$$b"}, Hook(url="https://example.org/$TOKEN?a=$$b", retries=3)),
    ],
)
def test_a_hook_is_a_command_or_an_address(written, found):
    assert hook(written) == found


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (3, "must be a command or a table, not a whole number: 3"),
        ("", "must not be empty"),
        ([], "must not be empty: it needs a program"),
        ({}, "must have either a `command` or a `url`"),
        ({"command": "a", "url": "https://b.example"}, "must have either a `command` or a `url`"),
        ({"url": "https://a.example", "methd": "x"}, "has an unknown key `methd`"),
        ({"url": "ftp://a.example"}, "has a `url` that must be an address like `https://example.org/hook`"),
        ({"url": "file:///etc/passwd"}, "has a `url` that must be an address"),
        ({"url": "https://"}, "has a `url` that must be an address"),
        ({"url": "https://a.example:port/"}, "has a `url` that must be an address"),
        ({"url": "https://a.example/\r\nX: y"}, "has a `url` that must not have blanks or control characters"),
        ({"url": "https://a.example/$"}, "has a `url` that must write a `$` as `$$`"),
        ({"command": "a", "timeout": 0}, "has a `timeout` that must be more than 0"),
        ({"command": "a", "timeout": "11m"}, "has a `timeout` that must be at most 10m"),
        ({"command": "a", "retries": -1}, "has a `retries` that must be from 0 to 100"),
        ({"command": "a", "retries": True}, "has a `retries` that must be a whole number, not a boolean"),
    ],
    ids=str,
)
def test_what_is_no_hook_is_refused_with_what_is_wrong(written, sentence):
    with pytest.raises(ValueError, match=r".") as caught:
        hook(written)
    assert str(caught.value).startswith(sentence)


def test_a_key_that_is_nearly_right_is_suggested():
    with pytest.raises(Refused) as caught:
        hook({"ulr": "https://a.example"})
    assert caught.value.hint == "did you mean `url`?"


def test_of_an_address_people_see_the_host_and_whether_it_changed():
    one, other = (str(Hook(url=f"https://me:pw@hooks.example/services/{secret}")) for secret in "ab")

    assert one.startswith("POST https://hooks.example/… #")
    assert "me" not in one.replace("timeout", "")
    assert one != other


def errand(**overrides):
    keys = {
        "id": 1,
        "trigger": Trigger.ON_DEAD,
        "hook": Hook(command="x", retries=1),
        "cwd": None,
        "shell": ("sh", "-c"),
    }
    return Errand(**(keys | {"env": {}, "env_file": None, "facts": {}, "tries": 1, "failures": 0} | overrides))


@pytest.mark.parametrize(
    ("failures", "delivery", "found"),
    [
        (0, Delivery(is_done=True, detail=""), (Fate.DELIVERED, 0, 0)),
        (0, Delivery(is_done=False, detail=""), (None, 1, 2)),
        (1, Delivery(is_done=False, detail=""), (Fate.FAILED, 2, 0)),
        (0, Delivery(is_done=False, detail="", is_final=True), (Fate.FAILED, 1, 0)),
        (1, Delivery(is_done=False, detail="", is_interrupted=True), (None, 1, 0)),
    ],
)
def test_a_try_that_failed_is_followed_by_as_many_as_there_are_retries(failures, delivery, found):
    fate, count, due_at = after(errand(failures=failures), delivery, now=NOW)

    assert (fate, count, due_at) == (found[0], found[1], NOW + timedelta(seconds=found[2]))


def test_the_wait_for_the_next_try_has_a_cap():
    many = errand(failures=60, hook=Hook(command="x", retries=100))

    assert after(many, Delivery(is_done=False, detail=""), now=NOW)[2] == NOW + timedelta(minutes=5)


def test_a_state_that_calls_nothing_is_none_of_the_others():
    run = make_run(spec=make_spec(**ALL), state=State.PENDING)

    assert called(run) is None
