"""What may be done on the dashboard, without a browser: what each act says it does, and what it does."""

import pytest

from queuectl.dashboard import session
from queuectl.dashboard.acting import job_acts, resume_act, run_acts
from queuectl.errors import QueuectlError
from queuectl.job import State
from queuectl.outcome import Exited
from queuectl.store import Author
from tests.support.factories import NOW, make_job
from tests.support.queue import claim, declare, enqueue, finish

BY = Author(user="ada", host="atlas", channel="dashboard")


def do(store, act, why=None):
    """Carry an act out and return what is told."""
    return act.do(store, BY, NOW, why)


def test_what_is_offered_depends_on_where_a_run_stands(store):
    waiting = enqueue(store, retries=0)
    running = claim(store)
    offered = [[act.verb for act in run_acts(run)] for run in (waiting, running)]
    dead = finish(store, running, Exited(1))

    assert [*offered, [act.verb for act in run_acts(dead)]] == [["Cancel"], ["Cancel"], ["Retry"]]


def test_a_dead_run_is_retried_and_it_is_recorded_who_did_it(store):
    enqueue(store, retries=0)
    dead = finish(store, claim(store), Exited(1))
    [retry] = run_acts(dead)

    told = do(store, retry)

    assert "`r1`, which is dead, back into the queue" in retry.effect
    assert (told, store.run("r1").state) == ("`r1`: back in the queue", State.PENDING)
    assert [(each.by, each.channel) for each in store.interventions(dead)] == [("ada@atlas", "dashboard")]


def test_a_run_that_has_changed_since_it_was_seen_is_left_alone(store, time):
    seen = enqueue(store, retries=0)
    claim(store)

    told = do(store, run_acts(seen)[0])

    assert (told, store.run("r1").state) == ("`r1` was left alone: it is processing", State.PROCESSING)
    assert store.run("r1").stop is None


def test_a_run_that_is_under_way_is_asked_to_end(store):
    enqueue(store)
    [cancel] = run_acts(claim(store))

    do(store, cancel)

    assert "SIGTERM to its whole process tree, SIGKILL 10 s later" in cancel.effect
    assert store.run("r1").stop is not None


def test_a_job_is_run_paused_and_resumed(store):
    declare(store, make_job("backup", schedule="@every 1h"))
    trigger, pause = job_acts("nightly/backup", None)

    told = [do(store, trigger), do(store, pause, "holiday")]
    [paused] = store.pauses(since=NOW)
    told.append(do(store, resume_act(paused)))
    told.append(do(store, resume_act(paused)))

    assert told == [
        "`r1` is queued",
        "Paused `nightly/backup`.",
        "Resumed `nightly/backup`.",
        "The pause of `nightly/backup` was over already.",
    ]
    assert (paused.reason, paused.by) == ("holiday", "ada@atlas")


def test_nothing_is_opened_for_writing_where_actions_are_not_allowed(store):
    with pytest.raises(QueuectlError, match="nothing may be done here"):
        session.shown().writing()
