"""The files that paths of manifests stand for, found and read."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from queuectl.fields import absolute
from queuectl.limits import MOST_BYTES

SETTINGS_FILE: Final = "queuectl.toml"


class Unreadable(Exception):
    """A path leads to no manifest; says why."""


def find(paths: Sequence[Path]) -> Iterator[tuple[Path, Unreadable | None]]:
    """Yield each file once, those of a folder by name; a folder that has none, with that as its trouble.

    Of a folder, its own `*.toml` files count; neither hidden ones nor the settings.
    """
    seen: set[str] = set()
    for path in paths:
        try:
            found = _in_folder(path) if path.is_dir() else [path]
        except OSError as error:
            yield path, Unreadable(f"cannot be read: {_reason(error)}")
            continue
        if not found:
            yield path, Unreadable("the folder has no `*.toml` file")
        for file in found:
            place = absolute(str(file), Path.cwd())
            if place not in seen:
                seen.add(place)
                yield file, None


def read(path: Path) -> bytes:
    """Return what is in a regular file, of one that is too large a little too much; never waits for a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("not a regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MOST_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {_reason(error)}") from None


def _in_folder(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.name.endswith(".toml") and not file.name.startswith(".") and file.name != SETTINGS_FILE
    )


def _reason(error: OSError | ValueError) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return reason[:1].lower() + reason[1:]
