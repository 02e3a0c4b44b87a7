"""What a queue remembers of its jobs, read without a trace: nothing is written, made or migrated."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import apsw

from queuectl.errors import DatabaseBusy
from queuectl.store.database import Database, connect
from queuectl.store.statements import statements

NEWEST: Final = 1000
"""So many attempts of a job count: what it took long ago says little about tomorrow."""

_TRIES: Final = 3
_BUSY_MILLISECONDS: Final = 5000
_FLAGS: Final = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def past_seconds(path: Path, jobs: Iterable[str]) -> dict[str, list[float]]:
    """Return how long the newest attempts of jobs took, in seconds, by full name; none of those without a history.

    A queue that does not exist has no history. Raises DatabaseBusy if others open and close it all the time.
    """
    names = list(jobs)
    for _ in range(_TRIES):
        if not path.exists():
            return {}
        before = _fingerprint(path)
        with Untouched(path) as queue:
            found = {name: seconds for name in names if (seconds := queue.seconds_of(name))}
        # A file that nobody had open is read without locks: true only if nobody opened it meanwhile.
        if not queue.is_unlocked or _fingerprint(path) == before:
            return found
    raise DatabaseBusy(str(path))


class Untouched(Database):
    """A queue to read and leave as it is, whichever of our schemas it has."""

    def __init__(self, path: Path) -> None:
        # Not as any other: even a reader makes a -wal and a -shm where there are none, unless it is told that nobody
        # writes, and what an older queuectl left is not migrated.
        self.path = path
        self.is_unlocked = not Path(f"{path.resolve()}-wal").exists()
        self._statements = statements()
        self._is_within = False
        self._connection = connect(f"{path.absolute().as_uri()}?immutable={self.is_unlocked:d}", path, _FLAGS)
        try:
            self._connection.set_busy_timeout(_BUSY_MILLISECONDS)
            self._is_empty = self._version() == 0
        except BaseException:
            self._connection.close()
            raise

    def seconds_of(self, job: str) -> list[float]:
        """Return how long the newest attempts of a job took that ended by themselves or by their time-out."""
        if self._is_empty:
            return []
        manifest, _, name = job.partition("/")
        rows = self._all("past_attempts", {"manifest": manifest, "name": name, "limit": NEWEST})
        return [micros / 1_000_000 for (micros,) in rows]


def _fingerprint(path: Path) -> tuple[object, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, Path(f"{path.resolve()}-wal").exists()
