"""What somebody reads who watches: found whatever the state of the queue, at a cost that is bounded."""

from datetime import timedelta

import pytest

from queuectl.errors import JobNotFound
from queuectl.job import NewRun, State
from queuectl.outcome import Exited
from queuectl.selector import EVERYTHING, Selector
from tests.support.factories import NOW, make_job, make_spec
from tests.support.queue import claim, declare, enqueue, finish

AT_LEISURE = 60.0


def found(store, limit=50, **conditions):
    """Return the ids that a search finds."""
    return [run.id for run in store.search(Selector(**conditions), limit=limit, seconds=AT_LEISURE).runs]


def dead(store, **spec):
    enqueue(store, retries=0, **spec)
    return finish(store, claim(store), Exited(3))


def test_a_search_finds_what_meets_all_its_conditions(store):
    declare(store, make_job("backup", tags=("db",), retries=0))
    backup = finish(store, claim(store), Exited(3))
    adhoc = dead(store, command="pg_dump | gzip 'x'")
    waiting = enqueue(store, command="true", given_id="monday")

    assert found(store) == [waiting.id, adhoc.id, backup.id]
    assert found(store, states=(State.DEAD,)) == [adhoc.id, backup.id]
    assert found(store, states=(State.DEAD, State.PENDING)) == [waiting.id, adhoc.id, backup.id]
    assert found(store, states=(State.DEAD,), jobs=("nightly/backup",)) == [backup.id]
    assert found(store, manifests=("nightly",)) == [backup.id]
    assert found(store, tags=("db",)) == [backup.id]
    assert found(store, text="GZIP 'X") == [adhoc.id]
    assert found(store, text="MONDAY") == [waiting.id]
    assert found(store, text="code 3") == [adhoc.id, backup.id]
    assert found(store, text="%") == []
    assert found(store, since=NOW + timedelta(seconds=1)) == []
    assert found(store, states=(State.CANCELLED,)) == []


def test_a_search_for_a_job_that_never_was_says_so(store):
    enqueue(store)

    with pytest.raises(JobNotFound):
        found(store, jobs=("nightly/nothing",))


def test_one_page_begins_where_the_other_ended(store):
    store.enqueue([NewRun(spec=make_spec(), run_at=NOW)] * 5, now=NOW)

    pages, below = [], None
    while below != 0:
        page = store.search(EVERYTHING, below=below, limit=2, seconds=AT_LEISURE)
        pages.append([run.id for run in page.runs])
        below = page.left_below or 0

    assert pages == [["r5", "r4"], ["r3", "r2"], ["r1"]]


def test_a_search_that_takes_too_long_says_how_far_it_has_come(store):
    store.enqueue([NewRun(spec=make_spec(), run_at=NOW)] * 30_000, now=NOW)

    page = store.search(Selector(text="nowhere"), limit=2, seconds=0)
    rest = store.search(Selector(text="nowhere"), below=page.left_below, limit=2, seconds=0)

    assert (page.runs, page.left_below) == ([], 10_001)
    assert (rest.runs, rest.left_below) == ([], None)


def test_due_runs_are_counted_up_to_a_limit_whatever_their_priority(store):
    for priority in (0, 5, 5, -5):
        enqueue(store, priority=priority)
    enqueue(store, run_at=NOW + timedelta(hours=1))

    assert [store.due_count(now=NOW, limit=limit) for limit in (3, 100)] == [3, 4]


def test_the_dead_are_grouped_by_job_and_reason(store):
    declare(store, make_job("backup", retries=0))
    finish(store, claim(store), Exited(7))
    dead(store)
    newest = dead(store)

    groups = [(group.job, group.reason, group.count, group.newest) for group in store.dead_groups(limit=100)]

    assert set(groups) == {(None, "exit code 3", 2, newest.id), ("nightly/backup", "exit code 7", 1, "r1")}


def test_the_latest_results_of_a_job_are_those_that_are_over(store):
    declare(store, make_job("backup"), make_job("never", enabled=False))
    finish(store, claim(store))

    results = store.latest_results(each=20)

    assert [(each.id, each.state) for each in results["nightly/backup"]] == [("r1", State.COMPLETED)]
    assert results["nightly/never"] == []
