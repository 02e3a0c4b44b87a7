"""One worker as its runner sees it: a process at the other end of a line.

The end of the line is the end of the worker: futures and exit codes are not believed.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Final

from queuectl import failpoint, fence
from queuectl.job import Run
from queuectl.journal import is_execution, is_record, number_in
from queuectl.process import Interrupt
from queuectl.spool import Spool
from queuectl.worker import LARGEST_MESSAGE, serve

# Messages keep their bounds. macOS has no SOCK_SEQPACKET for local sockets; its datagrams serve as well.
KIND: Final = socket.SOCK_SEQPACKET if sys.platform != "darwin" else socket.SOCK_DGRAM
_ANSWERS_WITHIN: Final = 5.0  # seconds beyond what an attempt may take to end
_FILES: Final = 32
_FILES_EACH: Final = 10  # a socket, and what a ProcessPoolExecutor needs
# Kept: `recv` would get as much memory each time, and give it back.
_buffer: Final = memoryview(bytearray(LARGEST_MESSAGE))
_GENTLE: Final = (Interrupt.CANCEL, Interrupt.RELEASE)


def files_needed(workers: int) -> int:
    """Return how many files a runner with so many workers may have to have open at a time."""
    return _FILES + workers * _FILES_EACH


class Line:
    """A worker of a runner by its number, from its start to the end of its line.

    ``journal`` is what the names of its journal's files begin with.

    One that has not spoken after ``speaks_within`` seconds is taken to hang.
    """

    def __init__(
        self,
        worker: int,
        journal: str,
        channel: socket.socket,
        spool: Spool,
        context: BaseContext,
        *,
        output_limit: int,
        speaks_within: float,
    ) -> None:
        self.worker = worker
        self.run: Run | None = None
        """What it is doing."""
        self.is_open = True
        self.has_spoken = False
        self._answers_by: float | None = time.monotonic() + speaks_within  # else it hangs
        self._pid: int | None = None
        self._journal = journal
        self._file = self._oldest_file = 1
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, KIND)
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_MESSAGE)
        self._socket.setblocking(False)
        failpoint.reach("worker-before-start")
        with _quiet_helpers():
            self._executor = ProcessPoolExecutor(1, context, serve, (channel, theirs, spool, journal, output_limit))
            forkserver.ensure_running()
        # In a thread, since who asks a forkserver that hangs waits for it.
        self._starting = threading.Thread(target=self._start, args=(theirs,), daemon=True)
        self._starting.start()
        failpoint.reach("worker-started")

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the worker says something."""
        return self._socket.fileno()

    def hear(self) -> Iterator[bytes]:
        """Yield what the worker has said: the names of executions that begin, and records of those that ended."""
        was_reset = False
        while self.is_open:
            try:
                length = self._socket.recv_into(_buffer)
            except BlockingIOError:
                return
            except ConnectionError:
                if not was_reset:  # told once, before what it said, of a worker that died with something unread
                    was_reset = True
                    continue
                length = 0
            message = bytes(_buffer[:length])
            self.is_open = bool(message)
            self.has_spoken |= self.is_open
            for line in message.split(b"\n") if message else ():
                if is_record(line) or is_execution(line):
                    yield line
                else:
                    self._pid = number_in(line, "worker") or self._pid
                    self._file = number_in(line, "file") or self._file
            if self.run is None:
                self._answers_by = None

    def began(self, run: Run) -> None:
        """Take note of what the worker does; it must not take longer than the run's time-out says."""
        self.run = run
        spec = run.spec
        self._answers_by = None if spec.timeout is None else _by(spec.timeout + spec.grace_period)

    def ended(self) -> Run | None:
        """Take note that the attempt has ended, and return its run."""
        run, self.run, self._answers_by = self.run, None, None
        return run

    def tell(self, interrupt: Interrupt, run: Run) -> None:
        """Interrupt an execution; a worker that does not end it in time is taken to hang."""
        is_idle = self.has_spoken and self.run is None
        if interrupt is not Interrupt.WITHDRAW or is_idle:  # who is busy, or starts, need not answer that at once
            due = _by(run.spec.grace_period if interrupt in _GENTLE else 0)
            self._answers_by = min(self._answers_by or due, due)
        failpoint.reach("interrupt-before-told")
        try:
            self._socket.send(f"{interrupt} {run.execution}".encode())
        except BlockingIOError:  # it has not listened for a million messages
            self._kill()
        except OSError:  # it died: its line says so
            pass

    def patience(self) -> float | None:
        """Return in how many seconds the worker must have answered, if it must."""
        return None if self._answers_by is None else max(self._answers_by - time.monotonic(), 0)

    def kill_if_hanging(self) -> None:
        """End a worker that was stopped, or is stuck: whatever its attempt was is then fenced."""
        if self._answers_by is not None and time.monotonic() >= self._answers_by:
            self._answers_by = None
            self._kill()

    def forget(self) -> None:
        """Remove what the journal says of attempts that ended: all that was heard is stored."""
        for file in range(self._oldest_file, self._file):
            fence.forget(f"{self._journal}.{file}")
        self._oldest_file = self._file

    def close(self) -> None:
        """Let go of a worker whose line has ended."""
        self._socket.close()
        self._executor.shutdown(wait=False)

    def hang_up(self) -> None:
        """Let the worker end what it does, and itself."""
        with contextlib.suppress(OSError):  # it is gone already
            self._socket.shutdown(socket.SHUT_WR)

    def wait(self, deadline: float) -> None:
        """Wait until the worker has ended; it is killed when the deadline has passed."""
        try:
            heard = b"?"
            while heard:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                heard = self._socket.recv(LARGEST_MESSAGE)
        except TimeoutError:
            self._kill()
        except OSError:  # it was killed
            pass
        self._socket.close()

    def let_go(self) -> None:
        """Give back what the worker's process was started with; takes until the forkserver says that it has ended."""
        self._starting.join()
        self._executor.shutdown(wait=True)

    def _start(self, theirs: socket.socket) -> None:
        # If the forkserver dies at this moment there is no worker: its line ends, and it is replaced as any other.
        with contextlib.suppress(OSError, EOFError):
            self._executor.submit(os.getpid)  # the first task starts the process, which never comes to it
            self._pid = next(iter(self._executor._processes), None)  # noqa: SLF001 - until it tells us itself
        theirs.close()

    def _kill(self) -> None:
        if self._starting.is_alive():
            end_forkserver()
            return
        # As long as the line is open the worker lives, and its number is its own.
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)


def _by(seconds: float) -> float:
    return time.monotonic() + seconds + _ANSWERS_WITHIN


def end_forkserver() -> None:
    """Kill the process that workers come from: it hangs. The next worker gets a new one; those there are live on."""
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)  # noqa: SLF001 - nothing public tells
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _quiet_helpers() -> Iterator[None]:
    """Start multiprocessing's helpers with nothing but /dev/null.

    They outlive a reader of ours, as in `queuectl run | head`, and complain when we are killed.
    """
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
