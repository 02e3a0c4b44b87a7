import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.job import State
from queuectl.retry import RetryPolicy
from queuectl.spec import JobSpec, Limits, OnInterrupt
from tests.support.factories import make_run, make_spec

texts = st.text(min_size=1, max_size=20)
specs = st.builds(
    JobSpec,
    command=st.one_of(texts, st.lists(texts, min_size=1, max_size=4).map(tuple)),
    priority=st.integers(-1000, 1000),
    timeout=st.none() | st.floats(0.001, 1e6),
    retry=st.builds(RetryPolicy, retries=st.integers(0, 10), jitter=st.floats(0, 1)),
    env=st.dictionaries(texts, texts, max_size=3),
    success_exit_codes=st.lists(st.integers(0, 255), max_size=3).map(tuple),
    tags=st.lists(texts, max_size=3).map(tuple),
    on_interrupt=st.sampled_from(OnInterrupt),
    limits=st.builds(Limits, memory=st.none() | st.integers(1), nice=st.none() | st.integers(0, 19)),
)


@given(specs)
def test_a_spec_comes_back_from_its_plain_values(spec):
    assert JobSpec.from_dict(spec.to_dict()) == spec


def test_only_what_differs_from_the_defaults_is_kept():
    assert make_spec(retries=5, env={"A": "b"}).to_dict() == {"command": "true", "env": {"A": "b"}, "retries": 5}


def test_a_line_runs_in_the_shell_and_a_list_runs_without_one():
    assert make_spec(command="a | b").argv == ("/bin/sh", "-c", "a | b")
    assert make_spec(command=("a", "|", "b")).argv == ("a", "|", "b")


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_waiting_running_or_final(state):
    assert [state.is_waiting, state is State.PROCESSING, state.is_final].count(True) == 1


def test_a_run_knows_the_manifest_of_its_job():
    assert (make_run(job="nightly/backup").manifest, make_run(job=None).manifest) == ("nightly", None)
