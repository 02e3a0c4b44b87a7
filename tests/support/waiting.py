"""Waiting for what another process does: with a bound, never in hope."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def eventually(ask: Callable[[], Result], *, within: float = 30.0) -> Result:
    """Return the first true answer; fails with the last answer when the time is over."""
    deadline = time.monotonic() + within
    pause = 0.005
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within:g} s; the last answer was {answer!r}"
        time.sleep(pause)  # noqa: TID251 - the one place that may
        pause = min(pause * 1.5, 0.1)
