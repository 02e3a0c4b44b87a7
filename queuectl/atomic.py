"""Files that are replaced whole: whoever reads sees the old text or the new one, whatever happens meanwhile."""

import os
from contextlib import suppress
from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all; raises FileExistsError if it is, and other OSErrors."""
    with path.open("x", encoding="utf-8") as opened:
        try:
            opened.write(text)
            opened.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def replace_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put ``content`` at ``path``, on the disk when this returns; raises OSError.

    A file that is there keeps its mode and its owner, and a symbolic link goes on pointing at it. Without ``mode`` a
    new file gets what the umask leaves.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666 if mode is None else mode
    )
    try:
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - a descriptor
            with suppress(FileNotFoundError):
                before = target.stat()
                with suppress(PermissionError):  # only root may give files away
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, before.st_mode & 0o7777 if mode is None else mode)
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
