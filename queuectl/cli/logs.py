"""What jobs wrote, printed at once or followed while it is written."""

import sys
import time
from typing import Final

from queuectl.cli.session import spool_of
from queuectl.job import Run
from queuectl.output import Follower, read_output
from queuectl.store import Store
from queuectl.visible import visible

_POLL: Final = 0.1


def print_output(store: Store, execution: str, stream: str, *, raw: bool) -> None:
    """Print what is kept of one execution's stream."""
    for data in read_output(spool_of(store).output(execution, stream)):
        _write(data, raw=raw)


def follow_run(store: Store, run: Run, stream: str, *, raw: bool) -> None:
    """Print a stream of the present or last attempt and of those that follow, until the run is in a final state."""
    spool = spool_of(store)
    followers: dict[str, Follower] = {}
    while True:
        run = store.run(run.id)
        # In the order of their leases; of those that ended before we came, only the last is of interest.
        executions = [run.execution_of(attempt) for attempt in store.attempts(run)]
        executions = executions[-1:] if not followers else executions
        if run.lease is not None:
            executions.append(run.execution)
        for execution in executions:
            follower = followers.setdefault(execution, Follower(spool.output(execution, stream)))
            _write(follower.read(), raw=raw)
        if run.state.is_final:
            return
        time.sleep(_POLL)  # noqa: TID251 - a file tells nobody that it has grown


def _write(data: bytes, *, raw: bool) -> None:
    if not data:
        return
    if sys.stdout.isatty() and not raw:
        sys.stdout.write(visible(data.decode(errors="replace"), keep="\n\t"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    sys.stdout.flush()
