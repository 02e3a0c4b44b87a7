"""Where the program is that a command names: in one of the folders of a path, the first that has it."""

import os
from collections.abc import Iterable
from itertools import takewhile


def find_program(name: str, path: str) -> str:
    """Return the file to start; raises FileNotFoundError.

    A folder of the path that is not absolute, or empty, is taken from the present folder.
    """
    found = name if "/" in name else _first(name, path.split(os.pathsep))
    if found is None:
        raise FileNotFoundError
    return found


class Programs:
    """Finds the programs of many commands that start at about the same time, each only once."""

    def __init__(self, path: str) -> None:
        self._folders = list(takewhile(os.path.isabs, path.split(os.pathsep)))
        self._found: dict[str, str | None] = {}

    def find(self, name: str) -> str | None:
        """Return the file to start; None if there is none, or if that is known only where it is started."""
        if "/" in name:
            return name
        if name not in self._found:
            try:
                self._found[name] = _first(name, self._folders)
            except ValueError:  # no file of this system can have that name
                self._found[name] = None
        return self._found[name]


def _first(name: str, folders: Iterable[str]) -> str | None:
    for folder in folders:
        found = f"{folder or '.'}/{name}"
        if os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    return None
