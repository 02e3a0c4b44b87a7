"""How often and how soon a failed run is tried again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)  # no slots: those make it slow to pickle
class RetryPolicy:
    """The rules for retrying one job; durations are in seconds.

    ``retries = N`` means at most N + 1 attempts. ``jitter`` is the fraction of a wait, from 0 to 1,
    that chance may take off, so that jobs that failed together do not come back together.
    """

    retries: int = 3
    retry_delay: float = 1.0
    backoff_base: float = 2.0
    backoff_max: float = 3600.0
    jitter: float = 0.0

    @property
    def max_attempts(self) -> int:
        """The number of attempts a run may use up."""
        return self.retries + 1


def delay_after(attempt: int, policy: RetryPolicy, jitter: float) -> timedelta:
    """Return the wait after ``attempt`` (counted from 1) failed.

    The wait grows by ``policy.backoff_base`` with every attempt up to ``policy.backoff_max``;
    ``jitter``, drawn by the caller from [0, 1), takes off up to ``policy.jitter`` of it.
    """
    try:
        seconds = min(policy.backoff_max, policy.retry_delay * policy.backoff_base**attempt)
    except OverflowError:
        seconds = policy.backoff_max
    return timedelta(seconds=seconds * (1.0 - policy.jitter * jitter))
