"""A worker process: takes runs from the channel, attempts them one after the other, answers by its line."""

import contextlib
import ctypes
import os
import pickle
import select
import signal
import socket
import sys
from typing import Final

from queuectl.attempt import execute
from queuectl.environment import own_environment
from queuectl.spool import Spool

LARGEST_MESSAGE: Final = 1 << 20
_STANDARD_STREAMS: Final = 3
_PR_SET_CHILD_SUBREAPER: Final = 36


def serve(channel: socket.socket, line: socket.socket, spool: Spool, output_limit: int) -> None:
    """Take runs from the channel, one after the other, and answer by the line, until the runner is gone.

    Never returns: whatever happens, the process and with it the line end. That holds from the first moment, since the
    pool calls this as the process starts and not as its first task, which a runner that dies would never send.
    """
    try:
        _adopt(line)
        _serve(channel, line, spool, output_limit)
    finally:
        os._exit(0)


def _adopt(line: socket.socket) -> None:
    """Make this process a worker; the runner alone decides when it ends."""
    line.setblocking(True)
    os.chdir("/")  # where the runner was started may be removed meanwhile
    # What came through the forkserver is inheritable; a job that held our line would hide our death.
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(name), int(name) < _STANDARD_STREAMS)
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    if sys.platform == "linux":  # daemons of jobs become our children, so that we can reap what we end
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _serve(channel: socket.socket, line: socket.socket, spool: Spool, output_limit: int) -> None:
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    waiting.register(line, select.POLLIN)
    environ = own_environment()
    with contextlib.suppress(ConnectionError):
        while True:
            try:
                message = channel.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                ready = [descriptor for descriptor, _ in waiting.poll()]
                if line.fileno() in ready and not line.recv(256):
                    return
                continue
            if not message:
                return
            run = pickle.loads(message)
            line.send(pickle.dumps(run.execution))
            attempt = execute(run, spool, output_limit=output_limit, environ=environ, line=line)
            line.send(pickle.dumps(attempt, pickle.HIGHEST_PROTOCOL))
            _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
