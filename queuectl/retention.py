"""What is kept for how long: the settings of `[retention]`, carried out piece by piece.

A piece is short, since the runner has better things to do; between two pieces it does them.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from queuectl import presence
from queuectl.author import person
from queuectl.durations import format_duration
from queuectl.job import State
from queuectl.purge import delete
from queuectl.spool import Spool
from queuectl.store import Store

_STRETCH: Final = 100  # runs that are looked at in one piece
_PATIENCE: Final = 4  # times as long as a piece took
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_OUTPUT: Final = re.compile(r"([0-9]{1,18})\.[0-9]{1,18}\.(?:stdout|stderr)(?:\.tail)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long runs in each final state are kept; those that are not named are kept for ever.

    ``keep`` runs of each job, the newest, are kept whatever their age.
    """

    ages: Mapping[State, timedelta]
    keep: int


FOR_EVER: Final = Retention(ages={}, keep=0)


def retention_of(settings: Mapping[str, Any]) -> Retention:
    """Return what the keys of `[retention]` say; durations are in seconds there."""
    ages = {
        State(key): timedelta(seconds=value) for key, value in settings.items() if key != "keep" and value is not None
    }
    return Retention(ages=ages, keep=settings["keep"])


class Sweeper:
    """Sweeps on behalf of a runner: a piece at a time, and four fifths of the time not at all."""

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store = store
        self._retention = retention
        self._pieces: Iterator[int] | None = None
        self._next_at = 0.0  # by the monotonic clock

    def turn(self, *, begins: bool, now: datetime) -> None:
        """Do the next piece if there is one and its time has come; with ``begins`` start to sweep, unless it is at it.

        Raises DatabaseBusy, DatabaseUnavailable and OSError; the rest is then left to the next sweep.
        """
        if begins and self._pieces is None:
            self._pieces = sweep(self._store, self._retention, now=now)
        began = time.monotonic()
        if self._pieces is None or began < self._next_at:
            return
        pieces, self._pieces = self._pieces, None
        if next(pieces, None) is not None:
            self._pieces = pieces
            took = time.monotonic() - began
            self._next_at = began + took + min(max(took * _PATIENCE, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    def patience(self) -> float | None:
        """Return for how many seconds there is nothing to do; None if there is nothing at all."""
        return None if self._pieces is None else max(self._next_at - time.monotonic(), 0.0)


def sweep(store: Store, retention: Retention, *, now: datetime) -> Iterator[int]:
    """Yield, piece by piece, how many runs were deleted: those that are older than they are kept.

    In the end what runs and runners left behind that are gone is removed as well, if their process died in between.
    """
    by = person("runner")
    for state, age in retention.ages.items():
        detail = f"{state} for more than {format_duration(age.total_seconds())}"
        after = None
        while stretch := store.expired(state, before=now - age, after=after, keep=retention.keep, limit=_STRETCH):
            runs = store.numbered([each.number for each in stretch if not each.is_kept])
            yield len(delete(store, runs, by=by, detail=detail, now=now))
            after = stretch[-1]
    yield from _sweep_outputs(store)
    _sweep_runners(store)


def _sweep_outputs(store: Store) -> Iterator[int]:
    root = Path(Spool(str(store.path)).root, "output")
    for shard in _listed(root):
        if shard.isdigit():
            _sweep_shard(store, root / shard, int(shard) * 1000)
            yield 0


def _sweep_shard(store: Store, folder: Path, first: int) -> None:
    """Remove the outputs of runs that are gone, and the folder if no run will write into it any more."""
    # The files first: a run is stored before it writes, so that what is not there then has been deleted.
    files = _listed(folder)
    newest, known = store.numbers_between(first, first + 999)
    for name in files:
        owner = _OUTPUT.fullmatch(name)
        if owner and int(owner[1]) not in known and int(owner[1]) <= newest:
            (folder / name).unlink(missing_ok=True)
    if not known and first + 999 < newest:
        with suppress(OSError):  # something else lies there, and is not ours to remove
            folder.rmdir()


def _sweep_runners(store: Store) -> None:
    """Remove the locks, bells and journals of runners of which it is stored that nothing is left to do."""
    spool = Spool(str(store.path))
    found = {name.partition(".")[0] for kind in ("runners", "running") for name in _listed(Path(spool.root, kind))}
    for runner in store.stopped_runners([int(name) for name in found if name.isdigit()]):
        presence.forget(spool, runner)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []
