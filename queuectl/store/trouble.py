"""What keeps SQLite from working, found out and put into our words: the cause, and what to do about it.

SQLite says little more than "unable to open" or "disk I/O error". The rest is told by the system's error number and by
a look at the files; none of them is opened here, for closing a database by other means drops SQLite's locks.
"""

import errno
import os
from pathlib import Path
from typing import Final

import apsw

from queuectl.errors import DatabaseBusy, DatabaseUnavailable, QueuectlError
from queuectl.spool import Spool

ELSEWHERE: Final = "name another path with `--db` or `QUEUECTL_DB`"
_FAILING: Final = "look into the system's log for errors of the disk, then let `queuectl doctor` read the queue"

# The numbers that are believed. ENOENT is not: SQLite looks for files that need not be there.
_CAUSES: Final = {
    errno.ENOSPC: ("cannot grow: the disk is full", "make room on the disk"),
    errno.EDQUOT: ("cannot grow: the quota on this disk is used up", "make room within the quota"),
    errno.EFBIG: ("cannot grow: files may not be larger", "`ulimit -f` tells the limit"),
    errno.EMFILE: ("cannot be opened: this process has too many open files", "`ulimit -n` tells the limit"),
    errno.ENFILE: ("cannot be opened: this machine has too many open files", "try again"),
    errno.EROFS: (
        "lies on a read-only file system",
        "mount it for writing; if it became read-only by itself, its disk has errors: see the system's log",
    ),
}


def explained(path: Path, error: apsw.Error, number: int = 0) -> QueuectlError:
    """Return what a person is told when SQLite fails on the database at ``path``.

    ``number`` is the system's error number, if the connection knows one. Raises ``error`` again if it is a mistake of
    ours, such as a constraint that does not hold.
    """
    match error:
        case apsw.BusyError() | apsw.LockedError() | apsw.ProtocolError():
            return DatabaseBusy(str(path))
        case apsw.NotADBError():
            fact, hint = "is not a SQLite database", ELSEWHERE
        case apsw.CorruptError():
            fact, hint = f"is damaged: {error}", "restore a backup"
        case apsw.FullError():
            fact, hint = _CAUSES[errno.ENOSPC]
        case apsw.IOError() | apsw.CantOpenError() if number in _CAUSES:
            fact, hint = _CAUSES[number]
        case apsw.IOError():
            fact, hint = f"cannot be used: the disk failed ({_detail(error, number)})", _FAILING
        case apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            fact, hint = _obstacle(path) or (f"cannot be used: {error}", ELSEWHERE)
        case _:
            raise error
    if _code(error) == apsw.SQLITE_IOERR_FSYNC:  # it is written and may come back when the -wal is read again
        hint = f"the change may be there or not: look before you repeat it; {hint}"
    return DatabaseUnavailable(f"`{path}` {fact}", hint=hint)


def is_reading(error: apsw.Error) -> bool:
    """Whether SQLite failed to read, rather than to write."""
    reads = (apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ)
    return isinstance(error, apsw.BusyError | apsw.CorruptError) or _code(error) in reads


def refuse_device(path: Path) -> None:
    """Raise DatabaseUnavailable for what is neither a file nor a folder: SQLite would begin by writing beside it."""
    if not path.is_file() and not path.is_dir():
        raise DatabaseUnavailable(f"`{path}` is not a regular file", hint=ELSEWHERE)


def refuse_truncated(path: Path) -> None:
    """Raise DatabaseUnavailable if an existing file is empty, but runs have left output: SQLite would begin anew."""
    root = Path(Spool(str(path)).root)
    if path.stat().st_size == 0 and any((root / "output").glob("*/*")):
        raise DatabaseUnavailable(
            f"`{path}` is empty, but `{root}` holds outputs of a queue: it was truncated",
            hint="restore a backup, or remove the folder to begin anew",
        )


def _code(error: apsw.Error) -> int:
    return int(getattr(error, "extendedresult", 0))


def _detail(error: apsw.Error, number: int) -> str:
    name = str(apsw.mapping_extended_result_codes.get(_code(error), "SQLITE_IOERR")).removeprefix("SQLITE_")
    return name if number in (0, errno.ENOENT) else f"{os.strerror(number)}, {name}"


def _obstacle(path: Path) -> tuple[str, str] | None:
    """Return what keeps this user from opening the database or the files that SQLite makes beside it."""
    path = Path(os.path.realpath(path))  # a link's -wal lies beside what it leads to
    folder = path.parent
    try:
        if path.is_dir():
            return "is a folder", ELSEWHERE
        disk = os.statvfs(folder)
        present = [file for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if file.exists()]
    except OSError as error:
        return f"cannot be reached: {error.strerror}", ELSEWHERE
    if disk.f_flag & os.ST_RDONLY:
        return _CAUSES[errno.EROFS]
    for file in present:
        if not os.access(file, os.R_OK | os.W_OK):
            return f"cannot be used: this user may not write `{file}`", "run queuectl as the user it belongs to"
    if not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"cannot be used: this user may not write its folder `{folder}`",
            "files are made beside the database, even for reading: give this user the folder",
        )
    if disk.f_files and not disk.f_favail:
        return "cannot be used: the disk has no room for one more file", "remove files: `df -i` counts them"
    return None if disk.f_bavail else _CAUSES[errno.ENOSPC]
