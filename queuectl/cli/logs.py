"""What jobs wrote, printed at once or followed while it is written."""

import codecs
import select
import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

from queuectl.cli.session import spool_of
from queuectl.errors import RunNotFound, RunPurged
from queuectl.job import Run
from queuectl.output import Follower, read_output
from queuectl.store import Store
from queuectl.visible import visible

_POLL: Final = 0.1


class _Printer:
    """Takes a stream in pieces and puts it out: on a terminal with control characters escaped, elsewhere as it is."""

    def __init__(self, target: TextIO, *, raw: bool) -> None:
        self._target = target
        self._decode = None if raw or not target.isatty() else codecs.getincrementaldecoder("utf-8")("replace").decode

    def put(self, data: bytes) -> None:
        if not data:
            return
        if self._decode is not None:  # a character may be in two pieces
            self._target.write(visible(self._decode(data), keep="\n\t"))
        else:
            self._target.flush()
            self._target.buffer.write(data)
        self._target.flush()


def print_output(store: Store, execution: str, stream: str, *, raw: bool) -> None:
    """Print what is kept of one execution's stream."""
    printer = _Printer(sys.stdout, raw=raw)
    for data in read_output(spool_of(store).output(execution, stream)):
        printer.put(data)


def follow_run(store: Store, run: Run, streams: Sequence[str], *, raw: bool) -> None:
    """Print streams of the present or last attempt and of those that follow, until the run is in a final state.

    What a job writes to stderr goes to stderr if both streams are followed. Raises RunPurged if the run goes,
    BrokenPipeError if the reader does, even while the job is silent.
    """
    spool = spool_of(store)
    targets = [sys.stderr if stream == "stderr" and len(streams) > 1 else sys.stdout for stream in streams]
    printers = [_Printer(target, raw=raw) for target in targets]
    followers: dict[tuple[str, str], Follower] = {}
    while True:
        try:
            run = store.run(run.id)
        except RunNotFound:
            raise RunPurged(run.id) from None
        # In the order of their leases; of those that ended before we came, only the last is of interest.
        executions = [run.execution_of(attempt) for attempt in store.attempts(run)]
        executions = executions[-1:] if not followers else executions
        if run.lease is not None:
            executions.append(run.execution)
        for execution in executions:
            for stream, printer in zip(streams, printers, strict=True):
                key = (execution, stream)
                printer.put(followers.setdefault(key, Follower(spool.output(*key))).read())
        if run.state.is_final:
            return
        _pause(targets)


def _pause(targets: Iterable[TextIO]) -> None:
    """Wait a moment, since a file tells nobody that it has grown; raises BrokenPipeError once a reader is gone."""
    poll = select.poll()
    for target in targets:
        poll.register(target.fileno(), 0)  # errors are told unasked
    if poll.poll(_POLL * 1000):
        raise BrokenPipeError
