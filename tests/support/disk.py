"""A disk that has a bad day: it is full, it fails, or the power goes and with it what was not synced.

SQLite takes it for the file system of this process, so nothing in queuectl knows of it. The folder's other files are
not concerned.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

SOUND: Final = apsw.vfs_names()[0]
"""The file system on which everything else lies, for a look past the bad disk."""

_SECTOR: Final = 512
_FEW_PAGES: Final = 12


CODES: Final = {
    "xWrite": apsw.SQLITE_IOERR_WRITE,
    "xSync": apsw.SQLITE_IOERR_FSYNC,
    "xTruncate": apsw.SQLITE_IOERR_TRUNCATE,
    "xRead": apsw.SQLITE_IOERR_READ,
    "xFileSize": apsw.SQLITE_IOERR_FSTAT,
    "xOpen": apsw.SQLITE_CANTOPEN,
    "xDelete": apsw.SQLITE_IOERR_DELETE,
}
"""What SQLite is told when a call fails."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong: which calls, and what SQLite is told."""

    codes: Mapping[str, int]

    def raised(self, call: str) -> apsw.Error:
        """Return the error for SQLite."""
        return apsw.exception_for(self.codes[call])


FULL: Final = Fault({"xWrite": apsw.SQLITE_FULL})
NO_SYNC: Final = Fault({"xSync": CODES["xSync"]})
BROKEN: Final = Fault(CODES)


@dataclass(frozen=True)
class Event:
    """What happened to a file: ``made``, ``wrote``, ``cut`` to ``offset``, ``synced``, ``unsynced`` or ``deleted``.

    A deletion is certain to stay if its ``offset`` is 1; ``unsynced`` is a sync that failed.
    """

    file: str
    kind: str
    offset: int = 0
    data: bytes = b""


class Disk(apsw.VFS):
    """Passes everything on, until it is told to fail; keeps a log of what reached it."""

    def __init__(self) -> None:
        super().__init__("bad-day", SOUND, makedefault=True)
        self.log: list[Event] = []
        self._fault: Fault | None = None
        self._after = 0
        self._is_lasting = False
        self._calls = 0

    def fail(self, fault: Fault, *, at: int, lasting: bool) -> None:
        """Let the ``at``-th such call from now on fail, and if it is ``lasting`` all later ones until ``heal``."""
        self._fault, self._after, self._is_lasting, self._calls = fault, at, lasting, 0

    def heal(self) -> bool:
        """Let nothing fail any more; return whether anything did."""
        self._fault = None
        return self._calls >= self._after

    def pass_or_fail(self, call: str) -> None:
        """Raise the fault if it is its turn."""
        if self._fault is None or call not in self._fault.codes:
            return
        self._calls += 1
        if self._calls == self._after or (self._is_lasting and self._calls > self._after):
            raise self._fault.raised(call)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open a file of a database; temporary ones have no name and lie elsewhere."""
        if name is None:
            return super().xOpen(name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.pass_or_fail("xOpen")
        is_new = not Path(path).exists()
        file = _File(self, path, name, flags)
        if is_new:
            self.log.append(Event(Path(path).name, "made"))
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file, for certain only if the folder is synced as well."""
        self.pass_or_fail("xDelete")
        super().xDelete(filename, False)  # as with xSync below
        self.log.append(Event(Path(filename).name, "deleted", offset=int(syncdir)))


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: Any, flags: list[int]) -> None:
        super().__init__(SOUND, name, flags)
        self._disk = disk
        self._name = Path(path).name

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.pass_or_fail("xRead")
        return super().xRead(amount, offset)

    def xFileSize(self) -> int:  # noqa: N802
        self._disk.pass_or_fail("xFileSize")
        return super().xFileSize()

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        try:
            self._disk.pass_or_fail("xWrite")
        except apsw.Error:
            self._write(bytes(data)[: len(data) // 2], offset)  # a disk that fills up has taken a part
            raise
        self._write(bytes(data), offset)

    def _write(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._disk.log.append(Event(self._name, "wrote", offset, data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.pass_or_fail("xTruncate")
        super().xTruncate(newsize)
        self._disk.log.append(Event(self._name, "cut", newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Nothing reaches the platters here: the log alone knows what would have."""
        try:
            self._disk.pass_or_fail("xSync")
        except apsw.Error:
            self._disk.log.append(Event(self._name, "unsynced"))
            raise
        self._disk.log.append(Event(self._name, "synced"))


class _Connection(apsw.Connection):
    """Passes over in silence what SQLite does: that it could not tidy up after a commit or at the end.

    The exceptions of a bad disk, being Python's, would be raised nevertheless.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_wal_hook(self._checkpoint)

    def close(self, force: bool = False) -> None:
        with suppress(apsw.Error):
            super().close(force)

    def backup(self, *args: Any) -> Any:
        return _Backup(super().backup(*args))

    def _checkpoint(self, connection: apsw.Connection, database: str, pages: int) -> int:
        """Write into the database itself after a few pages, not only after a thousand."""
        if pages >= _FEW_PAGES:
            with suppress(apsw.Error):
                super().wal_checkpoint(database)
        return apsw.SQLITE_OK


class _Backup:
    def __init__(self, backup: apsw.Backup) -> None:
        self._backup = backup

    def __enter__(self) -> apsw.Backup:
        return self._backup

    def __exit__(self, *_: object) -> None:
        with suppress(apsw.Error, SystemError):
            self._backup.close(force=True)


@contextmanager
def bad_disk() -> Iterator[Disk]:
    """Let all databases that are opened meanwhile lie on one bad disk."""
    disk = Disk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apsw, "Connection", _Connection)
        try:
            yield disk
        finally:
            disk.heal()
            disk.unregister()
            apsw.set_default_vfs(SOUND)


@dataclass
class _Inode:
    content: list[list[Any]] = field(default_factory=list)  # of pairs: an event, and whether it is certain to stay
    asked: int = 0  # for so many events a sync was asked; no later one helps those for which it failed


def after_power_cut(log: Iterable[Event], survives: Callable[[], bool]) -> dict[str, bytes]:
    """Return the files as they are found after the power went at the end of ``log``.

    What was synced is there. Of everything else ``survives`` decides, sector by sector. What a sync that failed should
    have written stays in doubt for ever, as the kernel drops it.
    """
    files: dict[str, _Inode] = {}
    removed: dict[str, _Inode] = {}
    for event in log:
        match event.kind:
            case "made":
                files[event.file] = _Inode()
            case "wrote" | "cut":
                files.setdefault(event.file, _Inode()).content.append([event, False])
            case "synced" | "unsynced":
                inode = files[event.file]
                if event.kind == "synced":
                    for pair in inode.content[inode.asked :]:
                        pair[1] = True
                    removed.clear()
                inode.asked = len(inode.content)
            case "deleted":
                inode = files.pop(event.file, _Inode())
                if not event.offset:
                    removed[event.file] = inode
    back = {name: inode for name, inode in removed.items() if name not in files and survives()}
    return {name: _content(inode, survives) for name, inode in (files | back).items()}


def _content(inode: _Inode, survives: Callable[[], bool]) -> bytes:
    found = bytearray()
    for event, is_certain in inode.content:
        if event.kind == "cut":
            if is_certain or survives():
                del found[event.offset :]
                found.extend(bytes(event.offset - len(found)))
            continue
        for start in range(0, len(event.data), _SECTOR):
            if is_certain or survives():
                part = event.data[start : start + _SECTOR]
                at = event.offset + start
                found.extend(bytes(max(at - len(found), 0)))
                found[at : at + len(part)] = part
    return bytes(found)
