"""One attempt: start the command, keep what it writes, end all of it, say how it ended.

Runs in a worker, which does one attempt at a time; uses the standard library only, and never raises.
"""

import select
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from queuectl import clock, failpoint, fence, presence
from queuectl.environment import job_environment
from queuectl.journal import Journal, record_line
from queuectl.order import Order
from queuectl.outcome import NEVER_BEGAN, Exited, Lost, Outcome, Released
from queuectl.output import Outputs
from queuectl.pipes import Pipes
from queuectl.process import (
    NOT_EXECUTABLE,
    CannotStart,
    Footprint,
    Interrupt,
    ProcessTree,
    heard,
    is_childless,
    message_by,
)
from queuectl.spool import Spool

_TROUBLE_WAIT: Final = 1000  # milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What the attempts of one worker have in common.

    ``environ`` is what the job's own variables are added to. The other end of ``line`` is the runner's: interrupts
    come by it, and when it closes, the runner has died and the attempt is ended. A process with a line does nothing
    else, and adopts what its jobs leave behind.
    """

    spool: Spool
    journal: Journal
    output_limit: int
    environ: Mapping[bytes, bytes]
    line: socket.socket | None = None
    pipes: Pipes = field(default_factory=Pipes)
    footprint: Footprint = field(default_factory=Footprint)


def execute(order: Order, bench: Workbench) -> bytes:
    """Run a command once and return the line that tells how that ended; it is written into the journal before.

    The process is left in the folder of the command.
    """
    journal, line = bench.journal, bench.line
    started_at, began = clock.micros(), time.monotonic_ns()
    outputs = Outputs(bench.spool, order.execution, bench.output_limit)
    lock: int | None = None
    process: ProcessTree | None = None
    outcome: Outcome
    try:
        lock = journal.begin(order.execution)
        failpoint.reach("begin-journalled")
        # Asked only now: whoever settles the run without us, from now on finds that it has begun.
        if _is_withdrawn(order, bench.spool, line):
            outcome = NEVER_BEGAN
        else:
            process = ProcessTree(order, _environment(order, bench.environ), lock, outputs, bench.pipes, line)
            outcome = process.outcome()
    except CannotStart as error:
        outcome = Exited(error.code, str(error))
        outputs.write("stderr", f"queuectl: {error}\n".encode(errors="backslashreplace"))
    except OSError as error:
        if lock is None:  # a full disk, too many files: nothing was started, and nothing else need be tried at once
            _is_called(line, within=_TROUBLE_WAIT)
            outcome = Released(began=False, trouble=error.strerror)
        else:
            bench.pipes.close()  # there may be something in them
            outcome = Lost(f"the attempt could not be prepared: {error.strerror}")
    usage = process.usage if process else None
    record = record_line(
        order.lease,
        order.number,
        order.runner,
        started_at,
        started_at + (time.monotonic_ns() - began) // 1000,
        outcome,
        outputs.total("stdout"),
        outputs.total("stderr"),
        usage and round((usage.ru_utime + usage.ru_stime) * 1_000_000),
        usage and bench.footprint.beyond(usage.ru_maxrss),
    )
    outputs.close()
    failpoint.reach("end-before-journal")
    journal.end(record)
    failpoint.reach("end-journalled")
    if lock is not None and not (process and process.left_nothing):
        journal.let_go()
        if not is_childless(line):
            _end_daemons(journal.path, bench.spool.mark(order.execution), order.grace_period, line)
    return record


def _end_daemons(lock: str, mark: str, grace: float, line: socket.socket | None) -> None:
    """End what left the command's session and so its process group: it still has the lock, or the mark."""
    kill_at = time.monotonic() + grace
    sig = signal.SIGTERM
    while not fence.end_holders(lock, mark, sig) and time.monotonic() < kill_at + 1.0:
        # Nothing tells us when somebody else's child ends, but the runner may be in a hurry.
        if _is_called(line, within=10):
            assert line is not None
            message = message_by(line)
            if not message or message.startswith(Interrupt.KILL.encode()):
                kill_at, line = min(kill_at, time.monotonic()), None
        sig = signal.SIGKILL if time.monotonic() >= kill_at else signal.SIGCONT
    is_childless(line)


def _is_withdrawn(order: Order, spool: Spool, line: socket.socket | None) -> bool:
    """Whether nobody waits for this attempt any more: the runner is dead, or believes it went down with a worker."""
    if line is None:
        return not presence.is_alive(spool, order.runner)
    while _is_called(line, within=0):
        message = message_by(line, socket.MSG_PEEK)
        interrupt, execution = heard(message)
        if not message or (execution == order.execution and interrupt == Interrupt.WITHDRAW):
            return True
        if execution == order.execution:  # an interrupt, for the process tree to hear
            return False
        line.recv(256)  # for an execution that is over
    return False


def _is_called(line: socket.socket | None, *, within: int) -> bool:
    """Whether the runner says something, or dies, within so many milliseconds; without a line those pass."""
    waiting = select.poll()
    if line is not None:
        waiting.register(line, select.POLLIN)
    return bool(waiting.poll(within))


def _environment(order: Order, environ: Mapping[bytes, bytes]) -> dict[bytes, bytes | str]:
    try:
        return job_environment(order, environ)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotStart(NOT_EXECUTABLE, f"cannot read `{order.env_file}`: {why}") from error
