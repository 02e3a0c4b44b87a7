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
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from queuectl import clock, failpoint, fence, presence
from queuectl.environment import job_environment
from queuectl.job import Attempt, Run
from queuectl.journal import Journal
from queuectl.outcome import Exited, Lost, Outcome, Released
from queuectl.output import Sink
from queuectl.pipes import Pipes
from queuectl.process import NOT_EXECUTABLE, CannotStart, Interrupt, ProcessTree, is_childless
from queuectl.spool import Spool

_LOOK: Final = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)


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
    environ: Mapping[str, str]
    line: socket.socket | None = None
    pipes: Pipes = field(default_factory=Pipes)


def execute(run: Run, bench: Workbench) -> Attempt:
    """Run the command of ``run`` once and return the attempt as it ended; that is written into the journal before."""
    spool, journal, line = bench.spool, bench.journal, bench.line
    started_at, began = clock.now(), time.monotonic()
    sinks = [Sink(spool.output(run.execution, stream), bench.output_limit) for stream in ("stdout", "stderr")]
    lock: int | None = None
    process: ProcessTree | None = None
    outcome: Outcome
    try:
        lock = journal.begin(run.execution)
        failpoint.reach("begin-journalled")
        # Asked only now: whoever settles the run without us, from now on finds that it has begun.
        if _is_withdrawn(run, spool, line):
            outcome = Released(began=False)
        else:
            environment = _environment(run, spool, bench.environ)
            process = ProcessTree(run, environment, lock, sinks, bench.pipes, line)
            outcome = process.outcome()
    except CannotStart as error:
        outcome = Exited(error.code, str(error))
        sinks[1].write(f"queuectl: {error}\n".encode(errors="backslashreplace"))
    except OSError as error:
        outcome = Lost(f"the attempt could not be prepared: {error.strerror}")
    usage = process.usage if process else None
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
    failpoint.reach("end-before-journal")
    journal.end(lock, attempt)
    failpoint.reach("end-journalled")
    if lock is not None:
        os.close(lock)
        if not (process and process.left_nothing) and not is_childless(line):
            _end_daemons(journal.path, spool.mark(run.execution), run.spec.grace_period, line)
    return attempt


def _end_daemons(lock: str, mark: str, grace: float, line: socket.socket | None) -> None:
    """End what left the command's session and so its process group: it still has the lock, or the mark."""
    kill_at = time.monotonic() + grace
    sig = signal.SIGTERM
    while not fence.end_holders(lock, mark, sig) and time.monotonic() < kill_at + 1.0:
        # Nothing tells us when somebody else's child ends, but the runner may be in a hurry.
        if select.select([] if line is None else [line], [], [], 0.01)[0]:
            assert line is not None
            message = line.recv(256)
            if not message or message.startswith(Interrupt.KILL.encode()):
                kill_at, line = min(kill_at, time.monotonic()), None
        sig = signal.SIGKILL if time.monotonic() >= kill_at else signal.SIGCONT
    is_childless(line)


def _is_withdrawn(run: Run, spool: Spool, line: socket.socket | None) -> bool:
    """Whether nobody waits for this attempt any more: the runner is dead, or believes it went down with a worker."""
    if line is None:
        return not presence.is_alive(spool, run.runner or 0)
    withdrawal = f"{Interrupt.WITHDRAW} {run.execution}".encode()
    while True:
        try:
            message = line.recv(256, _LOOK)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        if not message or message == withdrawal:
            return True
        if message.endswith(b" " + run.execution.encode()):  # an interrupt, for the process tree to hear
            return False
        line.recv(256)  # for an execution that is over


def _environment(run: Run, spool: Spool, environ: Mapping[str, str]) -> dict[str, str]:
    try:
        return job_environment(run, spool, environ)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotStart(NOT_EXECUTABLE, f"cannot read `{run.spec.env_file}`: {why}") from error
