"""Where attempts run: worker processes on this machine, or any ``concurrent.futures.Executor``.

The runner knows only ``Workers``. Both kinds call the same ``attempt.execute``; neither stores anything.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Protocol

from queuectl import clock, fence
from queuectl.attempt import execute
from queuectl.job import Attempt, Run
from queuectl.outcome import Lost, Outcome, Released
from queuectl.process import Interrupt
from queuectl.spool import Spool

Answer = tuple[Run, Attempt]


class Workers(Protocol):
    """What the runner needs of the place where attempts run."""

    size: int

    @property
    def in_flight(self) -> Mapping[str, Run]:
        """The runs that were started and not yet answered, by the name of their execution."""

    def start(self, runs: Sequence[Run]) -> None:
        """Take runs; each is answered exactly once, in any order."""

    def interrupt(self, run: Run, interrupt: Interrupt) -> None:
        """End the attempt of a run that was started; it is answered when its processes have ended."""

    def collect(self) -> list[Answer]:
        """Return the answers that have come since the last call, without waiting."""

    def settled(self, run: Run) -> None:
        """Forget what was kept of an attempt until its end was stored."""

    def recall(self) -> None:
        """Answer what has not begun as released, so that it goes back to the queue."""

    def patience(self) -> float | None:
        """Return after how many seconds to collect even though nothing came; None if that is never needed."""

    def close(self) -> None:
        """End what still runs and give back all processes."""


class ExecutorWorkers:
    """Attempts on any Executor, one call a run; ``wake`` is called from its threads when one has ended.

    ``attempt.execute`` never raises, so an exception out of a Future always means that the attempt is lost.
    A call that has begun cannot be reached: an interrupted attempt ends by itself.
    """

    def __init__(
        self, executor: Executor, size: int, spool: Spool, *, output_limit: int, wake: Callable[[], None]
    ) -> None:
        self.size = size
        self._executor = executor
        self._spool = spool
        self._output_limit = output_limit
        self._wake = wake
        self._in_flight: dict[str, Run] = {}
        self._futures: dict[Future[Attempt], Run] = {}
        self._ended: SimpleQueue[Future[Attempt]] = SimpleQueue()

    @property
    def in_flight(self) -> Mapping[str, Run]:
        """The runs that were started and not yet answered, by the name of their execution."""
        return self._in_flight

    def start(self, runs: Sequence[Run]) -> None:
        """Submit one call a run."""
        for run in runs:
            self._in_flight[run.execution] = run
            future = self._executor.submit(execute, run, self._spool, output_limit=self._output_limit)
            self._futures[future] = run
            future.add_done_callback(self._done)

    def interrupt(self, run: Run, interrupt: Interrupt) -> None:
        """Let the attempt end by itself."""

    def collect(self) -> list[Answer]:
        """Return the answers that have come since the last call, without waiting."""
        answers = []
        while not self._ended.empty():
            future = self._ended.get()
            run = self._futures.pop(future)
            del self._in_flight[run.execution]
            answers.append((run, _attempt_of(run, future)))
        return answers

    def settled(self, run: Run) -> None:
        """Remove the run lock."""
        fence.forget(self._spool.lock(run.execution))

    def recall(self) -> None:
        """Cancel the calls that have not begun."""
        for future in list(self._futures):
            future.cancel()

    def patience(self) -> float | None:
        """Return None: every answer wakes the runner."""
        return None

    def close(self) -> None:
        """Shut the executor down."""
        self._executor.shutdown()

    def _done(self, future: Future[Attempt]) -> None:
        self._ended.put(future)
        self._wake()


def _attempt_of(run: Run, future: Future[Attempt]) -> Attempt:
    if future.cancelled():
        return unfinished(run, Released(began=False))
    error = future.exception()
    return lost(run, f"{type(error).__name__}: {error}") if error else future.result()


def lost(run: Run, cause: str) -> Attempt:
    """Return the attempt of a run that nobody can say anything about any more."""
    return unfinished(run, Lost(cause))


def unfinished(run: Run, outcome: Outcome) -> Attempt:
    """Return the attempt of a run whose own account of it is missing; it began when it was claimed."""
    now = clock.now()
    return Attempt(
        number=run.attempts,
        lease=run.lease or 0,
        runner=run.runner or 0,
        started_at=run.started_at or now,
        finished_at=now,
        outcome=outcome,
    )
