"""One SQLite connection: opened safely, brought to the present schema, its errors put into our words."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import apsw

from queuectl import failpoint
from queuectl.errors import DatabaseBusy, DatabaseTooNew, DatabaseUnavailable, QueuectlError
from queuectl.mounts import NETWORK, file_system
from queuectl.spool import Spool
from queuectl.store.statements import migrations, statements
from queuectl.store.trouble import ELSEWHERE, explained, is_reading, refuse_device, refuse_truncated

_APPLICATION_ID: Final = 0x71637431  # "qct1", so that `file` and we can tell whose database it is

_BUSY_PAUSE: Final = 0.005
_FOR_WRITING: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE

Parameters = Mapping[str, Any]


class Database:
    """A connection that is used by one thread.

    Every statement is one of the named ones in ``sql/``. Raises DatabaseBusy when another program
    holds the database for longer than ``busy_timeout`` seconds, DatabaseUnavailable when it
    cannot be opened or used.
    """

    def __init__(
        self,
        path: Path,
        *,
        create: bool = True,
        read_only: bool = False,
        busy_timeout: float = 5.0,
        durability: str = "full",
    ) -> None:
        """Open the queue at ``path``; without ``create`` a missing one reads as empty and is not made.

        With ``read_only`` SQLite itself refuses to write, so a queue that is missing or of an older schema is refused.
        With the ``durability`` "full" every commit is on the disk when it is acknowledged; with "normal" a power cut
        may lose the latest, though never leave the file damaged.
        """
        self.path = path
        self._is_read_only = read_only
        self._busy_timeout = busy_timeout
        self.durability = durability
        self._statements = statements()
        self._is_within = False
        where = str(path)
        if _exists(path):
            refuse_device(path)
            refuse_truncated(path)
        elif read_only:
            raise _missing(path)
        elif create:
            _refuse_network(path)
            _make_folder(path.parent)
        else:
            where = ":memory:"
        with _private_files():
            self._connection = connect(where, path, apsw.SQLITE_OPEN_READONLY if read_only else _FOR_WRITING)
            try:
                self._connection.set_busy_timeout(round(busy_timeout * 1000))
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        self._identity = _identity(path)

    def close(self) -> None:
        """Close the connection; the object cannot be used afterwards."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything inside in one transaction, written and synced once; joins one that is open.

        It takes the write lock at once: a transaction that reads first and writes later fails whenever
        another one wrote in between, in spite of the busy time-out.
        """
        if self._is_within:
            yield
            return
        with self._within("BEGIN IMMEDIATE"):
            failpoint.reach("transaction-begun", DatabaseUnavailable)
            yield
            failpoint.reach("transaction-before-commit", DatabaseUnavailable)
        failpoint.reach("transaction-committed")

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """Read everything inside from one state of the queue, whatever others write meanwhile."""
        return self._within("BEGIN DEFERRED")

    @contextlib.contextmanager
    def _within(self, begin: str) -> Iterator[None]:
        if self._is_within:
            yield
            return
        self._execute(begin)
        self._is_within = True
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has rolled it back already
                with contextlib.suppress(apsw.Error):  # what went wrong first is what matters
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._is_within = False

    def check_in_place(self) -> None:
        """Raise DatabaseUnavailable if the file was removed or replaced under us: what we write is seen by nobody."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise DatabaseUnavailable(f"`{self.path}` was removed") from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise DatabaseUnavailable(f"`{self.path}` was replaced by another file")

    def data_version(self) -> int:
        """Return a number that changes when another connection has changed the queue; takes microseconds to ask.

        Numbers of different connections have nothing to do with each other.
        """
        version: int = self._execute("PRAGMA data_version")[0][0]
        return version

    def integrity_problems(self) -> list[str]:
        """Return what SQLite finds wrong with the file, and rows that point nowhere; takes time on a large queue."""
        found = [str(row[0]) for row in self._execute("PRAGMA integrity_check")]
        lost = [f"a row of `{row[0]}` points nowhere" for row in self._execute("PRAGMA foreign_key_check")]
        return ([] if found == ["ok"] else found) + lost

    def schema_version(self) -> int:
        """Return the number of migrations that the file has seen; raises DatabaseTooNew."""
        return self._version()

    def backup(self, target: Path) -> None:
        """Copy the queue, consistent while others write, to ``target`` and verify the copy.

        Raises QueuectlError if there is a file already, or if the copy is damaged.
        """
        if not self.path.exists():
            raise DatabaseUnavailable(f"there is no queue at `{self.path}` to back up")
        if target.exists():
            raise QueuectlError(f"`{target}` exists already", hint="name a file that does not exist yet")
        try:
            with _private_files():
                found = self._copied(target)
        except BaseException:  # half a copy must not be taken for a whole one
            for file in ("", "-journal", "-wal", "-shm"):
                Path(f"{target}{file}").unlink(missing_ok=True)
            raise
        if found != ["ok"]:
            raise QueuectlError(f"the copy at `{target}` is damaged: {found[0]}")

    def _copied(self, target: Path) -> list[str]:
        """Make the copy and return what its integrity check says."""
        with contextlib.closing(connect(str(target), target)) as copy:
            try:
                with copy.backup("main", self._connection, "main") as backup:
                    while not backup.done:
                        backup.step(1000)
                return [str(row[0]) for row in copy.execute("PRAGMA integrity_check")]
            except apsw.Error as error:
                culprit = self.path if is_reading(error) else target
                raise explained(culprit, error, copy.system_errno) from error

    def _all(self, name: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        """Run the named statement and return all its rows: an unfinished read would pin the WAL."""
        return self._execute(self._statements[name], parameters)

    def _dicts(self, name: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """Run the named statement and return its rows by column name."""
        try:
            cursor = self._connection.execute(self._statements[name], parameters)
            columns = [column[0] for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor]
        except apsw.ExecutionCompleteError:  # no row, no description
            return []
        except apsw.Error as error:
            raise self._explained(error) from error

    def _many(self, name: str, parameters: Sequence[Parameters | tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Run the named statement once for each of ``parameters`` and return all rows."""
        try:
            return self._connection.executemany(self._statements[name], parameters).fetchall()
        except apsw.Error as error:
            raise self._explained(error) from error

    def _execute(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: apsw.Error) -> QueuectlError:
        return explained(self.path, error, self._connection.system_errno)

    def _prepare(self) -> None:
        self._execute(f"PRAGMA synchronous = {self.durability}; PRAGMA foreign_keys = ON")
        steps = migrations()
        if (version := self._version()) == len(steps):
            return
        if self._is_read_only:
            raise _older(self.path, version, len(steps)) if version else _missing(self.path)
        self._use_wal()
        with self.transaction():
            done = self._version()  # asked again: another process may have been quicker
            if done == 0 and self._connection.filename:
                Spool(str(self.path)).set_aside()
            for step in steps[done:]:
                self._execute(step)
                failpoint.reach("migration-step", DatabaseUnavailable)
            self._execute(f"PRAGMA user_version = {len(steps)}")
            self._execute(f"PRAGMA application_id = {_APPLICATION_ID}")

    def _use_wal(self) -> None:
        """Switch to write-ahead logging; SQLite does not wait when several open a new queue at once, so we do."""
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                self._execute("PRAGMA journal_mode = WAL")
            except DatabaseBusy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_BUSY_PAUSE)  # noqa: TID251 - nothing tells us when the others are done
            else:
                return

    def _version(self) -> int:
        """Return the schema version of the file, 0 if it is empty; refuse a file that is not for us."""
        with self.snapshot():  # another process may be making the schema at this moment
            version: int = self._execute("PRAGMA user_version")[0][0]
            owner: int = self._execute("PRAGMA application_id")[0][0]
            is_used = bool(version or self._execute("SELECT 1 FROM sqlite_schema LIMIT 1"))
        if owner != _APPLICATION_ID and is_used:
            raise DatabaseUnavailable(
                f"`{self.path}` is a database of another program",
                hint="name the queue's own database with `--db` or `QUEUECTL_DB`",
            )
        if version > len(migrations()):
            raise DatabaseTooNew(str(self.path), version, len(migrations()))
        return version


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise DatabaseUnavailable(f"`{path}` cannot be reached: {error.strerror}", hint=ELSEWHERE) from error


def connect(where: str, path: Path, flags: int = _FOR_WRITING) -> apsw.Connection:
    """Return a connection to ``where``, the queue at ``path``; raises DatabaseUnavailable, or DatabaseBusy."""
    try:
        return apsw.Connection(where, flags=flags)
    except apsw.Error as error:
        raise explained(path, error) from error


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """Let what is made meanwhile, the database, its -wal and its -shm, be the owner's only."""
    umask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(umask)


def _missing(path: Path) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"there is no queue at `{path}` yet", hint="`queuectl apply` and `queuectl enqueue` make one"
    )


def _older(path: Path, version: int, known: int) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"`{path}` has schema version {version}; this queuectl reads {known}",
        hint="`queuectl status` brings it up to date",
    )


def _identity(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_dev, path.stat().st_ino) if path.exists() else None


def _refuse_network(path: Path) -> None:
    kind = file_system(path)
    if kind in NETWORK:
        raise DatabaseUnavailable(
            f"`{path}` lies on a network file system ({kind}), where locks cannot be relied on",
            hint="name a path on a local disk with `--db` or `QUEUECTL_DB`",
        )


def _make_folder(folder: Path) -> None:
    try:
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_new:
            with _private_files():
                (folder / ".gitignore").write_text("*\n", encoding="ascii")  # a queue is no source
    except OSError as error:
        raise DatabaseUnavailable(f"cannot make the folder `{folder}`: {error.strerror}", hint=ELSEWHERE) from error
