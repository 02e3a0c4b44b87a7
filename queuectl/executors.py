"""Where attempts run: worker processes on this machine, or any ``concurrent.futures.Executor``.

The runner knows only ``Workers``. Both kinds call the same ``attempt.execute``; neither stores anything.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Final, Protocol

from queuectl import fence
from queuectl.aftermath import account_of, lost, unfinished
from queuectl.attempt import Workbench, execute
from queuectl.environment import base_environment
from queuectl.job import Attempt, Run
from queuectl.journal import Journal, attempt_in, read_journals
from queuectl.order import order_of
from queuectl.outcome import NEVER_BEGAN
from queuectl.process import Interrupt
from queuectl.spool import Spool

Answer = tuple[Run, Attempt]
_FENCE_INTERVAL: Final = 0.05


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

    def settled(self) -> None:
        """Forget what was kept of the attempts that were collected until their end was stored."""

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
        self._unanswered: list[tuple[Run, Future[Attempt]]] = []  # ended, but something of them may still run
        self._answered: list[Run] = []
        self._ended: SimpleQueue[Future[Attempt]] = SimpleQueue()

    @property
    def in_flight(self) -> Mapping[str, Run]:
        """The runs that were started and not yet answered, by the name of their execution."""
        return self._in_flight

    def start(self, runs: Sequence[Run]) -> None:
        """Submit one call a run."""
        for run in runs:
            self._in_flight[run.execution] = run
            future = self._executor.submit(_execute, run, self._spool, self._output_limit)
            self._futures[future] = run
            future.add_done_callback(self._done)

    def interrupt(self, run: Run, interrupt: Interrupt) -> None:
        """Let the attempt end by itself."""

    def collect(self) -> list[Answer]:
        """Return the answers that have come since the last call, without waiting."""
        answers: list[Answer] = []
        while not self._ended.empty():
            future = self._ended.get()
            self._unanswered.append((self._futures.pop(future), future))
        unanswered, self._unanswered = self._unanswered, []
        for run, future in unanswered:
            attempt = self._attempt_of(run, future)
            if attempt is None:
                self._unanswered.append((run, future))
                continue
            del self._in_flight[run.execution]
            self._answered.append(run)
            answers.append((run, attempt))
        return answers

    def settled(self) -> None:
        """Remove the journals of the attempts that were collected: they are stored."""
        for run in self._answered:
            for path in self._spool.journals(run.runner or 0, run.execution):
                fence.forget(path)
        self._answered.clear()

    def recall(self) -> None:
        """Cancel the calls that have not begun."""
        for future in list(self._futures):
            future.cancel()

    def patience(self) -> float | None:
        """Return None, since every answer wakes the runner, unless there is something to fence."""
        return _FENCE_INTERVAL if self._unanswered else None

    def close(self) -> None:
        """Shut the executor down."""
        self._executor.shutdown()

    def _done(self, future: Future[Attempt]) -> None:
        self._ended.put(future)
        self._wake()

    def _attempt_of(self, run: Run, future: Future[Attempt]) -> Attempt | None:
        if future.cancelled():
            return unfinished(run, NEVER_BEGAN)
        error = future.exception()
        if error is None:
            return future.result()
        cause = f"{type(error).__name__}: {error}"
        entry = read_journals(self._spool.journals(run.runner or 0, run.execution)).get(run.execution)
        return lost(run, cause) if entry is None else account_of(run, entry, self._spool, cause)


def _execute(run: Run, spool: Spool, output_limit: int) -> Attempt:
    """Make one attempt, with a journal of its own, wherever the executor has it made."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    journal = Journal(spool.journal(run.runner or 0, run.execution))
    bench = Workbench(spool=spool, journal=journal, output_limit=output_limit, environ=base_environment())
    try:
        attempt = attempt_in(execute(order_of(run, spool), bench))
        assert attempt is not None
        return attempt
    finally:
        os.fchdir(here)
        os.close(here)
        bench.pipes.close()
