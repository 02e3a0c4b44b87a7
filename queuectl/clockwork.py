"""The runner's clockwork: APScheduler, driven by the runner's own loop, and a look at whether the clock jumped.

Slots are not its business: when the next is due stands in the queue, and the runner waits for that as for a run.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import TIMEOUT_MAX
from typing import Final

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.interval import IntervalTrigger

from queuectl import clock

_JUMP: Final = 1.0  # seconds: both clocks are slewed alike, so that less is not worth a word


class Clockwork:
    """Says what is due, when asked, and for how long to wait until something is.

    ``wall`` may jump, because somebody sets it or the machine sleeps; ``steady`` counts the seconds that the machine is
    awake.
    """

    def __init__(
        self, *, wall: Callable[[], datetime] = clock.now, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead = self._wall_ahead()
        self._periods: dict[str, timedelta] = {}
        self._due: set[str] = set()
        self._next_at = 0.0  # by the steady clock
        self._counts_from = clock.now()  # APScheduler reads the machine's clock itself
        self._scheduler = _Scheduler(
            executors={"default": DebugExecutor()},
            # No misfire grace: late is better than never, and once is enough for any number of missed times.
            job_defaults={"misfire_grace_time": None, "coalesce": True},
            timezone="UTC",
        )
        self._scheduler.start()

    def every(self, period: timedelta, name: str) -> None:
        """Make ``name`` due once a period, and now; its times are also those of periods that divide its own."""
        self._periods[name] = period
        self._due.add(name)
        self._scheduler.add_job(self._due.add, self._trigger(period), (name,), id=name)
        self._next_at = self._steady()

    def due(self) -> set[str]:
        """Return the names that have become due since the last call: all of them if the wall clock has jumped since."""
        has_jumped = self._has_jumped()
        if has_jumped or self._steady() >= self._next_at:
            self._next_at = self._steady() + self._scheduler.turn()
        found = set(self._due)
        self._due.clear()
        return found | self._periods.keys() if has_jumped else found

    def patience(self) -> float:
        """Return for how many seconds nothing becomes due."""
        return max(self._next_at - self._steady(), 0.0)

    def close(self) -> None:
        """Stop."""
        self._scheduler.shutdown()

    def _has_jumped(self) -> bool:
        """Return whether the wall clock has jumped since the last look; if so, APScheduler begins to count anew.

        It waits for a time of the wall clock: after that was set back by an hour it would mark nothing for an hour.
        """
        ahead = self._wall_ahead()
        has_jumped = abs(ahead - self._ahead) > _JUMP
        self._ahead = ahead
        if has_jumped:
            self._counts_from = clock.now()
            for name, period in self._periods.items():
                self._scheduler.reschedule_job(name, trigger=self._trigger(period))
        return has_jumped

    def _trigger(self, period: timedelta) -> IntervalTrigger:
        """Return a trigger that has its times in common with those of all other periods that divide it."""
        return IntervalTrigger(seconds=period.total_seconds(), start_date=self._counts_from + period, timezone="UTC")

    def _wall_ahead(self) -> float:
        return self._wall().timestamp() - self._steady()


class _Scheduler(BaseScheduler):  # type: ignore[misc]
    """APScheduler without a thread of its own, to wake which costs as much as all that it is woken for."""

    def turn(self) -> float:
        """Run the jobs that are due and return for how many seconds there is none."""
        wait: float | None = self._process_jobs()
        return TIMEOUT_MAX if wait is None else wait

    def wakeup(self) -> None:
        """Do nothing: whoever adds a job takes a turn."""

    def shutdown(self, wait: bool = True) -> None:
        """Stop; abstract in the base, which does all there is to do."""
        super().shutdown(wait)
