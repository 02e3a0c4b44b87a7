"""A worker process: takes runs from the channel, attempts them one after the other, answers by its line."""

import contextlib
import gc
import os
import select
import signal
import socket
from typing import Final

from queuectl import failpoint
from queuectl.attempt import Workbench, execute
from queuectl.environment import base_environment
from queuectl.journal import Journal, file_line, hello
from queuectl.order import Order, unpack
from queuectl.process import adopt_orphans
from queuectl.spool import DEATH, Spool, wake_runners

LARGEST_MESSAGE: Final = 1 << 20
_STANDARD_STREAMS: Final = 3
_ORPHAN_ENDS_WITHIN: Final = 5  # seconds


def serve(channel: socket.socket, line: socket.socket, spool: Spool, journal: str, output_limit: int) -> None:
    """Take runs from the channel, one after the other, and answer by the line, until the runner is gone.

    ``journal`` is what the names of the journal's files begin with. Never returns: whatever happens, the process and
    with it the line end. That holds from the first moment, since the pool calls this as the process starts and not as
    its first task, which a runner that dies would never send.
    """
    try:
        _adopt(line)
        failpoint.reach("worker-before-hello")
        bench = Workbench(
            spool=spool, journal=Journal(journal), output_limit=output_limit, environ=base_environment(), line=line
        )
        _serve(channel, line, bench)
        signal.alarm(_ORPHAN_ENDS_WITHIN)  # nobody is left who could end us if we hang
        failpoint.reach("runner-gone")
        wake_runners(spool, DEATH)  # whoever is left need not wait for its next look
    finally:
        os._exit(0)


def _adopt(line: socket.socket) -> None:
    """Make this process a worker; the runner alone decides when it ends."""
    line.setblocking(True)
    os.setsid()  # no job gets a terminal, or the signals that come from one
    os.chdir("/")  # where the runner was started may be removed meanwhile
    # What came through the forkserver is inheritable; a job that held our line would hide our death.
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(name), int(name) < _STANDARD_STREAMS)
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    adopt_orphans()
    gc.freeze()  # what is there now stays; nobody need look through it again


def _serve(channel: socket.socket, line: socket.socket, bench: Workbench) -> None:
    buffer = memoryview(bytearray(LARGEST_MESSAGE))  # kept: `recv` would get as much memory each time, and give it back
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    waiting.register(line, select.POLLIN)
    news = [hello()]
    with contextlib.suppress(ConnectionError):
        while True:
            order = _take(channel, buffer)
            if order is not None:
                failpoint.reach("run-taken")
                news.append(order.execution.encode())
            if news:  # one message: how the last one ended, and what begins now
                line.send(b"\n".join(news))
            if order is not None:
                failpoint.reach("begin-told")
                file = bench.journal.file
                ended = execute(order, bench)
                failpoint.reach("end-before-told")
                news = [ended] if bench.journal.file == file else [file_line(bench.journal), ended]
                continue
            news = []
            bench.journal.let_go()
            os.chdir("/")  # the last job's folder may be removed, or be on a disk that somebody wants to take out
            ready = [descriptor for descriptor, _ in waiting.poll()]
            if line.fileno() in ready:
                if not line.recv(256):
                    return
                news = [hello()]  # what we are told concerns us no more, but not to answer means to hang


def _take(channel: socket.socket, buffer: memoryview) -> Order | None:
    try:
        length = channel.recv_into(buffer)
    except BlockingIOError:
        return None
    if not length:
        raise ConnectionResetError
    return unpack(buffer[:length])
