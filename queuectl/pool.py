"""The local pool: worker processes that stay in one call and take runs from a channel.

Each worker is a ``ProcessPoolExecutor`` of its own that starts with ``worker.serve`` and stays in it, so that a
killed worker costs one attempt and is replaced alone. Runs go out by one channel that all workers share, so that
none waits behind a long one while a worker idles; each worker answers, and is interrupted, by a line of its own.
"""

import contextlib
import errno
import multiprocessing
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from queuectl import failpoint, fence
from queuectl.aftermath import account_of, unfinished
from queuectl.environment import own_environment
from queuectl.executors import Answer
from queuectl.job import Attempt, Run
from queuectl.journal import attempt_in, is_record, read_journals
from queuectl.line import KIND, Line, end_forkserver
from queuectl.order import order_of, pack, unpack
from queuectl.outcome import NEVER_BEGAN, Exited
from queuectl.process import NOT_EXECUTABLE, ORPHAN_GRACE, ORPHAN_PATIENCE, Interrupt
from queuectl.programs import Programs
from queuectl.spool import Spool
from queuectl.worker import LARGEST_MESSAGE

_SAYS_SO_WITHIN: Final = 1.0  # seconds from taking a run to saying so
_SPEAKS_WITHIN: Final = 5.0  # seconds from its start; a worker has more time the more of them start together
_SPEAKS_WITHIN_EACH: Final = 0.1
_ENDS_WITHIN: Final = 2.0  # seconds beyond what its job has
_FENCE_INTERVAL: Final = 0.05
_LONGEST_RESPAWN_PAUSE: Final = 1.0


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
        runner: int,
        output_limit: int,
        begins_within: float = 0.1,
    ) -> None:
        self.size = size
        self._spool = spool
        self._selector = selector
        self._runner = runner
        self._path = own_environment()["PATH"]  # as the workers have it
        self._output_limit = output_limit
        self._begins_within = begins_within
        self._in_flight: dict[str, Run] = {}
        self._unstarted: dict[str, float] = {}  # sent, and no worker has said that it began; since when
        self._missing: dict[str, float] = {}  # of those, the ones to give up; when
        self._interrupts: dict[str, Interrupt] = {}  # for runs that have not begun
        self._fencing: list[Run] = []  # lost, but something of them may still run
        self._backlog: list[Run] = []  # what the channel has no room for
        self._ready: list[Answer] = []  # for runs that no worker will begin
        self._respawn_pause = 0.0
        self._speaks_within = self._first_word = _SPEAKS_WITHIN + size * _SPEAKS_WITHIN_EACH
        self._hired = 0
        self._dismissed: list[int] = []  # workers that died, and whose journals are still there
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["queuectl.worker"])
        self._sending, self._taking = socket.socketpair(socket.AF_UNIX, KIND)
        for end in (self._sending, self._taking):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_MESSAGE)
        self._lines: list[Line] = []
        try:
            for _ in range(size):
                self._hire()
        except BaseException:  # those that were started would keep this process from ending
            self.close()
            raise

    @property
    def in_flight(self) -> Mapping[str, Run]:
        """The runs that were started and not yet answered, by the name of their execution."""
        return self._in_flight

    def start(self, runs: Sequence[Run]) -> None:
        """Send runs to whichever workers are free, in this order."""
        now = time.monotonic()
        for run in runs:
            execution = run.execution
            self._in_flight[execution] = run
            self._unstarted[execution] = now
        self._backlog += runs
        self._send_backlog()

    def interrupt(self, run: Run, interrupt: Interrupt) -> None:
        """End the attempt of a run: now if it has begun, else as soon as it does."""
        for line in self._lines:
            if line.run is run:
                line.tell(interrupt, run)
                return
        self._interrupts[run.execution] = interrupt

    def collect(self) -> list[Answer]:
        """Return the answers that have come; replace workers that died and fence what they did."""
        answers = self._hear(key.data for key, _ in self._selector.select(0) if isinstance(key.data, Line))
        for line in self._lines:
            line.kill_if_hanging()
        self._send_backlog()
        if self._unstarted and time.monotonic() - next(iter(self._unstarted.values())) > self._begins_within:
            self.recall()
            self._miss()
        ready, self._ready = self._ready, []
        return answers + [self._answered(run, attempt) for run, attempt in ready] + self._fenced() + self._given_up()

    def settled(self) -> None:
        """Forget what was kept of the attempts that were collected: they are stored."""
        for line in self._lines:
            line.forget()
        if self._dismissed and not self._fencing and not self._missing:
            for worker in self._dismissed:
                for path in self._spool.journals(self._runner, worker):
                    fence.forget(path)
            self._dismissed.clear()

    def recall(self) -> None:
        """Take back what no worker has taken; `collect` answers it as released."""
        self._ready += [(run, unfinished(run, NEVER_BEGAN)) for run in self._backlog + self._untaken()]
        self._backlog.clear()

    def patience(self) -> float | None:
        """Return after how many seconds to collect even though nothing came; None if that is never needed."""
        if self._ready:
            return 0.0
        if self._fencing:
            return _FENCE_INTERVAL
        waits = [wait for line in self._lines if (wait := line.patience()) is not None]
        if self._unstarted:
            waits.append(self._begins_within)
        if self._missing:
            waits.append(_SAYS_SO_WITHIN)
        return min(waits, default=None)

    def close(self) -> None:
        """End all attempts and all workers; once is enough."""
        lines, self._lines = self._lines, []
        for line in lines:
            self._selector.unregister(line)
            line.hang_up()
        deadline = time.monotonic() + ORPHAN_PATIENCE + ORPHAN_GRACE + _ENDS_WITHIN
        for line in lines:
            line.wait(deadline)
        # In a thread, since a forkserver that hangs does not say that its workers have ended.
        letting_go = threading.Thread(target=_let_go, args=(lines,), daemon=True)
        letting_go.start()
        letting_go.join(_ENDS_WITHIN)
        if letting_go.is_alive():
            end_forkserver()
            letting_go.join()
        self._sending.close()
        self._taking.close()

    def _hire(self) -> None:
        self._hired += 1
        line = Line(
            self._hired,
            self._spool.journal(self._runner, self._hired),
            self._taking,
            self._spool,
            self._context,
            output_limit=self._output_limit,
            speaks_within=self._speaks_within,
        )
        self._selector.register(line, selectors.EVENT_READ, line)
        self._lines.append(line)

    def _send_backlog(self) -> None:
        if not self._backlog:  # as in most turns
            return
        sent = 0
        programs = Programs(self._path)
        with contextlib.suppress(BlockingIOError):
            for run in self._backlog:
                self._send(run, programs)
                sent += 1
        del self._backlog[:sent]

    def _send(self, run: Run, programs: Programs) -> None:
        packed = pack(order_of(run, self._spool, programs))
        try:
            if len(packed) > LARGEST_MESSAGE:  # the worker would get a part of it, and die of that
                raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
            self._sending.send(packed)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            outcome = Exited(NOT_EXECUTABLE, "cannot start: its spec is too large for a worker")
            self._ready.append((run, unfinished(run, outcome)))

    def _hear(self, lines: Iterable[Line]) -> list[Answer]:
        """Return the answers that have come by these lines; what was to be heard is then heard."""
        answers: list[Answer] = []
        for line in list(lines):
            for said in line.hear():
                if not is_record(said):
                    self._began(line, said.decode())
                elif (run := line.ended()) and (attempt := attempt_in(said)):
                    failpoint.reach("end-heard")
                    answers.append(self._answered(run, attempt))
            if not line.is_open:
                self._replace(line)
        return answers

    def _began(self, line: Line, execution: str) -> None:
        self._unstarted.pop(execution, None)
        self._missing.pop(execution, None)
        if run := self._in_flight.get(execution):  # else it was given up, and the worker knows by now
            line.began(run)
            failpoint.reach("begin-heard")
            if interrupt := self._interrupts.pop(execution, None):
                line.tell(interrupt, run)

    def _answered(self, run: Run, attempt: Attempt) -> Answer:
        execution = run.execution
        self._unstarted.pop(execution, None)
        self._interrupts.pop(execution, None)
        del self._in_flight[execution]
        return run, attempt

    def _replace(self, line: Line) -> None:
        """Put a new worker in the place of one that died."""
        self._lines.remove(line)
        self._dismissed.append(line.worker)
        self._selector.unregister(line)
        line.close()
        if run := line.ended():
            self._fencing.append(run)
        self._backlog = self._untaken() + self._backlog
        self._miss()
        # A worker that died before it said anything would do so again: do not spin.
        self._respawn_pause = 0.0 if line.has_spoken else min(self._respawn_pause * 2 + 0.05, _LONGEST_RESPAWN_PAUSE)
        # It may have been killed because it had not said anything yet: the machine may be too slow for that.
        self._speaks_within = self._first_word if line.has_spoken else self._speaks_within * 2
        time.sleep(self._respawn_pause)  # noqa: TID251
        failpoint.reach("worker-before-replaced")
        self._hire()
        failpoint.reach("worker-replaced")

    def _miss(self) -> None:
        """Look for runs that were taken, by a worker that is dead or hangs, or by one that is about to say so.

        Called when the channel is empty: what is still in it nobody has taken.
        """
        waiting = {run.execution for run in self._backlog} | {run.execution for run, _ in self._ready}
        deadline = time.monotonic() + _SAYS_SO_WITHIN
        for execution in self._unstarted.keys() - waiting:
            self._missing.setdefault(execution, deadline)

    def _untaken(self) -> list[Run]:
        found: list[Run] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                order = unpack(self._taking.recv(LARGEST_MESSAGE))
                found.append(self._in_flight[order.execution])
        return found

    def _fenced(self) -> list[Answer]:
        """Return the lost runs of which nothing lives any more; end what still does."""
        if not self._fencing:
            return []
        journals = read_journals(self._spool.journals(self._runner))
        fencing, self._fencing = self._fencing, []
        answers: list[Answer] = []
        for run in fencing:
            failpoint.reach("lost-before-fence")
            attempt = account_of(run, journals.get(run.execution), self._spool, "its worker was killed")
            failpoint.reach("lost-fenced")
            if attempt is None:
                self._fencing.append(run)
            else:
                answers.append(self._answered(run, attempt))
        return answers

    def _given_up(self) -> list[Answer]:
        """Return the runs that went down with a worker before they began: nothing is charged for them."""
        now = time.monotonic()
        overdue = [self._in_flight[execution] for execution, deadline in self._missing.items() if now >= deadline]
        if not overdue:
            return []
        # A worker that slept since it took one says that it begins, then looks whether it is withdrawn: what has not
        # been said by now will find that it is.
        failpoint.reach("withdraw-before-told")
        for line in self._lines:
            for run in overdue:
                line.tell(Interrupt.WITHDRAW, run)
        failpoint.reach("withdraw-told")
        answers = self._hear(self._lines)
        begun = read_journals(self._spool.journals(self._runner)).keys()
        for run in overdue:
            if self._missing.pop(run.execution, None) is None:
                continue
            if run.execution in begun:  # whatever became of the word that it begins
                self._fencing.append(run)
            else:
                answers.append(self._answered(run, unfinished(run, NEVER_BEGAN)))
        return answers


def _let_go(lines: Iterable[Line]) -> None:
    for line in lines:
        line.let_go()
