"""The runner's clockwork: APScheduler, which rings when something is due, and a look at whether the clock jumped.

Slots are not its business: when the next is due stands in the queue, and the runner waits for that as for a run.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from queuectl import clock

_JUMP: Final = 1.0  # seconds: both clocks are slewed alike, so that less is not worth a word


class Clockwork:
    """Marks names as due and rings; ``ring`` is called from a thread of its own.

    ``wall`` may jump, because somebody sets it or the machine sleeps; ``steady`` counts the seconds that the machine is
    awake.
    """

    def __init__(
        self,
        ring: Callable[[], None],
        *,
        wall: Callable[[], datetime] = clock.now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = ring
        self._wall = wall
        self._steady = steady
        self._ahead = self._wall_ahead()
        self._periods: dict[str, timedelta] = {}
        self._due: set[str] = set()
        self._lock = threading.Lock()
        # No misfire grace: late is better than never, and one ring is enough for any number of missed ones.
        self._scheduler = BackgroundScheduler(
            executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
            timezone="UTC",
        )
        self._scheduler.start()

    def every(self, period: timedelta, name: str) -> None:
        """Mark ``name`` as due once a period, now for the first time."""
        self._periods[name] = period
        self._mark(name)
        self._scheduler.add_job(self._mark, _trigger(period), (name,), id=name)

    def due(self) -> set[str]:
        """Return the names that have become due since the last call: all of them if the wall clock has jumped since."""
        has_jumped = self._has_jumped()
        with self._lock:
            found, self._due = self._due, set()
        return found | self._periods.keys() if has_jumped else found

    def close(self) -> None:
        """Stop the thread."""
        self._scheduler.shutdown()

    def _has_jumped(self) -> bool:
        """Return whether the wall clock has jumped since the last look; if so, APScheduler begins to count anew.

        It waits for a time of the wall clock: after that was set back by an hour it would mark nothing for an hour.
        """
        ahead = self._wall_ahead()
        has_jumped = abs(ahead - self._ahead) > _JUMP
        self._ahead = ahead
        if has_jumped:
            for name, period in self._periods.items():
                self._scheduler.reschedule_job(name, trigger=_trigger(period))
        return has_jumped

    def _wall_ahead(self) -> float:
        return self._wall().timestamp() - self._steady()

    def _mark(self, name: str) -> None:
        with self._lock:
            self._due.add(name)
        self._ring()


def _trigger(period: timedelta) -> IntervalTrigger:
    return IntervalTrigger(seconds=period.total_seconds(), timezone="UTC")
