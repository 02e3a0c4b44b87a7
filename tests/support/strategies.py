"""What can happen to a queue, drawn by hypothesis: few values of each kind, so that they meet."""

from datetime import timedelta

from hypothesis import strategies as st

from queuectl.job import Catchup, Overlap
from queuectl.outcome import Cancelled, Exited, Lost, Released, Signalled, TimedOut
from queuectl.spec import OnInterrupt
from tests.support.factories import NOW, make_job, make_spec

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOTHING = timedelta(0)
DELAYS = (NOTHING, -HOUR, -MINUTE, HOUR, 25 * HOUR, -25 * HOUR)

NAMES = "abc"
names = st.sampled_from(NAMES)
runners = st.sampled_from("xy")
waits = st.sampled_from([MINUTE, HOUR, NOTHING])
places = st.integers(0, 99)
outcomes = st.sampled_from(
    [
        Exited(0),
        Exited(1),
        Exited(3),
        Exited(0, "not found"),
        Signalled(9),
        TimedOut(1.5),
        Cancelled(),
        Lost("its worker was killed"),
        Released(),
        Released(began=False),
    ]
)
turns = st.lists(st.tuples(waits, st.integers(1, 3), st.lists(outcomes, max_size=3)), min_size=1, max_size=3)
specs = st.fixed_dictionaries(
    {},
    optional={
        "command": st.sampled_from(["true", "false"]),
        "priority": st.sampled_from([5, -5]),
        "retries": st.integers(0, 2),
        "retry_delay": st.sampled_from([60.0, 0.5]),
        "fail_on_exit_codes": st.just((3,)),
        "on_interrupt": st.just(OnInterrupt.FAIL),
    },
)
new_runs = st.builds(
    lambda spec, delay, given: (make_spec(**spec), delay, given),
    specs,
    st.sampled_from(DELAYS),
    st.sampled_from([*[None] * 7, "mine"]),
)
one_shots = st.fixed_dictionaries(
    {}, optional={"run_at": st.sampled_from(DELAYS).map(lambda delay: NOW + delay), "revision": st.integers(1, 2)}
)
recurrences = st.fixed_dictionaries(
    {"schedule": st.sampled_from(["@every 60m", "@every 20m"])},
    optional={
        "overlap": st.sampled_from(Overlap),
        "catchup": st.sampled_from(Catchup),
        "catchup_window": st.sampled_from([1.0, 7200.0]),
    },
)
jobs = st.builds(
    lambda name, spec, when, keys: make_job(name, **spec, **when, **keys),
    names,
    specs,
    recurrences | recurrences | one_shots,
    st.fixed_dictionaries({"enabled": st.sampled_from([True, True, True, False])}, optional={"renamed_from": names}),
)
manifests = st.lists(jobs, max_size=3, unique_by=lambda job: job.name).filter(
    lambda jobs: not {job.renamed_from for job in jobs} & {job.name for job in jobs}  # no file may say that
)
