"""Runs that are over, deleted with all that is left of them: by people, and by the runner when the settings say so."""

from collections.abc import Sequence
from datetime import datetime

from queuectl.job import Run
from queuectl.output import remove_output
from queuectl.spool import STREAMS, Spool
from queuectl.store import Author, Store


def delete(store: Store, runs: Sequence[Run], *, by: Author, detail: str | None, now: datetime) -> list[Run]:
    """Delete runs, the record of their attempts and what they wrote; return those that were still as they are given.

    The record goes first: what remains of the outputs if this process dies in between, the next sweep finds.
    """
    with store.transaction():
        executions = store.executions(runs)
        gone = store.purge(runs)
        if gone:
            store.record_purge(len(gone), by=by, detail=detail, now=now)
    deleted = {run.number for run in gone}
    spool = Spool(str(store.path))
    for number, lease in executions:
        if number in deleted:
            for stream in STREAMS:
                remove_output(spool.output(f"{number}.{lease}", stream))
    return gone
