from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.retry import RetryPolicy, delay_after

policies = st.builds(
    RetryPolicy,
    retry_delay=st.floats(0, 1e6),
    backoff_base=st.floats(1, 1e3),
    backoff_max=st.floats(0, 1e7),
    jitter=st.floats(0, 1),
)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8), (11, 2048), (12, 3600), (10_000, 3600)])
def test_the_default_waits_double_up_to_an_hour(attempt, seconds):
    assert delay_after(attempt, RetryPolicy(), jitter=0) == timedelta(seconds=seconds)


def test_jitter_takes_off_its_fraction_of_the_wait():
    assert delay_after(1, RetryPolicy(jitter=0.5), jitter=0.5) == timedelta(seconds=1.5)


@given(policies, st.integers(1, 100_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_and_never_passes_its_cap(policy, attempt, jitter):
    assert timedelta(0) <= delay_after(attempt, policy, jitter) <= timedelta(seconds=policy.backoff_max)


@given(policies, st.integers(1, 1000))
def test_a_later_attempt_never_waits_less(policy, attempt):
    assert delay_after(attempt, policy, jitter=0) <= delay_after(attempt + 1, policy, jitter=0)
