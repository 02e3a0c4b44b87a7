"""A backup put in the place of a queue; what stood there is set aside, never deleted.

The restored queue knows nothing of what ran since the backup was made. What ran at that moment may have done its work
by now, so it counts as interrupted, and with ``retries = 0`` does not begin again. Outputs stay where they are.
"""

import itertools
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from queuectl import presence
from queuectl.aftermath import lost
from queuectl.errors import DatabaseUnavailable, QueuectlError
from queuectl.lifecycle import settle
from queuectl.spool import Spool
from queuectl.store import Store

_MAGIC: Final = b"SQLite format 3\0"
_WITH: Final = ("", "-wal", "-shm")
_CAUSE: Final = "the queue was restored from a backup made during the attempt"


class RunnersAlive(QueuectlError):
    """Runners work on the queue that is to be replaced."""

    def __init__(self, runners: list[int], database: Path) -> None:
        who = f"runner {runners[0]} works" if len(runners) == 1 else f"runners {', '.join(map(str, runners))} work"
        super().__init__(f"{who} on `{database}`", hint="`queuectl worker stop --all`, then restore")


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of it: where the queue before it went, if there was one, and the runs that had been under way."""

    set_aside: Path | None
    interrupted: int


def restore(backup: Path, database: Path, *, now: datetime) -> Restored:
    """Put a copy of ``backup`` in the place of ``database``; raises QueuectlError, and then nothing has changed.

    The backup itself is left as it is.
    """
    spool = Spool(str(database))
    if alive := presence.living(spool):
        raise RunnersAlive(alive, database)
    _refuse_what_is_no_backup(backup)
    draft = database.with_name(f".{database.name}.restoring")
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        shutil.copyfile(backup, _made(draft))
        try:
            interrupted = _brought_up_to_date(draft, now)
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(str(error).replace(str(draft), str(backup)), hint=error.hint) from error
        _sync(draft)
        set_aside = _set_aside(database)
        spool.begin_anew()
        _move(draft, database)
    except BaseException:
        for suffix in _WITH:
            Path(f"{draft}{suffix}").unlink(missing_ok=True)
        raise
    _sync(database.parent)
    return Restored(set_aside, interrupted)


def _refuse_what_is_no_backup(backup: Path) -> None:
    if not backup.is_file():
        raise DatabaseUnavailable(f"there is no backup at `{backup}`")
    if backup.stat().st_size == 0:
        raise DatabaseUnavailable(f"`{backup}` is empty: it is no backup")
    with backup.open("rb") as opened:  # to SQLite itself a single byte is a database without tables
        if opened.read(len(_MAGIC)) != _MAGIC:
            raise DatabaseUnavailable(
                f"`{backup}` is not a SQLite database", hint="restore a copy by `queuectl backup`"
            )
    with suppress(FileNotFoundError):
        if Path(f"{backup}-wal").stat().st_size:  # a plain copy would lack what stands in there
            raise DatabaseUnavailable(f"`{backup}` is in use", hint=f"`queuectl backup --db {backup} FILE` copies it")


def _made(draft: Path) -> Path:
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    return draft


def _brought_up_to_date(draft: Path, now: datetime) -> int:
    """Check a copy, migrate it, and settle what ran as it was made; return how many runs those were."""
    with Store(draft) as store:
        if problems := store.integrity_problems():
            raise DatabaseUnavailable(f"the backup is damaged: {problems[0]}", hint="restore another one")
        with store.transaction():
            runners = store.running_runners()
            runs = [run for runner in runners for run in store.processing_runs(runner.id)]
            attempts = [(run, lost(run, _CAUSE)) for run in runs]
            store.settle([(run, settle(run, each.outcome, now=now, jitter=0.0), each) for run, each in attempts])
            for runner in runners:
                store.stop_runner(runner.id, now=now)
    return len(runs)


def _set_aside(database: Path) -> Path | None:
    """Give the database that is there, if one is, the first free name with a number; return that."""
    if not any(os.path.lexists(f"{database}{suffix}") for suffix in _WITH):
        return None
    names = (Path(f"{database}.{number}") for number in itertools.count(1))
    free = next(name for name in names if not any(os.path.lexists(f"{name}{suffix}") for suffix in _WITH))
    _move(database, free)
    return free


def _move(database: Path, target: Path) -> None:
    for suffix in reversed(_WITH):  # the database last: without its -wal it must not be opened
        with suppress(FileNotFoundError):
            Path(f"{database}{suffix}").rename(f"{target}{suffix}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
