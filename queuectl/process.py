"""The process tree of one attempt: started, read, watched, interrupted, and ended to the last process of its group."""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from shutil import which
from typing import TYPE_CHECKING, Final

from queuectl.job import JobSpec, Run
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut
from queuectl.output import Sink

if TYPE_CHECKING:
    from resource import struct_rusage

LOCK_DESCRIPTOR: Final = 219  # out of the way of what shells and scripts use
NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as a shell says it
_CHUNK = 65536
_LONGEST_WAIT = 3600.0  # poll takes no more than 24 days
_LAST_WORDS = 16  # chunks that are still read when the command has ended: a child may write for ever
_ORPHAN_GRACE = 2.0
_DEFAULTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT, signal.SIGXFSZ)


class Interrupt(StrEnum):
    """What a runner tells the worker of an attempt that is under way."""

    CANCEL = "cancel"  # a person does not want it any more
    RELEASE = "release"  # the runner shuts down: end it within its grace period
    KILL = "kill"  # the runner stops at once


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
        self, run: Run, environment: Mapping[str, str], lock: int, sinks: list[Sink], line: socket.socket | None
    ) -> None:
        self.usage: struct_rusage | None = None
        self._run = run
        self._line = line
        self._grace = run.spec.grace_period
        self._ending: Outcome | None = None
        self._kill_at: float | None = None
        self._streams: dict[int, Sink] = {}
        self._pid = self._spawn(environment, lock, sinks)
        self._exit = _exit_notice(self._pid)
        self._end_at = None if run.spec.timeout is None else time.monotonic() + run.spec.timeout
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
                assert self._run.spec.timeout is not None
                self._end(TimedOut(self._run.spec.timeout))
            if self._kill_at is not None and now >= self._kill_at:
                self._signal(signal.SIGKILL)
                self._kill_at = now + 1.0
        status = self._sweep()
        for descriptor in list(self._streams):
            self._read(descriptor, chunks=_LAST_WORDS)
            self._close(descriptor)
        os.close(self._exit)
        if self._ending is not None:
            return self._ending
        if os.WIFSIGNALED(status):
            return Signalled(os.WTERMSIG(status))
        return Exited(os.waitstatus_to_exitcode(status))

    def _spawn(self, environment: Mapping[str, str], lock: int, sinks: list[Sink]) -> int:
        argv = limited(self._run.spec)
        program = which(argv[0], path=environment.get("PATH")) if "/" not in argv[0] else argv[0]
        pipes = [os.pipe() for _ in sinks]
        for (reading, _), sink in zip(pipes, sinks, strict=True):
            os.set_blocking(reading, False)
            self._streams[reading] = sink
        try:
            with contextlib.chdir(self._run.spec.cwd or "/"):
                if program is None:
                    raise FileNotFoundError
                return os.posix_spawn(
                    program,
                    argv,
                    environment,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_DUP2, pipes[0][1], 1),
                        (os.POSIX_SPAWN_DUP2, pipes[1][1], 2),
                        (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
                    ],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=_DEFAULTS,
                )
        except (OSError, ValueError) as error:
            for reading in list(self._streams):
                self._close(reading)
            raise self._cannot_start(error) from error
        finally:
            for _, writing in pipes:
                os.close(writing)

    def _cannot_start(self, error: OSError | ValueError) -> CannotStart:
        cwd, program = self._run.spec.cwd, self._run.spec.argv[0]
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
            else:
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
            self._grace = min(self._grace, _ORPHAN_GRACE)
            self._end(Lost("the runner died"))
            return
        interrupt, _, execution = message.partition(" ")
        if execution != self._run.execution:  # it ended before this came
            return
        if interrupt == Interrupt.KILL:
            self._grace = 0
        self._end(Cancelled() if interrupt == Interrupt.CANCEL else Released())

    def _end(self, outcome: Outcome) -> None:
        """Begin to end the tree: ask now, insist when the grace period is over."""
        if self.usage is None and self._ending is None:
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
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace
        while self._lives() and time.monotonic() < self._kill_at + 1.0:
            if time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
            self._turn(0.01)  # reading on, so that nobody hangs on a full pipe
        return status

    def _lives(self) -> bool:
        with contextlib.suppress(ChildProcessError):  # orphans that became ours are reaped by us
            while os.waitpid(-self._pid, os.WNOHANG)[0]:
                pass
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

    def _read(self, descriptor: int, *, chunks: int) -> None:
        for _ in range(chunks):
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._close(descriptor)
                return
            self._streams[descriptor].write(data)

    def _close(self, descriptor: int) -> None:
        if self._streams.pop(descriptor, None) is not None:
            with contextlib.suppress(KeyError, AttributeError):
                self._poll.unregister(descriptor)
            os.close(descriptor)


def _exit_notice(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ends."""
    if sys.platform == "darwin":
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        queue.control([event], 0)
        return os.dup(queue.fileno())
    return os.pidfd_open(pid)
