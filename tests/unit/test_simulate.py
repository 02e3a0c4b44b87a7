from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.forecast import Crowd, Duration, percentile
from queuectl.job import Overlap, State
from queuectl.plan import plan
from queuectl.simulate import simulate
from queuectl.slots import first_slot, schedule_of
from tests.support.factories import NOW, make_job, make_manifest

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def foretold(*jobs, minutes=1, workers=4, begin=NOW, hours=3, **keys):
    """Return the forecast for jobs whose attempts take so many minutes, each its own or all the same."""
    planned = plan([make_manifest(*jobs)], {}, {}, now=begin, first_slot=first_slot)
    each = minutes if isinstance(minutes, dict) else {job.name: minutes for job in jobs}
    durations = {job.full_name: Duration(seconds=60.0 * each[job.name]) for job in jobs}
    return simulate(planned, durations, begin=begin, until=begin + timedelta(hours=hours), workers=workers, **keys)


def lives(forecast):
    """Return the minute of each slot after the beginning, when its attempts ran, and what became of it."""

    def minute(instant):
        return None if instant is None else (instant - forecast.begin) / MINUTE

    return [
        (minute(run.slot), [(minute(began), minute(ended)) for began, ended in run.attempts], run.reason or run.state)
        for run in forecast.timeline
    ]


def half_hourly(name="report", **keys):
    return make_job(name, schedule="*/30 * * * *", **keys)


def test_slots_run_when_they_come_up_to_the_end_and_that_included():
    assert lives(foretold(half_hourly(), hours=1)) == [
        (30, [(30, 31)], "completed"),
        (60, [(60, None)], "processing"),
    ]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.SKIP, [(30, [(30, 75)], "completed"), (60, [], "overlap"), (90, [(90, None)], "processing")]),
        (
            Overlap.QUEUE,
            [(30, [(30, 75)], "completed"), (60, [(75, None)], "processing"), (90, [], "pending")],
        ),
        (
            Overlap.ALLOW,
            [(30, [(30, 75)], "completed"), (60, [(60, None)], "processing"), (90, [(90, None)], "processing")],
        ),
        (
            Overlap.REPLACE,
            [
                (30, [(30, 60)], "cancelled while it was running"),
                (60, [(60, 90)], "cancelled while it was running"),
                (90, [(90, None)], "processing"),
            ],
        ),
    ],
)
def test_a_slot_that_meets_a_run_is_treated_as_its_job_says(overlap, expected):
    forecast = foretold(half_hourly(overlap=overlap), minutes=45, hours=1.6)

    assert lives(forecast) == expected
    assert forecast.jobs[0].overlaps == (1 if overlap is Overlap.SKIP else 2)


def test_when_workers_are_few_the_larger_priority_runs_first_then_the_earlier_time():
    jobs = [
        half_hourly("late", spread=1.0),
        make_job("early", schedule="29 * * * *"),
        half_hourly("urgent", priority=5),
        make_job("blocker", schedule="20 * * * *", priority=9),
    ]

    minutes = {job.name: 15 if job.name == "blocker" else 5 for job in jobs}
    forecast = foretold(*jobs, minutes=minutes, workers=1, hours=0.9)

    began = sorted((run for run in forecast.timeline if run.attempts), key=lambda run: run.attempts[0][0])
    assert [run.job.removeprefix("nightly/") for run in began] == ["blocker", "urgent", "early", "late"]


def test_a_duration_over_the_time_out_times_out_and_is_tried_again():
    job = half_hourly(timeout=300.0, retries=2, retry_delay=30.0)

    forecast = foretold(job, minutes=6, hours=0.9)

    assert lives(forecast) == [(30, [(30, 35), (36, 41), (43, 48)], "timed out after 300 s")]
    assert (forecast.jobs[0].timed_out, forecast.jobs[0].states) == (3, {State.DEAD: 1})


def test_a_duration_that_is_just_the_time_out_is_in_time():
    assert lives(foretold(half_hourly(timeout=300.0), minutes=5, hours=0.9)) == [(30, [(30, 35)], "completed")]


def test_a_run_that_waits_for_its_retry_is_in_the_way_of_the_next_slot():
    job = half_hourly(timeout=60.0, retries=1, retry_delay=1200.0)

    assert lives(foretold(job, minutes=2, hours=1)) == [
        (30, [(30, 31)], "timed out after 60 s"),
        (60, [], "overlap"),
    ]


def test_chance_takes_off_some_of_the_wait_for_a_retry():
    job = half_hourly(timeout=60.0, retries=1, retry_delay=60.0, jitter=0.5)

    [run] = foretold(job, minutes=2, hours=0.9, jitter=0.5).timeline

    assert run.attempts[1][0] - run.attempts[0][1] == timedelta(seconds=90)


def test_one_shots_run_at_their_time_and_long_missed_ones_do_not():
    jobs = [
        make_job("at-once"),
        make_job("later", run_at=NOW + HOUR),
        make_job("missed", run_at=NOW - 48 * HOUR),
        make_job("beyond", run_at=NOW + 48 * HOUR),
        make_job("off", enabled=False),
    ]

    runs = [(run.job, run.due, run.reason or run.state) for run in foretold(*jobs).timeline]

    assert runs == [
        ("nightly/missed", NOW - 48 * HOUR, "missed"),
        ("nightly/at-once", NOW, "completed"),
        ("nightly/later", NOW + HOUR, "completed"),
    ]


def test_waits_are_measured_from_when_a_run_should_begin_and_kept_against_the_limit():
    jobs = [make_job(f"job-{n}", schedule="0 * * * *", max_wait=10 * 60.0) for n in range(3)]

    forecast = foretold(*jobs, minutes=10, workers=1, hours=2)

    assert [(job.wait_p95, job.wait_max, job.waits_too_long) for job in forecast.jobs] == [
        (0, 0, 0),
        (600, 600, 0),
        (1200, 1200, 1),  # the one of the last slot has not waited long enough by the end
    ]
    assert [job.job for job in forecast.too_slow] == ["nightly/job-2"]


def test_a_run_that_never_begins_has_waited_until_the_end():
    jobs = [make_job("hog", priority=1), make_job("starved", schedule="0 * * * *", max_wait=60.0)]

    forecast = foretold(*jobs, minutes=600, workers=1, hours=2)

    assert (forecast.jobs[1].wait_max, forecast.jobs[1].waits_too_long) == (3600, 1)
    assert lives(forecast)[1:] == [(60, [], "pending"), (120, [], "overlap")]


def test_a_spread_is_no_wait():
    [job] = foretold(half_hourly(spread=900.0)).jobs

    assert job.wait_max == 0


def test_the_worst_minute_is_the_first_in_which_most_runs_want_a_worker():
    jobs = [half_hourly("a"), half_hourly("b"), make_job("c", schedule="0 * * * *")]

    worst = foretold(*jobs, minutes=2, workers=1, hours=4).worst

    assert worst == Crowd(at=NOW + HOUR, runs=3, jobs={"nightly/a": 1, "nightly/b": 1, "nightly/c": 1})


def test_workers_are_busy_for_the_time_of_their_attempts():
    assert foretold(half_hourly(), minutes=15, workers=2, hours=1).busy == 15 / 120
    assert foretold(half_hourly(overlap=Overlap.REPLACE), minutes=45, workers=1, hours=1).busy == 30 / 60


def test_slots_that_the_clocks_touch_are_told():
    berlin = datetime(2026, 3, 28, tzinfo=UTC)
    jobs = [
        make_job("fixed", schedule="30 2 * * *", timezone="Europe/Berlin"),
        make_job("wild", schedule="*/30 2 * * *", timezone="Europe/Berlin"),
        make_job("even", schedule="*/30 * * * *", timezone="Europe/Berlin"),
    ]

    fixed, wild, even = foretold(*jobs, begin=berlin, hours=47).jobs

    assert [str(change) for change in fixed.clock_changes] == [
        "on 2026-03-29 the clocks of Europe/Berlin go from 02:00 to 03:00: what is due at 02:30 runs at 03:00"
    ]
    assert [change.fate for change in wild.clock_changes] == ["left out"]
    assert even.clock_changes == ()
    assert (fixed.slots, wild.slots, even.slots) == (2, 2, 94)


def test_a_night_with_an_hour_more_runs_a_fixed_time_once():
    job = make_job("fixed", schedule="30 2 * * *", timezone="Europe/Berlin")

    [fixed] = foretold(job, begin=datetime(2026, 10, 24, 12, tzinfo=UTC), hours=24).jobs

    assert (fixed.slots, [change.fate for change in fixed.clock_changes]) == (1, ["once"])


def test_the_timeline_may_end_early_and_what_is_counted_does_not():
    forecast = foretold(half_hourly(), hours=24, lines=3)

    assert (len(forecast.timeline), forecast.runs, forecast.count(State.COMPLETED)) == (3, 48, 47)


def test_a_percentile_is_a_value_that_so_many_percent_do_not_exceed():
    values = [float(n) for n in range(1, 21)]

    assert [percentile(values, percent) for percent in (1, 5, 50, 95, 96, 100)] == [1, 1, 10, 19, 20, 20]
    assert (percentile([7.0], 50), percentile([], 50)) == (7.0, 0.0)


schedules = st.sampled_from(["*/5 * * * *", "7 * * * *", "@every 11m", "0,1,2 */2 * * *", "30 2 * * *"])
jobs = st.lists(
    st.builds(
        lambda schedule, overlap, priority, spread, timeout, minutes: (
            {"schedule": schedule, "overlap": overlap, "priority": priority, "spread": spread, "timeout": timeout},
            minutes,
        ),
        schedules,
        st.sampled_from(Overlap),
        st.integers(-3, 3),
        st.sampled_from([0.0, 600.0]),
        st.sampled_from([None, 120.0]),
        st.sampled_from([0, 1, 4, 20, 90]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(jobs, st.integers(1, 4), st.integers(0, 60 * 24 * 400))
def test_every_slot_is_accounted_for_once_and_never_more_run_than_there_are_workers(drawn, workers, offset):
    made = [make_job(f"job-{n}", timezone="Europe/Berlin", **keys) for n, (keys, _) in enumerate(drawn)]
    minutes = {job.name: each for job, (_, each) in zip(made, drawn, strict=True)}
    begin = NOW + offset * MINUTE

    forecast = foretold(*made, minutes=minutes, workers=workers, begin=begin, hours=6)

    slots = [(run.job, run.slot) for run in forecast.timeline]
    due = {job.full_name: list(schedule_of(job).slots(begin, forecast.until)) for job in made}
    assert sorted(slots) == sorted((name, slot) for name, times in due.items() for slot in times)
    assert {job.job: sum(job.states.values()) for job in forecast.jobs} == {n: len(times) for n, times in due.items()}
    assert most_at_once(forecast) <= workers


def most_at_once(forecast):
    """Return how many attempts ran at once at most; one may begin in the moment another ends."""
    attempts = chain.from_iterable(run.attempts for run in forecast.timeline)
    steps = []
    for began, ended in attempts:
        steps += [(began, 1), (ended, -1)] if ended != began else []
        steps += [(forecast.until + MINUTE, -1)] if ended is None else []
    running = most = 0
    for _, step in sorted((step for step in steps if step[0]), key=lambda step: step):
        running += step
        most = max(most, running)
    return most
