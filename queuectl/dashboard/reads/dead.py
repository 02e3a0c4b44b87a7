"""The dead letter queue: the dead runs by what they died of, and what the newest of each wrote last."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from queuectl.job import State
from queuectl.output import read_end
from queuectl.spool import STREAMS, Spool
from queuectl.store.archive import Archive, DeadGroup
from queuectl.visible import visible

MOST: Final = 10_000
"""So many of the newest dead runs are grouped."""

_LAST_WORDS: Final = 4 << 10
_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Dead:
    """The dead runs in groups, the one that grew last first; ``count`` is how many there are in all."""

    now: datetime
    count: int
    groups: tuple[DeadGroup, ...]


def dead(store: Archive, now: datetime) -> Dead:
    """Return the dead letter queue."""
    return Dead(now, store.counts()[State.DEAD], tuple(store.dead_groups(limit=MOST)))


def last_words(store: Archive, now: datetime, run_id: str) -> str:  # noqa: ARG001 - what is read is read for a moment
    """Return the last lines that the last attempt of a run wrote, to stderr if to that."""
    run = store.run(run_id)
    attempts = store.attempts(run)
    if not attempts:
        return ""
    spool = Spool(str(store.path))
    for stream in reversed(STREAMS):
        _, end = read_end(spool.output(run.execution_of(attempts[-1]), stream), _LAST_WORDS)
        if end:
            return "\n".join(visible(end.decode(errors="replace"), keep="\n\t").splitlines()[-_LINES:])
    return ""
