"""A clock that a test advances."""

from datetime import datetime, timedelta

from tests.support.factories import NOW


class ManualClock:
    """Stands still until it is told otherwise."""

    def __init__(self, start: datetime = NOW) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, *, seconds: float) -> None:
        """Let time pass; a negative number sets the clock back."""
        self._now += timedelta(seconds=seconds)
