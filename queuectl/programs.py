"""Where the program is that a command names: in one of the folders of a path, the first that has it."""

import os
from collections.abc import Iterable, Mapping
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
    """Finds the programs of many commands that start at about the same time, each only once.

    ``environ`` is what the commands' own variables are added to.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("PATH", os.defpath)
        self._found: dict[tuple[str, str], str | None] = {}

    def find(self, name: str, env: Mapping[str, str]) -> str | None:
        """Return the file to start; None if there is none, or if that depends on the folder that it is started in."""
        if "/" in name:
            return name
        path = env.get("PATH", self._path)
        if (name, path) not in self._found:
            self._found[name, path] = _first(name, takewhile(os.path.isabs, path.split(os.pathsep)))
        return self._found[name, path]


def _first(name: str, folders: Iterable[str]) -> str | None:
    for folder in folders:
        found = f"{folder or '.'}/{name}"
        if os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    return None
