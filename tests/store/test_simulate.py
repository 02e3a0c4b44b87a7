"""A simulation foretells what the real store does, driven by the same clock."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.forecast import Duration
from queuectl.job import Overlap, Stop
from queuectl.lifecycle import settle
from queuectl.outcome import Cancelled, Exited, TimedOut
from queuectl.plan import plan
from queuectl.simulate import simulate
from queuectl.slots import fire, first_slot
from queuectl.store.archive import Archive
from tests.support.factories import NOW, make_attempt, make_job, make_manifest
from tests.support.queue import AUTHOR, register

MINUTE = timedelta(minutes=1)
UNTIL = NOW + timedelta(minutes=70)


class Life:
    """A store and a runner on a clock that jumps to whatever happens next."""

    def __init__(self, store, jobs, seconds, workers):
        self.store, self.seconds, self.workers = store, seconds, workers
        self.runner = register(store)
        self.running, self.attempts = {}, {}
        manifest = make_manifest(*jobs)
        store.apply(plan([manifest], {}, {}, now=NOW, first_slot=first_slot), author=AUTHOR, now=NOW)

    def live(self):
        now = NOW
        while now <= UNTIL:
            self.round(now)
            times = [end for _, end in self.running.values()]
            times += [time for time in (self.store.next_slot(), self.store.next_due()) if time and time > now]
            now = min(times, default=UNTIL + MINUTE)
        return {(run.job, run.slot): (run.state, self.foretold(run)) for run in self.store.runs()}

    def round(self, now):
        for run, end in list(self.running.values()):
            if end <= now:
                self.end(run, now)
        for due in self.store.due_jobs(now=now):
            firing = fire(due.job, due.next_slot, now, is_unfinished=due.is_unfinished, pauses=())
            after = firing.caught_up.next_slot
            self.store.fire(due, firing.runs, after=after, replaces=firing.replaces, now=now)
        for run in self.store.claim(limit=self.workers - len(self.running), runner=self.runner, now=now):
            timeout, takes = run.spec.timeout, self.seconds[run.job]
            takes = takes if timeout is None else min(takes, timeout)
            self.running[run.number] = (run, now + timedelta(seconds=takes))
            self.attempts.setdefault(run.number, []).append((now, None))
        if stops := self.store.stops(self.runner):
            for number in stops:
                self.running[number] = (self.running[number][0], now)
            self.round(now)

    def end(self, run, now):
        timeout = run.spec.timeout
        outcome = TimedOut(timeout) if timeout is not None and self.seconds[run.job] > timeout else Exited(0)
        if self.store.stops(self.runner).get(run.number) is Stop.NOW:
            outcome = Cancelled()
        after = settle(run, outcome, now=now, jitter=0.0)
        assert self.store.settle([(run, after, make_attempt(run, outcome))])
        self.attempts[run.number][-1] = (self.attempts[run.number][-1][0], now)
        del self.running[run.number]

    def foretold(self, run):
        return run.reason, tuple(self.attempts.get(run.number, ()))


def jobs_of(draws):
    return [
        make_job(
            f"job-{number}",
            **({"schedule": schedule, "spread": spread, "overlap": overlap} if schedule else {"run_at": run_at}),
            priority=priority,
            retries=retries,
            retry_delay=30.0,
            timeout=timeout,
        )
        for number, (schedule, spread, overlap, run_at, priority, retries, timeout) in enumerate(draws)
    ]


draws = st.tuples(
    st.sampled_from([None, "*/5 * * * *", "*/7 * * * *", "0 * * * *", "@every 90s", "15,45 * * * *"]),
    st.sampled_from([0.0, 0.0, 240.0]),
    st.sampled_from(Overlap),
    st.sampled_from([None, NOW + 5 * MINUTE, NOW - 5 * MINUTE, NOW - timedelta(days=3), NOW + timedelta(days=3)]),
    st.sampled_from([0, 0, 5, -5]),
    st.integers(0, 2),
    st.sampled_from([None, 60.0, 300.0]),
)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(draws, st.sampled_from([0.0, 20.0, 60.0, 299.0, 420.0, 4000.0])), min_size=1, max_size=5),
    st.integers(1, 3),
)
def test_a_simulation_is_what_the_store_and_a_runner_would_do(tmp_path_factory, drawn, workers):
    jobs = jobs_of([draw for draw, _ in drawn])
    seconds = {job.full_name: takes for job, (_, takes) in zip(jobs, drawn, strict=True)}
    with Archive(tmp_path_factory.mktemp("queue") / "queue.db", durability="normal") as store:
        lived = Life(store, jobs, seconds, workers).live()

    planned = plan([make_manifest(*jobs)], {}, {}, now=NOW, first_slot=first_slot)
    durations = {name: Duration(seconds=takes) for name, takes in seconds.items()}
    forecast = simulate(planned, durations, begin=NOW, until=UNTIL, workers=workers)

    told = {(run.job, run.slot): (run.state, (run.reason, run.attempts)) for run in forecast.timeline}
    assert told == {key: value for key, value in lived.items() if key in told}
    assert {key for key in lived if key not in told} == {
        (job.full_name, None) for job in jobs if job.run_at and job.run_at > UNTIL
    }
    assert len(told) == len(forecast.timeline) == forecast.runs
