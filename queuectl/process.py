"""The process tree of one attempt: started, read, watched, interrupted, and ended to the last process of its group."""

import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from queuectl import failpoint
from queuectl.job import Run
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut
from queuectl.output import Sink
from queuectl.pipes import Pipes
from queuectl.spec import JobSpec

if TYPE_CHECKING:
    from resource import struct_rusage

# Out of the way of what shells and scripts use.
_LOCK_DESCRIPTOR: Final = min(219, os.sysconf("SC_OPEN_MAX") - 1) if os.sysconf("SC_OPEN_MAX") > 0 else 219
NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as a shell says it
_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST_NAME: Final = 200  # as it is told
_CHUNK = 65536
_LONGEST_WAIT = 3600.0  # poll takes no more than 24 days
_LAST_WORDS = 16  # chunks that are still read when the command has ended: a child may write for ever
ORPHAN_PATIENCE: Final = 0.5
"""The seconds that a job goes on undisturbed after its runner died: most jobs are short."""
ORPHAN_GRACE: Final = 1.0
"""The seconds that it then has from SIGTERM to SIGKILL, if it may have so many."""
_DEFAULTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT, signal.SIGXFSZ)


class Interrupt(StrEnum):
    """What a runner tells the worker of an attempt that is under way."""

    CANCEL = "cancel"  # a person does not want it any more
    RELEASE = "release"  # the runner shuts down: end it within its grace period
    KILL = "kill"  # the runner stops at once
    WITHDRAW = "withdraw"  # do not begin it: the runner has given it up


class CannotStart(Exception):
    """The command never started; ``code`` is the exit code that a shell would give."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def limited(spec: JobSpec) -> tuple[str, ...]:
    """Return the program to start and its arguments, behind a shell that sets the limits first if there are any.

    A shell can do that between the fork and the command; we cannot, since nothing of ours runs there.
    """
    limits = spec.limits
    if not limits:
        return spec.argv
    settings = {
        "-v": None if limits.memory is None else limits.memory // 1024,
        "-t": limits.cpu,
        "-n": limits.open_files,
    }
    steps = [f"ulimit {option} {value}" for option, value in settings.items() if value is not None]
    nice = () if limits.nice is None else ("nice", "-n", str(limits.nice))
    return ("/bin/sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *nice, *spec.argv)


class ProcessTree:
    """The process tree of one attempt."""

    def __init__(
        self,
        run: Run,
        environment: Mapping[str, str],
        lock: int,
        sinks: list[Sink],
        pipes: Pipes,
        line: socket.socket | None,
    ) -> None:
        self.usage: struct_rusage | None = None
        self.left_nothing = False
        """Whether it is proved that no process of the attempt lives any more."""
        self._run = run
        self._pipes = pipes
        self._line = line
        self._grace = run.spec.grace_period
        self._ending: Outcome | None = None
        self._kill_at: float | None = None
        ends = pipes.open()
        self._streams = dict(zip((reading for reading, _ in ends), sinks, strict=True))
        failpoint.reach("command-before-spawn")
        self._pid = self._spawn(environment, lock, [writing for _, writing in ends])
        failpoint.reach("command-spawned")
        self._exit = exit_notice(self._pid)
        self._end_at: float | None = None
        self._overdue: Outcome | None = None  # what it is if it has not ended by then
        if run.spec.timeout is not None:
            self._end_at, self._overdue = time.monotonic() + run.spec.timeout, TimedOut(run.spec.timeout)
        self._poll = select.poll()
        for descriptor in (*self._streams, self._exit):
            self._poll.register(descriptor, select.POLLIN)
        if line is not None:
            self._poll.register(line, select.POLLIN)

    def outcome(self) -> Outcome:
        """Wait until the command has ended, end what it left behind, and return how it ended."""
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
        if not (self._read_rest() and self.left_nothing):
            self._pipes.close()
        os.close(self._exit)
        if self._ending is not None:
            return self._ending
        if os.WIFSIGNALED(status):
            return Signalled(os.WTERMSIG(status))
        return Exited(os.waitstatus_to_exitcode(status))

    def _spawn(self, environment: Mapping[str, str], lock: int, streams: Sequence[int]) -> int:
        argv = limited(self._run.spec)
        here, folder = os.getcwd(), self._run.spec.cwd or "/"
        try:
            if folder != here:
                os.chdir(folder)
            return os.posix_spawn(
                _program(argv[0], environment.get("PATH", os.defpath)),
                argv,
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    *((os.POSIX_SPAWN_DUP2, writing, number) for number, writing in enumerate(streams, start=1)),
                    (os.POSIX_SPAWN_DUP2, lock, _LOCK_DESCRIPTOR),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULTS,
            )
        except (OSError, ValueError) as error:
            raise self._cannot_start(error) from error
        finally:
            if folder != here:
                os.chdir(here)

    def _cannot_start(self, error: OSError | ValueError) -> CannotStart:
        cwd, program = self._run.spec.cwd, self._run.spec.argv[0][:_LONGEST_NAME]
        if isinstance(error, ValueError):  # a NUL that came from an env_file
            return CannotStart(NOT_EXECUTABLE, f"cannot start `{program}`: {error}")
        if cwd and not os.path.isdir(cwd):
            return CannotStart(NOT_EXECUTABLE, f"cannot start in `{cwd}`: no such folder")
        if isinstance(error, FileNotFoundError):
            return CannotStart(_NOT_FOUND, f"cannot start `{program}`: not found")
        return CannotStart(NOT_EXECUTABLE, f"cannot start `{program}`: {error.strerror}")

    def _turn(self, seconds: float) -> bool:
        """Wait for something to happen, at most so long, and attend to it; return whether the command ended."""
        ended = False
        for descriptor, _ in self._poll.poll(min(max(seconds, 0), _LONGEST_WAIT) * 1000 + 1):
            if descriptor in self._streams:
                self._read(descriptor, chunks=1)
            elif descriptor == self._exit:
                ended = True
            elif not ended:  # else it is too late for an interrupt, whoever came first: the command has ended by itself
                self._listen()
        return ended

    def _next_deadline(self) -> float:
        """Return the seconds until something must be done if nothing happens."""
        deadline = self._kill_at if self._ending is not None else self._end_at
        return _LONGEST_WAIT if deadline is None else deadline - time.monotonic()

    def _listen(self) -> None:
        assert self._line is not None
        message = self._line.recv(256).decode()
        if not message:
            self._poll.unregister(self._line)
            self._orphaned()
            return
        interrupt, _, execution = message.partition(" ")
        if execution != self._run.execution:  # it ended before this came
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
        """End what is left of the process group and return the wait status of the command.

        As long as the command is not waited for, its number and so the group's cannot be given to another.
        """
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        self._poll.unregister(self._exit)
        _, status, usage = os.wait4(self._pid, 0)
        self.usage = usage
        self.left_nothing = is_childless(self._line)
        if self.left_nothing:
            return status
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
        try:  # noqa: SIM105 - twice an attempt
            os.killpg(self._pid, sig)
        except (ProcessLookupError, PermissionError):
            pass

    def _read_rest(self) -> bool:
        """Read what is left in the pipes; return whether that was all."""
        ready = [descriptor for descriptor, _ in self._poll.poll(0) if descriptor in self._streams]
        is_read = [self._read(descriptor, chunks=_LAST_WORDS) for descriptor in ready]
        return all(is_read)

    def _read(self, descriptor: int, *, chunks: int) -> bool:
        """Read so many chunks, at most, of what the job wrote; return whether that was all there was."""
        for _ in range(chunks):
            data = os.read(descriptor, _CHUNK)
            self._streams[descriptor].write(data)
            if len(data) < _CHUNK:
                return True
        return False


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own has ended, where the system knows that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_childless(line: socket.socket | None) -> bool:
    """Reap the children that have ended; whether that proves that no descendant lives.

    Only a worker, which has a line, adopts orphans and has no children beside those of its attempt.
    """
    if line is None or sys.platform != "linux":
        return False
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _program(name: str, path: str) -> str:
    """Return the program to start; raises FileNotFoundError."""
    if "/" in name:
        return name
    for folder in path.split(os.pathsep):
        found = f"{folder or '.'}/{name}"
        if os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    raise FileNotFoundError


def exit_notice(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ends."""
    if sys.platform == "darwin":
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        queue.control([event], 0)
        return os.dup(queue.fileno())
    return os.pidfd_open(pid)
