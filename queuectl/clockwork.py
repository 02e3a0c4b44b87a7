"""The runner's clockwork: APScheduler, which rings when something is due."""

import threading
from collections.abc import Callable
from datetime import timedelta

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler


class Clockwork:
    """Marks names as due and rings; ``ring`` is called from a thread of its own."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
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
        self._mark(name)
        self._scheduler.add_job(self._mark, "interval", (name,), seconds=period.total_seconds(), id=name)

    def due(self) -> set[str]:
        """Return the names that have become due since the last call."""
        with self._lock:
            found, self._due = self._due, set()
        return found

    def close(self) -> None:
        """Stop the thread."""
        self._scheduler.shutdown()

    def _mark(self, name: str) -> None:
        with self._lock:
            self._due.add(name)
        self._ring()
