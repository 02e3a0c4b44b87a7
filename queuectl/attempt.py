"""One attempt: start the command, keep what it writes, end all of it, say how it ended.

Runs in a worker, which does one attempt at a time; uses the standard library only, and never raises.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from queuectl import clock, fence
from queuectl.environment import job_environment, own_environment
from queuectl.job import Attempt, Run
from queuectl.outcome import Exited, Lost, Outcome, Released
from queuectl.output import Sink
from queuectl.process import NOT_EXECUTABLE, CannotStart, Interrupt, ProcessTree
from queuectl.spool import Spool

if TYPE_CHECKING:
    from resource import struct_rusage


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
            environment = _environment(run, spool, environ)
            process = ProcessTree(run, environment, lock, sinks, line)
            outcome = process.outcome()
            usage = process.usage
    except CannotStart as error:
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
        _end_daemons(spool.lock(run.execution), run.spec.grace_period, line)
    return attempt


def _end_daemons(lock: str, grace: float, line: socket.socket | None) -> None:
    """End what left the command's session and so its process group: it still has the lock, or is our child by now."""
    kill_at = time.monotonic() + grace
    sig = signal.SIGTERM
    while not fence.end_holders(lock, sig, marked=_has_children()) and time.monotonic() < kill_at + 1.0:
        # Nothing tells us when somebody else's child ends, but the runner may be in a hurry.
        if select.select([] if line is None else [line], [], [], 0.01)[0]:
            assert line is not None
            message = line.recv(256)
            if not message or message.startswith(Interrupt.KILL.encode()):
                kill_at, line = min(kill_at, time.monotonic()), None
        sig = signal.SIGKILL if time.monotonic() >= kill_at else signal.SIGCONT


def _has_children() -> bool:
    """Whether a child is left: a worker adopts the daemons of its jobs, and has no other children between two."""
    if sys.platform != "linux":
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _is_closed(line: socket.socket) -> bool:
    try:
        return not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def _environment(run: Run, spool: Spool, environ: Mapping[str, str] | None) -> dict[str, str]:
    try:
        return job_environment(run, spool, own_environment() if environ is None else environ)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotStart(NOT_EXECUTABLE, f"cannot read `{run.spec.env_file}`: {why}") from error
