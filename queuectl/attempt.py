"""One attempt: start the command, keep what it writes, end all of it, say how it ended.

Runs in a worker, which does one attempt at a time; uses the standard library only, and never raises.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from shutil import which
from typing import TYPE_CHECKING, Final

from queuectl import clock, fence
from queuectl.envfile import read_env_file
from queuectl.job import Attempt, Run
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut
from queuectl.output import Sink
from queuectl.spool import Spool

if TYPE_CHECKING:
    from resource import struct_rusage

LOCK_DESCRIPTOR: Final = 219  # out of the way of what shells and scripts use
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as a shell says it
_CHUNK = 65536
_LAST_WORDS = 16  # chunks that are still read when the command has ended: a child may write for ever
_ORPHAN_GRACE = 2.0
_DEFAULTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT, signal.SIGXFSZ)


class Interrupt(StrEnum):
    """What a runner tells the worker of an attempt that is under way."""

    CANCEL = "cancel"  # a person does not want it any more
    RELEASE = "release"  # the runner shuts down: end it within its grace period
    KILL = "kill"  # the runner stops at once


def execute(
    run: Run,
    spool: Spool,
    *,
    output_limit: int,
    environ: Mapping[str, str] | None = None,
    line: socket.socket | None = None,
) -> Attempt:
    """Run the command of ``run`` once and return the attempt as it ended.

    ``environ`` is what the job's own variables are added to; if there is none, this process's. Interrupts come
    by ``line``; when its other end closes, the runner has died and the attempt is ended. The end is written
    into the run lock before it is returned.
    """
    started_at, began = clock.now(), time.monotonic()
    sinks = [Sink(spool.output(run.execution, stream), output_limit) for stream in ("stdout", "stderr")]
    lock: int | None = None
    usage: struct_rusage | None = None
    outcome: Outcome
    try:
        lock = fence.take(spool.lock(run.execution))
        if line is not None and _is_closed(line):  # whoever rescues the run from now on finds the lock
            outcome = Released(began=False)
        else:
            environment = _environment(run, spool, own_environment() if environ is None else environ)
            process = _Process(run, environment, lock, sinks, line)
            outcome = process.outcome()
            usage = process.usage
    except _CannotStart as error:
        outcome = Exited(error.code, str(error))
        sinks[1].write(f"queuectl: {error}\n".encode(errors="backslashreplace"))
    except OSError as error:
        outcome = Lost(f"the attempt could not be prepared: {error.strerror}")
    attempt = Attempt(
        number=run.attempts,
        lease=run.lease or 0,
        runner=run.runner or 0,
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=time.monotonic() - began),
        outcome=outcome,
        stdout_bytes=sinks[0].total,
        stderr_bytes=sinks[1].total,
        cpu_seconds=usage and usage.ru_utime + usage.ru_stime,
        max_rss_bytes=usage and usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )
    for sink in sinks:
        sink.close()
    if lock is not None:
        fence.record(lock, attempt)
        os.close(lock)
        _end_daemons(spool.lock(run.execution), run.spec.grace_period)
    return attempt


def _end_daemons(lock: str, grace: float) -> None:
    """End what left the command's session and so its process group: it still has the lock."""
    kill_at = time.monotonic() + grace
    sig = signal.SIGTERM
    while not fence.end_holders(lock, sig) and time.monotonic() < kill_at + 1.0:
        time.sleep(0.01)  # noqa: TID251 - nothing tells us when somebody else's child ends
        sig = signal.SIGKILL if time.monotonic() >= kill_at else signal.SIGCONT


def _is_closed(line: socket.socket) -> bool:
    try:
        return not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


class _CannotStart(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Process:
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
        argv = self._run.spec.argv
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

    def _cannot_start(self, error: OSError | ValueError) -> _CannotStart:
        cwd, program = self._run.spec.cwd, self._run.spec.argv[0]
        if isinstance(error, ValueError):  # a NUL that came from an env_file
            return _CannotStart(_NOT_EXECUTABLE, f"cannot start `{program}`: {error}")
        if cwd and not os.path.isdir(cwd):
            return _CannotStart(_NOT_EXECUTABLE, f"cannot start in `{cwd}`: no such folder")
        if isinstance(error, FileNotFoundError):
            return _CannotStart(_NOT_FOUND, f"cannot start `{program}`: not found")
        return _CannotStart(_NOT_EXECUTABLE, f"cannot start `{program}`: {error.strerror}")

    def _turn(self, seconds: float | None) -> bool:
        """Wait for something to happen, at most so long, and attend to it; return whether the command ended."""
        ended = False
        for descriptor, _ in self._poll.poll(None if seconds is None else max(seconds, 0) * 1000 + 1):
            if descriptor in self._streams:
                self._read(descriptor, chunks=1)
            elif descriptor == self._exit:
                ended = True
            else:
                self._listen()
        return ended

    def _next_deadline(self) -> float | None:
        deadline = self._kill_at if self._ending is not None else self._end_at
        return None if deadline is None else deadline - time.monotonic()

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
        if self.usage is not None:  # the command has ended by itself; what it left is being ended
            return
        if self._ending is None:
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
        kill_at = self._kill_at or time.monotonic() + self._grace
        while self._lives() and time.monotonic() < kill_at + 1.0:
            if time.monotonic() >= kill_at:
                self._signal(signal.SIGKILL)
            self._turn(0.01)  # reading on, so that nobody hangs on a full pipe
        return status

    def _lives(self) -> bool:
        with contextlib.suppress(ChildProcessError):  # orphans that became ours are reaped by us
            while os.waitid(os.P_PGID, self._pid, os.WEXITED | os.WNOHANG):
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


def _environment(run: Run, spool: Spool, environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ``, then the env_file's variables, then the job's, then ours."""
    spec = run.spec
    try:
        from_file = read_env_file(spec.env_file) if spec.env_file else {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise _CannotStart(_NOT_EXECUTABLE, f"cannot read `{spec.env_file}`: {why}") from error
    return {
        **environ,
        **from_file,
        **spec.env,
        "QUEUECTL_DB": spool.database,
        "QUEUECTL_RUN_ID": run.id,
        "QUEUECTL_JOB": run.job.partition("/")[2] if run.job else "",
        "QUEUECTL_MANIFEST": run.manifest or "",
        "QUEUECTL_ATTEMPT": str(run.attempts),
        "QUEUECTL_MAX_ATTEMPTS": str(run.max_attempts),
        "QUEUECTL_SCHEDULED_AT": f"{run.scheduled_at:%Y-%m-%dT%H:%M:%SZ}",
        "QUEUECTL_LOCK": spool.lock(run.execution),
    }


def own_environment() -> dict[str, str]:
    """Return this process's environment, with the folder of its own programs at the end of the path."""
    here = os.path.dirname(sys.executable)
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": path if here in path.split(os.pathsep) else f"{path}{os.pathsep}{here}"}


def _exit_notice(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ends."""
    if sys.platform == "darwin":
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        queue.control([event], 0)
        return os.dup(queue.fileno())
    return os.pidfd_open(pid)
