"""The process tree of one attempt: started, read, watched, interrupted, and ended to the last process of its group."""

import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from queuectl import failpoint
from queuectl.order import Order
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut
from queuectl.output import Outputs
from queuectl.pipes import Pipes
from queuectl.programs import find_program

# Out of the way of what shells and scripts use.
_LOCK_DESCRIPTOR: Final = min(219, os.sysconf("SC_OPEN_MAX") - 1) if os.sysconf("SC_OPEN_MAX") > 0 else 219
NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as a shell says it
_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST_NAME: Final = 200  # as it is told
_CHUNK = 65536
_LONGEST_WAIT = 3600.0  # poll takes no more than 24 days
_UNCERTAIN_KIB = 512  # each processor counts for itself, and adds it up seldom
_LAST_WORDS = 16  # chunks that are still read when the command has ended: a child may write for ever
ORPHAN_PATIENCE: Final = 0.5
"""The seconds that a job goes on undisturbed after its runner died: most jobs are short."""
ORPHAN_GRACE: Final = 1.0
"""The seconds that it then has from SIGTERM to SIGKILL, if it may have so many."""
_NO_INPUT: Final = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
# A worker has a session of its own, without a terminal: a group in it does for a job, and costs the system much less.
_OWN_SESSION: Final[Mapping[str, Any]] = {"setsid": True}
_OWN_GROUP: Final[Mapping[str, Any]] = {"setpgroup": 0}
# All of them: of one that is not named the C library asks first what is done about it.
_SIGNALS: Final = tuple(map(int, signal.valid_signals()))


class Interrupt(StrEnum):
    """What a runner tells the worker of an attempt that is under way."""

    CANCEL = "cancel"  # a person does not want it any more
    RELEASE = "release"  # the runner shuts down: end it within its grace period
    KILL = "kill"  # the runner stops at once
    WITHDRAW = "withdraw"  # do not begin it: the runner has given it up


def message_by(line: socket.socket, flags: int = 0) -> bytes:
    """Return what the runner says; nothing if it died, before it had read all that it was told or after."""
    try:
        return line.recv(256, flags)
    except ConnectionError:
        return b""


def heard(message: bytes) -> tuple[str, str]:
    """Return the interrupt that a runner's message tells, and the execution that it is for."""
    interrupt, _, execution = message.decode().partition(" ")
    return interrupt, execution


class CannotStart(Exception):
    """The command never started; ``code`` is the exit code that a shell would give."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProcessTree:
    """The process tree of one attempt."""

    def __init__(
        self,
        order: Order,
        environment: Mapping[bytes, bytes | str],
        lock: int,
        outputs: Outputs,
        pipes: Pipes,
        line: socket.socket | None,
    ) -> None:
        self.usage: resource.struct_rusage | None = None
        self.left_nothing = False
        """Whether it is proved that no process of the attempt lives any more."""
        self._order = order
        self._pipes = pipes
        self._line = line
        self._grace = order.grace_period
        self._ending: Outcome | None = None
        self._kill_at: float | None = None
        (stdout, to_stdout), (stderr, to_stderr) = pipes.open()
        self._streams = {stdout: "stdout", stderr: "stderr"}
        self._outputs = outputs
        failpoint.reach("command-before-spawn")
        self._pid = self._spawn(environment, lock, to_stdout, to_stderr)
        failpoint.reach("command-spawned")
        self._exit = exit_notice(self._pid)
        self._end_at: float | None = None
        self._overdue: Outcome | None = None  # what it is if it has not ended by then
        if order.timeout is not None:
            self._end_at, self._overdue = time.monotonic() + order.timeout, TimedOut(order.timeout)
        self._has_read = True  # all that was there when the end was noticed
        self._poll = pipes.waiting(self._exit, None if line is None else line.fileno())

    def outcome(self) -> Outcome:
        """Wait until the command has ended, end what it left behind, and return how it ended; call it once."""
        try:
            return self._outcome()
        finally:
            os.close(self._exit)

    def _outcome(self) -> Outcome:
        while not self._turn(self._next_deadline()):
            now = time.monotonic()
            if self._end_at is not None and now >= self._end_at and self._ending is None:
                assert self._overdue is not None
                self._end(self._overdue)
            if self._kill_at is not None and now >= self._kill_at:
                self._signal(signal.SIGKILL)
                self._kill_at = now + 1.0
        failpoint.reach("command-ended")
        status = self._sweep()
        failpoint.reach("command-swept")
        if not (self._has_read or self._read_rest()) or not self.left_nothing:
            self._pipes.close()
        if self._ending is not None:
            return self._ending
        code = os.waitstatus_to_exitcode(status)
        return Exited(code) if code >= 0 else Signalled(-code)

    def _spawn(self, environment: Mapping[bytes, bytes | str], lock: int, stdout: int, stderr: int) -> int:
        argv = self._order.argv
        try:
            os.chdir(self._order.cwd)
            return os.posix_spawn(
                self._order.file or find_program(argv[0], os.fsdecode(environment.get(b"PATH", os.defpath))),
                argv,
                environment,
                file_actions=(
                    _NO_INPUT,
                    (os.POSIX_SPAWN_DUP2, stdout, 1),
                    (os.POSIX_SPAWN_DUP2, stderr, 2),
                    (os.POSIX_SPAWN_DUP2, lock, _LOCK_DESCRIPTOR),
                ),
                setsigmask=(),
                setsigdef=_SIGNALS,
                **(_OWN_SESSION if self._line is None else _OWN_GROUP),
            )
        except (OSError, ValueError) as error:
            raise self._cannot_start(error) from error

    def _cannot_start(self, error: OSError | ValueError) -> CannotStart:
        cwd, program = self._order.cwd, self._order.program[:_LONGEST_NAME]
        if isinstance(error, ValueError):  # a NUL that came from an env_file
            return CannotStart(NOT_EXECUTABLE, f"cannot start `{program}`: {error}")
        if not os.path.isdir(cwd):
            return CannotStart(NOT_EXECUTABLE, f"cannot start in `{cwd}`: no such folder")
        if isinstance(error, FileNotFoundError):
            return CannotStart(_NOT_FOUND, f"cannot start `{program}`: not found")
        return CannotStart(NOT_EXECUTABLE, f"cannot start `{program}`: {error.strerror}")

    def _turn(self, seconds: float) -> bool:
        """Wait for something to happen, at most so long, and attend to it; return whether the command ended."""
        ended = False
        for descriptor, _ in self._poll.poll(min(max(seconds, 0), _LONGEST_WAIT) * 1000 + 1):
            if descriptor == self._exit:
                ended = True
            elif descriptor in self._streams:
                self._has_read = self._read(descriptor, chunks=1) and self._has_read
            elif not ended:  # else it is too late for an interrupt, whoever came first: the command has ended by itself
                self._listen()
        return ended

    def _next_deadline(self) -> float:
        """Return the seconds until something must be done if nothing happens."""
        deadline = self._kill_at if self._ending is not None else self._end_at
        return _LONGEST_WAIT if deadline is None else deadline - time.monotonic()

    def _listen(self) -> None:
        assert self._line is not None
        message = message_by(self._line)
        if not message:
            self._pipes.wait_no_more(self._line.fileno())
            self._orphaned()
            return
        interrupt, execution = heard(message)
        if execution != self._order.execution:  # it ended before this came
            return
        if interrupt == Interrupt.KILL:
            self._grace = 0
        self._end(Cancelled() if interrupt == Interrupt.CANCEL else Released())

    def _orphaned(self) -> None:
        """Bound what the command may still take: its run is needed elsewhere."""
        self._grace = min(self._grace, ORPHAN_GRACE)
        if self._ending is not None:
            self._end(self._ending)
            return
        end_at = time.monotonic() + ORPHAN_PATIENCE
        if self._end_at is None or end_at < self._end_at:
            self._end_at, self._overdue = end_at, Lost("the runner died")

    def _end(self, outcome: Outcome) -> None:
        """Begin to end the tree: ask now, insist when the grace period is over."""
        if self.usage is None and self._ending is None:
            failpoint.reach("interrupt-heard")
            self._ending = outcome
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a stopped process cannot act on the first
        self._kill_at = min(self._kill_at or float("inf"), time.monotonic() + self._grace)

    def _sweep(self) -> int:
        """End what is left of the process group and return the wait status of the command."""
        _, status, self.usage = os.wait4(self._pid, 0)
        others = reaped(self._line)
        self.left_nothing = others is not None
        self._has_read = self._has_read and others == 0  # else they may have written since
        if self.left_nothing:
            return status
        self._pipes.wait_no_more(self._exit)
        # An empty group's number could be another's by now only if all numbers had been given out in this moment.
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace
        while self._lives() and time.monotonic() < self._kill_at + 1.0:
            if time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
            self._turn(0.01)  # reading on, so that nobody hangs on a full pipe
        self.left_nothing = is_childless(self._line)
        return status

    def _lives(self) -> bool:
        if is_childless(self._line):  # and reap the orphans that became ours
            return False
        try:
            os.killpg(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # macOS says so for a group of zombies
            return sys.platform != "darwin"
        return True

    def _signal(self, sig: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, sig)

    def _read_rest(self) -> bool:
        """Read what is left in the pipes; return whether that was all."""
        ready = [descriptor for descriptor, _ in self._poll.poll(0) if descriptor in self._streams]
        is_read = [self._read(descriptor, chunks=_LAST_WORDS) for descriptor in ready]
        return all(is_read)

    def _read(self, descriptor: int, *, chunks: int) -> bool:
        """Read so many chunks, at most, of what the job wrote; return whether that was all there was."""
        for _ in range(chunks):
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:  # the chunk before was the last, and full
                return True
            self._outputs.write(self._streams[descriptor], data)
            if len(data) < _CHUNK:
                return True
        return False


class Footprint:
    """The most memory that this process itself has had.

    A command starts as a copy of it, which Linux counts among what the command had: no less can be told of it.
    """

    def __init__(self) -> None:
        self._most = 0

    def beyond(self, max_rss: int) -> int | None:
        """Return the bytes that a child had at most, told in the system's unit; None if it may only have begun so."""
        if sys.platform == "darwin":
            return max_rss
        if max_rss > self._most:  # else we need not ask again: it only grows
            self._most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + _UNCERTAIN_KIB
        return max_rss * 1024 if max_rss > self._most else None


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own has ended, where the system knows that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_childless(line: socket.socket | None) -> bool:
    """Reap the children that have ended; whether that proves that no descendant lives."""
    return reaped(line) is not None


def reaped(line: socket.socket | None) -> int | None:
    """Reap the children that have ended and return how many; None if that does not prove that no descendant lives.

    Only a worker, which has a line, adopts orphans and has no children beside those of its attempt.
    """
    if line is None or sys.platform != "linux":
        return None
    count = 0
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            count += 1
    except ChildProcessError:
        return count
    return None


def exit_notice(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ends."""
    if sys.platform == "darwin":
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        try:
            queue.control([event], 0)
        except ProcessLookupError:  # it has ended already, and waits to be reaped
            ended, writing = os.pipe()
            os.close(writing)
            return ended
        return os.dup(queue.fileno())
    return os.pidfd_open(pid)
