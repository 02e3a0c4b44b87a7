import contextlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.job import NewRun, State
from queuectl.lifecycle import cancel, requeue, settle
from queuectl.measures import COLUMNS, Event, total
from queuectl.outcome import Cancelled, Exited, Lost, Released, Signalled, TimedOut
from queuectl.records import attempt_to_record
from queuectl.store.archive import Archive
from tests.support.factories import NOW, make_attempt, make_job, make_spec
from tests.support.queue import claim, declare, enqueue, finish, register

FIVE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def counts(found):
    return {(each.event, each.state): each.measure.count for each in found if each.measure.count}


def succeed(store, *, at, spec=None, took=1.0):
    """Run something to its end at an instant."""
    store.enqueue([NewRun(spec=spec or make_spec(), run_at=at)], now=at)
    run = claim(store, now=at)
    attempt = replace(make_attempt(run), started_at=at, finished_at=at + timedelta(seconds=took))
    store.settle([(run, settle(run, Exited(0), now=at, jitter=0), attempt)])


def test_an_attempt_is_counted_with_what_became_of_its_run(store):
    enqueue(store, retries=1)
    finish(store, claim(store), Exited(1))
    finish(store, claim(store, now=NOW + HOUR), TimedOut(5))

    assert counts(store.metric_totals()) == {
        (Event.ENQUEUED, State.PENDING): 1,
        (Event.EXITED, State.FAILED): 1,
        (Event.TIMED_OUT, State.DEAD): 1,
    }


def test_the_wait_is_from_when_a_run_was_due_to_when_its_attempt_began(store):
    enqueue(store, run_at=NOW - timedelta(seconds=90))
    run = claim(store)
    store.settle([(run, settle(run, Exited(0), now=NOW, jitter=0), make_attempt(run, seconds=2.5))])

    [found] = [each for each in store.metric_totals() if each.event is Event.EXITED]

    assert (found.measure.took, found.measure.waited) == (2.5, 90.0)


def test_the_wait_of_a_retry_begins_when_it_is_due(store):
    enqueue(store, retries=1, retry_delay=1.0)
    failed = finish(store, claim(store), Exited(1))
    run = claim(store, now=failed.run_at + timedelta(seconds=3))
    again = replace(make_attempt(run), started_at=failed.run_at + timedelta(seconds=3))
    store.settle([(run, settle(run, Exited(0), now=NOW, jitter=0), again)])

    [found] = [each for each in store.metric_totals() if each.state is State.COMPLETED]

    assert found.measure.waited == 3.0


def test_what_is_settled_under_a_lost_lease_is_not_counted(store):
    enqueue(store)
    run = claim(store)
    finish(store, run)
    store.settle([(run, settle(run, Exited(1), now=NOW, jitter=0), make_attempt(run))])

    assert counts(store.metric_totals()) == {(Event.ENQUEUED, State.PENDING): 1, (Event.EXITED, State.COMPLETED): 1}


def test_a_transaction_that_fails_counts_nothing(store):
    enqueue(store)
    run = claim(store)
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        finish(store, run)
        raise ZeroDivisionError

    assert counts(store.metric_totals()) == {(Event.ENQUEUED, State.PENDING): 1}


def test_what_never_began_is_no_attempt(store):
    enqueue(store)
    finish(store, claim(store), Released(began=False))

    assert counts(store.metric_totals()) == {(Event.ENQUEUED, State.PENDING): 1}


def test_the_end_without_an_attempt_and_the_way_back_are_counted(store):
    waiting, dead = enqueue(store), enqueue(store, retries=0, priority=9)
    dead = finish(store, claim(store), Exited(1))
    store.change(waiting, cancel(waiting, now=NOW))
    store.change(dead, requeue(dead, dead.spec, now=NOW))
    store.enqueue([NewRun(spec=make_spec(), run_at=NOW, state=State.SKIPPED, reason="missed")], now=NOW)

    assert counts(store.metric_totals()) == {
        (Event.ENQUEUED, State.PENDING): 2,
        (Event.EXITED, State.DEAD): 1,
        (Event.ENDED, State.CANCELLED): 1,
        (Event.REQUEUED, State.PENDING): 1,
        (Event.ENDED, State.SKIPPED): 1,
    }


def test_slots_that_are_only_counted_are_skipped_ones(store):
    declare(store, make_job(schedule="* * * * *"))
    [due] = store.due_jobs(now=NOW + HOUR)
    store.fire(due, [], after=NOW + HOUR, folded=(NOW, NOW + HOUR, 59), now=NOW + HOUR)

    assert [(each.job, each.state, each.measure.count) for each in store.metric_totals()] == [
        ("nightly/backup", State.SKIPPED, 59)
    ]


def test_a_purge_takes_nothing_from_the_totals(store):
    enqueue(store)
    finish(store, claim(store))
    before = store.metric_totals()
    store.purge(store.runs())

    assert store.metric_totals() == before


def test_jobs_are_told_apart_and_what_belongs_to_none_is_one(store):
    declare(store, make_job("a"), make_job("b"))
    enqueue(store)
    for _ in range(3):
        finish(store, claim(store))

    found = [(each.job, each.measure.count) for each in store.metrics_since(NOW) if each.event is Event.EXITED]

    assert found == [(None, 1), ("nightly/a", 1), ("nightly/b", 1)]


def test_a_removed_job_keeps_its_numbers_and_its_name(store):
    declare(store, make_job("a"), make_job("b"))
    declare(store, make_job("b"))

    assert {each.job for each in store.metric_totals()} == {"nightly/a", "nightly/b"}


def test_a_series_is_cut_into_steps_and_leaves_out_those_of_nothing(store):
    for minutes in (0, 1, 4, 5, 31):
        succeed(store, at=NOW + timedelta(minutes=minutes))

    def series(step, since=NOW):
        found = [each for each in store.metric_series(since=since, step=step) if each.event is Event.EXITED]
        return [((each.start - NOW) // timedelta(minutes=1), each.measure.count) for each in found]

    assert series(FIVE) == [(0, 3), (5, 1), (30, 1)]
    assert series(timedelta(minutes=15)) == [(0, 4), (30, 1)]
    assert series(FIVE, since=NOW + timedelta(minutes=9)) == [(5, 1), (30, 1)]


def test_a_series_of_one_job_leaves_out_the_others(store):
    declare(store, make_job("a"))
    succeed(store, at=NOW, spec=make_spec(priority=9))

    def events(job):
        return [each.event for each in store.metric_series(since=NOW, step=HOUR, job=job)]

    assert events("nightly/a") == [Event.ENQUEUED]
    assert events("nightly/z") == []
    assert events(None) == [Event.ENQUEUED, Event.EXITED]


def fold_all(store, now):
    steps = 0
    while store.fold_metrics(now=now):
        steps += 1
    return steps


def widths(store):
    return dict(store._execute("SELECT width, count(*) FROM metrics WHERE width > 0 GROUP BY width"))


def test_what_is_old_is_folded_into_hours_then_days_then_only_the_totals_know(store):
    for hours in range(30):
        for minutes in (0, 10, 50):
            succeed(store, at=NOW + timedelta(hours=hours, minutes=minutes))
    totals = store.metric_totals()
    day = store.metric_series(since=NOW, step=DAY)

    fold_all(store, NOW + timedelta(hours=50))
    assert set(widths(store)) == {300, 3600}
    assert store.metric_series(since=NOW, step=DAY) == day
    fold_all(store, NOW + timedelta(days=20))
    assert set(widths(store)) == {86400}
    assert store.metric_series(since=NOW, step=DAY) == day
    fold_all(store, NOW + timedelta(days=500))
    assert widths(store) == {}
    assert store.metric_totals() == totals


def test_one_call_folds_no_more_than_an_hour_and_a_day(store):
    for hours in range(5):
        succeed(store, at=NOW + timedelta(hours=hours))

    assert store.fold_metrics(now=NOW + timedelta(hours=40))
    assert widths(store) == {300: 8, 3600: 2}


def test_what_comes_late_to_a_folded_hour_is_added_to_it(store):
    succeed(store, at=NOW)
    fold_all(store, NOW + timedelta(hours=40))
    succeed(store, at=NOW)
    fold_all(store, NOW + timedelta(hours=40))

    [found] = [each for each in store.metric_series(since=NOW, step=HOUR) if each.event is Event.EXITED]
    assert (found.measure.count, found.measure.took) == (2, 2.0)


def test_when_a_job_last_succeeded_outlives_a_purge(store):
    declare(store, make_job("a"))
    finish(store, claim(store), now=NOW)
    store.purge(store.runs())

    [found] = [each for each in store.metric_totals() if each.state is State.COMPLETED]
    assert (found.job, found.latest) == ("nightly/a", NOW)


def test_folding_bounds_the_rows_that_jobs_leave(store):
    rows = [{"start": hour * 3_600_000_000, "job": job} for hour in range(24 * 40) for job in range(20)]
    same = dict.fromkeys(COLUMNS, 1) | {"latest": 0, "event": "exited", "state": "completed"}
    with store.transaction():
        store._many("add_to_metrics", [same | row for row in rows])
    now = datetime.fromtimestamp(24 * 40 * 3600, tz=UTC)

    fold_all(store, now)

    found = widths(store)
    assert found[300] <= 20 * 27
    assert found[3600] <= 20 * 24 * 8
    assert found[86400] <= 20 * 33


OUTCOMES = (
    Exited(0),
    Exited(1),
    Signalled(9),
    TimedOut(5.0),
    Cancelled(),
    Lost("x"),
    Released(),
    Released(began=False),
)
STEPS = st.one_of(
    st.tuples(st.just("enqueue"), st.integers(0, 2)),
    st.tuples(st.just("settle"), st.sampled_from(OUTCOMES), st.integers(0, 200_000)),
    st.tuples(st.sampled_from(["cancel", "requeue", "purge", "skip", "fold", "tick"]), st.integers(0, 50)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_metrics_say_what_the_runs_and_attempts_say_after_whatever_happens(tmp_path_factory, steps):
    with Archive(tmp_path_factory.mktemp("queue") / "queue.db") as store:
        history = History(store)
        for name, *arguments in steps:
            getattr(history, name)(*arguments)
        history.check()


class History:
    """Does what a step says to a queue, and reads from the tables what the metrics must say."""

    def __init__(self, store):
        self.store = store
        self.runner = register(store)
        self.now = NOW
        self.purged = Counter()
        self.purged_took = timedelta(0)
        self.expected_ends = Counter()

    def enqueue(self, retries):
        enqueue(self.store, run_at=self.now, retries=retries)

    def skip(self, _):
        new = NewRun(spec=make_spec(), run_at=self.now, state=State.SKIPPED, reason="missed")
        self.store.enqueue([new], now=self.now)
        self.expected_ends[State.SKIPPED] += 1

    def settle(self, outcome, seconds):
        for run in self.store.claim(limit=1, runner=self.runner, now=self.now):
            attempt = make_attempt(run, outcome, seconds=seconds)
            self.store.settle([(run, settle(run, outcome, now=self.now, jitter=0), attempt)])

    def cancel(self, index):
        for run in self.some(index, lambda state: state.is_waiting):
            self.store.change(run, cancel(run, now=self.now))
            self.expected_ends[State.CANCELLED] += 1

    def requeue(self, index):
        for run in self.some(index, lambda state: state.is_final):
            self.store.change(run, requeue(run, run.spec, now=self.now))
            self.expected_ends["requeued"] += 1

    def purge(self, index):
        for run in self.some(index, lambda state: state.is_final):
            for attempt in self.store.attempts(run):
                self.purged[attempt_to_record(attempt)["outcome"]] += 1
                self.purged_took += attempt.duration
            self.store.purge([run])

    def fold(self, _):
        self.store.fold_metrics(now=self.now)

    def tick(self, hours):
        self.now += timedelta(hours=hours)

    def some(self, index, is_wanted):
        found = [run for run in self.store.runs() if is_wanted(run.state)]
        return [found[index % len(found)]] if found else []

    def check(self):
        attempts = [each for run in self.store.runs() for each in self.store.attempts(run)]
        outcomes = Counter(attempt_to_record(each)["outcome"] for each in attempts) + self.purged
        took = sum((each.duration for each in attempts), self.purged_took)
        for found in (self.store.metric_totals(), self.store.metric_series(since=NOW, step=DAY)):
            by_event = Counter()
            for each in found:
                by_event[each.event] += each.measure.count
            assert {event: n for event, n in by_event.items() if event.is_attempt} == dict(outcomes)
            ends = Counter()  # a series has a row for each step
            for each in found:
                if each.event is Event.ENDED:
                    ends[each.state] += each.measure.count
            assert ends == {state: n for state, n in self.expected_ends.items() if state != "requeued"}
            assert by_event[Event.REQUEUED] == self.expected_ends["requeued"]
            whole = total(each.measure for each in found if each.event.is_attempt)
            assert whole.took == pytest.approx(took.total_seconds(), abs=1e-6)
            assert sum(whole.took_cells) == sum(whole.waited_cells) == whole.count
