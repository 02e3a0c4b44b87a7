"""The local pool: worker processes that stay in one call and take runs from a channel.

Each worker is a ``ProcessPoolExecutor`` of its own that starts with ``worker.serve`` and stays in it, so that a
killed worker costs one attempt and is replaced alone. Runs go out by one channel that all workers share, so that
none waits behind a long one while a worker idles; each worker answers, and is interrupted, by a line of its own.
The end of a line is the end of its worker: futures and exit codes are not believed.
"""

import contextlib
import errno
import multiprocessing
import os
import pickle
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from queuectl import fence
from queuectl.executors import Answer, lost, unfinished
from queuectl.job import Attempt, Run
from queuectl.outcome import Exited, Released
from queuectl.process import NOT_EXECUTABLE, Interrupt
from queuectl.spool import Spool
from queuectl.worker import LARGEST_MESSAGE, serve

# Messages keep their bounds. macOS has no SOCK_SEQPACKET for local sockets; its datagrams serve as well.
_KIND: Final = socket.SOCK_SEQPACKET if sys.platform != "darwin" else socket.SOCK_DGRAM
_SAYS_SO_WITHIN: Final = 1.0  # seconds from taking a run to saying so
_FENCE_INTERVAL: Final = 0.05
_LONGEST_RESPAWN_PAUSE: Final = 1.0


@dataclass(slots=True)
class _Slot:
    """One worker as the runner sees it."""

    line: socket.socket
    executor: ProcessPoolExecutor
    execution: str | None = None  # what it is doing
    has_spoken: bool = False


class LocalPool:
    """The workers on this machine; implements ``executors.Workers``.

    ``selector`` is the runner's: it becomes ready when there is something to collect. A run that no worker has begun
    after ``begins_within`` seconds is given back: another runner may be free.
    """

    def __init__(
        self,
        size: int,
        spool: Spool,
        selector: selectors.BaseSelector,
        *,
        output_limit: int,
        begins_within: float = 0.1,
    ) -> None:
        self.size = size
        self._spool = spool
        self._selector = selector
        self._output_limit = output_limit
        self._begins_within = begins_within
        self._in_flight: dict[str, Run] = {}
        self._unstarted: dict[str, float] = {}  # sent, and no worker has said that it began; since when
        self._missing: dict[str, float] = {}  # of those, the ones to give up; when
        self._interrupts: dict[str, Interrupt] = {}  # for runs that have not begun
        self._fencing: list[Run] = []  # lost, but something of them may still run
        self._forestalled: set[str] = set()  # given up, with their lock kept so that nobody begins them
        self._backlog: list[Run] = []  # what the channel has no room for
        self._ready: list[Answer] = []  # for runs that no worker will begin
        self._respawn_pause = 0.0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["queuectl.worker"])
        self._sending, self._taking = socket.socketpair(socket.AF_UNIX, _KIND)
        for end in (self._sending, self._taking):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_MESSAGE)
        self._slots = [self._new_slot() for _ in range(size)]

    @property
    def in_flight(self) -> Mapping[str, Run]:
        """The runs that were started and not yet answered, by the name of their execution."""
        return self._in_flight

    def start(self, runs: Sequence[Run]) -> None:
        """Send runs to whichever workers are free, in this order."""
        for run in runs:
            self._in_flight[run.execution] = run
            self._unstarted[run.execution] = time.monotonic()
        self._backlog += runs
        self._send_backlog()

    def interrupt(self, run: Run, interrupt: Interrupt) -> None:
        """End the attempt of a run: now if it has begun, else as soon as it does."""
        for slot in self._slots:
            if slot.execution == run.execution:
                _tell(slot, interrupt)
                return
        self._interrupts[run.execution] = interrupt

    def collect(self) -> list[Answer]:
        """Return the answers that have come; replace workers that died and fence what they did."""
        answers: list[Answer] = []
        for key, _ in self._selector.select(0):
            if isinstance(key.data, _Slot):
                answers += self._hear(key.data)
        self._send_backlog()
        if self._unstarted and time.monotonic() - next(iter(self._unstarted.values())) > self._begins_within:
            self.recall()
        ready, self._ready = self._ready, []
        for run, _ in ready:
            self._unstarted.pop(run.execution, None)
            del self._in_flight[run.execution]
        return answers + ready + self._fenced() + self._found_missing()

    def settled(self, run: Run) -> None:
        """Remove the run lock, unless it keeps a worker from beginning."""
        self._interrupts.pop(run.execution, None)
        if run.execution not in self._forestalled:
            fence.forget(self._spool.lock(run.execution))

    def recall(self) -> None:
        """Take back what no worker has taken; `collect` answers it as released."""
        self._ready += [(run, unfinished(run, Released(began=False))) for run in self._backlog + self._untaken()]
        self._backlog.clear()

    def patience(self) -> float | None:
        """Return after how many seconds to collect even though nothing came; None if that is never needed."""
        if self._fencing:
            return _FENCE_INTERVAL
        if self._unstarted:
            return self._begins_within
        return _SAYS_SO_WITHIN if self._missing else None

    def close(self) -> None:
        """End all attempts and all workers; once is enough."""
        slots, self._slots = self._slots, []
        for slot in slots:
            self._selector.unregister(slot.line)
            slot.line.close()
        for slot in slots:
            slot.executor.shutdown(wait=True)
        self._sending.close()
        self._taking.close()

    def _new_slot(self) -> _Slot:
        ours, theirs = socket.socketpair(socket.AF_UNIX, _KIND)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_MESSAGE)
        ours.setblocking(False)
        executor = ProcessPoolExecutor(1, self._context, serve, (self._taking, theirs, self._spool, self._output_limit))
        # If the forkserver dies at this moment there is no worker: its line ends, and it is replaced as any other.
        with _quiet_forkserver(), contextlib.suppress(OSError, EOFError):
            executor.submit(os.getpid)  # the first task starts the process, which never comes to it
        theirs.close()
        slot = _Slot(ours, executor)
        self._selector.register(ours, selectors.EVENT_READ, slot)
        return slot

    def _send_backlog(self) -> None:
        sent = 0
        with contextlib.suppress(BlockingIOError):
            for run in self._backlog:
                self._send(run)
                sent += 1
        del self._backlog[:sent]

    def _send(self, run: Run) -> None:
        try:
            self._sending.send(pickle.dumps(run, pickle.HIGHEST_PROTOCOL))
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            outcome = Exited(NOT_EXECUTABLE, "cannot start: its spec is too large for a worker")
            self._ready.append((run, unfinished(run, outcome)))

    def _hear(self, slot: _Slot) -> list[Answer]:
        answers: list[Answer] = []
        while True:
            try:
                message = slot.line.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return answers
            except ConnectionError:
                message = b""
            if not message:
                self._replace(slot)
                return answers
            slot.has_spoken = True
            said: str | Attempt = pickle.loads(message)
            if isinstance(said, str):
                self._began(slot, said)
            else:
                execution, slot.execution = slot.execution, None
                if run := self._in_flight.pop(execution or "", None):
                    answers.append((run, said))

    def _began(self, slot: _Slot, execution: str) -> None:
        slot.execution = execution
        self._unstarted.pop(execution, None)
        self._missing.pop(execution, None)
        if interrupt := self._interrupts.pop(execution, None):
            _tell(slot, interrupt)

    def _replace(self, slot: _Slot) -> None:
        """Put a new worker in the place of one that died."""
        self._selector.unregister(slot.line)
        slot.line.close()
        slot.executor.shutdown(wait=False)
        if run := self._in_flight.get(slot.execution or ""):
            self._fencing.append(run)
        # What is still in the channel nobody has taken. What is then missing, the dead worker took, or one that lives
        # and is about to say so.
        self._backlog = self._untaken() + self._backlog
        waiting = {run.execution for run in self._backlog}
        deadline = time.monotonic() + _SAYS_SO_WITHIN
        self._missing |= dict.fromkeys(self._unstarted.keys() - waiting, deadline)
        # A worker that died before it said anything would do so again: do not spin.
        self._respawn_pause = 0.0 if slot.has_spoken else min(self._respawn_pause * 2 + 0.05, _LONGEST_RESPAWN_PAUSE)
        time.sleep(self._respawn_pause)  # noqa: TID251
        self._slots[self._slots.index(slot)] = self._new_slot()

    def _untaken(self) -> list[Run]:
        found: list[Run] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(pickle.loads(self._taking.recv(LARGEST_MESSAGE)))
        return found

    def _fenced(self) -> list[Answer]:
        """Return the lost runs of which nothing lives any more; end what still does."""
        free = [run for run in self._fencing if fence.end_holders(self._spool.lock(run.execution))]
        self._fencing = [run for run in self._fencing if run not in free]
        return [(self._in_flight.pop(run.execution), self._last_words(run)) for run in free]

    def _last_words(self, run: Run) -> Attempt:
        return fence.recorded(self._spool.lock(run.execution)) or lost(run, "its worker was killed")

    def _found_missing(self) -> list[Answer]:
        """Return the runs that went down with a worker before they began: nothing is charged for them."""
        answers = []
        now = time.monotonic()
        for execution in [execution for execution, deadline in self._missing.items() if now >= deadline]:
            del self._missing[execution]
            self._unstarted.pop(execution, None)
            # Not even a worker that slept since it took the run can begin it now.
            run = self._in_flight[execution]
            nothing = unfinished(run, Released(began=False))
            if fence.forestall(self._spool.lock(execution), nothing):
                self._forestalled.add(execution)
                answers.append((self._in_flight.pop(execution), nothing))
        return answers


def _tell(slot: _Slot, interrupt: Interrupt) -> None:
    with contextlib.suppress(OSError):  # it died: its line says so
        slot.line.send(f"{interrupt} {slot.execution}".encode())


@contextlib.contextmanager
def _quiet_forkserver() -> Iterator[None]:
    """Start helpers with nothing but /dev/null: they outlive a reader of ours, as in `queuectl run | head`."""
    kept = [os.dup(descriptor) for descriptor in range(3)]
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        yield
    finally:
        os.close(nothing)
        for descriptor, copy in enumerate(kept):
            os.dup2(copy, descriptor)
            os.close(copy)
