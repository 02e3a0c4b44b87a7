"""Settings that were found valid before, kept so that commands start without pydantic.

An entry has in it all that was checked, so it never has to be renewed, and is named after a checksum of that: a hash
that nobody can forge takes longer to import than the rest of the cache. Whatever is wrong with the cache, the settings
are checked again: there is no error.
"""

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from queuectl import __version__
from queuectl.atomic import replace_file
from queuectl.settings_table import BY_KEY

_FORMAT: Final = 2
"""To be counted up when the same text comes to mean something else."""

_MOST_ENTRIES: Final = 64


class SettingsCache:
    """The entry for one text of the file and one set of variables."""

    def __init__(self, folder: Path | None, source: bytes, variables: Mapping[str, str]) -> None:
        """Name the entry; without a folder nothing is kept."""
        self._checked = [
            __version__,
            _FORMAT,
            [*BY_KEY],
            source.decode("latin-1"),
            sorted(map(list, variables.items())),
        ]
        self._path = folder and folder / f"settings-{_checksum(json.dumps(self._checked).encode())}.json"

    def read(self) -> dict[str, Any] | None:
        """Return the checked values by their key; None if they are not known."""
        if self._path is None:
            return None
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:  # noqa: PTH123
                # A shell of another user's choice would be run under our name.
                status = os.fstat(descriptor)
                if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                    return None
                seal, _, text = file.read().partition(b"\n")
            if seal.decode() != _checksum(text):
                return None
            entry = json.loads(text)
        except (OSError, ValueError):
            return None
        match entry:
            case [checked, dict(values)] if checked == self._checked:
                return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return None

    def write(self, values: Mapping[str, Any]) -> None:
        """Keep checked values."""
        if self._path is None:
            return
        text = json.dumps([self._checked, values]).encode()
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, _checksum(text).encode() + b"\n" + text, mode=0o600)
            entries = sorted(self._path.parent.glob("settings-*.json"), key=lambda entry: entry.stat().st_mtime)
            for entry in entries[:-_MOST_ENTRIES]:
                entry.unlink(missing_ok=True)


def _checksum(text: bytes) -> str:
    return f"{zlib.crc32(text):08x}"
