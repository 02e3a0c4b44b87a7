"""Runs by selector: each condition, all together, in pages, and at the same cost in a long queue."""

from datetime import timedelta

import pytest

from queuectl.errors import JobNotFound, ManifestNotFound, RunNotFound
from queuectl.job import State
from queuectl.lifecycle import cancel
from queuectl.outcome import Exited
from queuectl.selector import Selector
from tests.support.factories import NOW, make_job
from tests.support.queue import claim, declare, enqueue, finish


@pytest.fixture
def queue(store):
    """Runs of every kind: completed, dead, cancelled, waiting, of two jobs."""
    declare(store, make_job("backup", tags=("disk",)), make_job("report", command=("df", "-h", ".")))
    enqueue(store, given_id="dead", command="echo 100%_sure", retries=0, priority=9)
    finish(store, claim(store), Exited(7), now=NOW + timedelta(hours=1))
    enqueue(store, given_id="done", description="Say it", priority=9)
    finish(store, claim(store), now=NOW + timedelta(hours=2))
    cancelled = enqueue(store, given_id="gone", tags=("a", "b"))
    store.change(cancelled, cancel(cancelled, now=NOW + timedelta(hours=3)))
    enqueue(store, given_id="waits", tags=("b",))
    return store


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, ["waits", "gone", "done", "dead", "r2", "r1"]),
        ({"ids": ("dead", "r2")}, ["dead", "r2"]),
        ({"jobs": ("nightly/backup",)}, ["r1"]),
        ({"jobs": ("nightly/*",)}, ["r2", "r1"]),
        ({"jobs": ("*/b*",), "manifests": ("nightly",)}, ["r1"]),
        ({"manifests": ("nightly",)}, ["r2", "r1"]),
        ({"states": (State.DEAD,)}, ["dead"]),
        ({"states": (State.DEAD, State.COMPLETED, State.CANCELLED)}, ["gone", "done", "dead"]),
        ({"states": (State.PENDING,), "jobs": ("nightly/*",)}, ["r2", "r1"]),
        ({"states": (State.DEAD,), "manifests": ("nightly",)}, []),
        ({"tags": ("a", "disk")}, ["gone", "r1"]),
        ({"since": NOW + timedelta(hours=2)}, ["gone", "done"]),
        ({"until": NOW + timedelta(hours=2)}, ["waits", "dead", "r2", "r1"]),
        ({"since": NOW + timedelta(minutes=1), "until": NOW + timedelta(hours=2)}, ["dead"]),
        ({"exit_codes": (7, 9)}, ["dead"]),
        ({"exit_codes": (0, 7)}, ["done", "dead"]),
        ({"text": "df -h"}, ["r2"]),
        ({"text": "SAY it"}, ["done"]),
        ({"text": "exit code 7"}, ["dead"]),
        ({"text": "nightly/re"}, ["r2"]),
        ({"text": "100%_SURE"}, ["dead"]),
        ({"text": "100_"}, []),
        ({"text": "' OR 1 --"}, []),
    ],
    ids=str,
)
def test_every_condition_that_is_given_holds(queue, conditions, found):
    selector = Selector(**conditions)

    assert [run.id for run in queue.runs(selector)] == found
    assert [queue.numbered([number])[0].id for number, _ in queue.choices(selector)] == found[::-1]


def test_pages_follow_each_other_by_number(queue):
    both = Selector(states=(State.DEAD, State.PENDING))

    first = queue.runs(both, limit=2)
    second = queue.runs(both, limit=2, before=first[-1].number)

    assert [run.id for run in (*first, *second)] == ["waits", "dead", "r2", "r1"]


@pytest.mark.parametrize(
    ("conditions", "error", "hint"),
    [
        ({"ids": ("dea",)}, RunNotFound, "`dead`"),
        ({"jobs": ("nightly/bakup",)}, JobNotFound, "`nightly/backup`"),
        ({"jobs": ("daily/*",)}, ManifestNotFound, "`queuectl jobs`"),
        ({"jobs": ("dai*/*",)}, JobNotFound, "`queuectl jobs`"),
        ({"manifests": ("nightl",)}, ManifestNotFound, "`nightly`"),
    ],
)
def test_an_unknown_name_is_answered_with_those_like_it(queue, conditions, error, hint):
    with pytest.raises(error) as caught:
        queue.runs(Selector(**conditions))
    assert hint in caught.value.hint


def test_all_unknown_ids_are_named_at_once(queue):
    with pytest.raises(RunNotFound, match="no run `x`, `r99`"):
        queue.choices(Selector(ids=("x", "dead", "r99")))


def test_a_job_that_was_removed_still_names_its_runs(queue):
    declare(queue, make_job("report"))

    assert [run.id for run in queue.runs(Selector(jobs=("nightly/backup",)))] == ["r1"]


def test_very_many_jobs_are_one_condition(store):
    declare(store, *(make_job(f"job-{number}") for number in range(60)))

    assert len(store.runs(Selector(manifests=("nightly",), states=(State.PENDING, State.DEAD)))) == 60


@pytest.mark.parametrize(
    ("conditions", "indexes"),
    [
        *(({"states": (state,)}, [f"runs_{state}"]) for state in State if state is not State.PROCESSING),
        ({"states": (State.PROCESSING,)}, ["runs_running"]),
        ({"states": (State.DEAD, State.PENDING, State.FAILED)}, ["runs_dead", "runs_failed", "runs_pending"]),
        ({"jobs": ("nightly/backup", "nightly/report")}, ["runs_of_job"]),
        ({"states": (State.DEAD,), "jobs": ("nightly/backup",)}, ["runs_dead"]),
        ({}, ["runs"]),
    ],
    ids=str,
)
def test_a_page_is_read_in_order_from_an_index(queue, conditions, indexes):
    details = plan(queue, Selector(**conditions))

    assert used(details) == indexes
    assert not [detail for detail in details if "TEMP B-TREE" in detail]


def test_of_a_common_state_the_runs_of_a_job_are_found_by_the_job(queue):
    queue._execute("UPDATE run_counts SET count = 1000000 WHERE state = 'completed'")

    assert used(plan(queue, Selector(states=(State.COMPLETED,), jobs=("nightly/backup",)))) == ["runs_of_job"]


def plan(store, selector):
    """Return what SQLite does with the table of runs for a page."""
    sql, parameters = store._statement("selected_runs", selector)
    rows = store._execute(f"EXPLAIN QUERY PLAN {sql} ORDER BY 1 DESC LIMIT :limit", parameters | {"limit": 20})
    return [row[3] for row in rows if " runs" in row[3] or "B-TREE" in row[3]]


def used(details):
    """Return the indexes that serve, or the table where it is read along its key."""
    return sorted(
        {
            detail.split("INDEX ")[1].split()[0] if "INDEX " in detail else "runs"
            for detail in details
            if "B-TREE" not in detail
        }
    )
