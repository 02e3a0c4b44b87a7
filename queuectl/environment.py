"""The variables that a job gets, and files of `NAME=value` lines.

The files are read at the attempt, so that secrets are never stored.
"""

import os
import re
import stat
import sys
from collections.abc import Mapping

from queuectl import failpoint
from queuectl.order import OUR_VARIABLES, Order

_LARGEST_FILE = 1 << 20
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)


def job_environment(order: Order, environ: Mapping[bytes, bytes]) -> dict[bytes, bytes | str]:
    """Return ``environ``, then the env_file's variables, then those of the order: the job's and ours.

    Names are bytes, as the system has them: each of them is there once. Raises what ``read_env_file`` does.
    """
    own = {**(read_env_file(order.env_file) if order.env_file else {}), **order.env}
    ours = zip(OUR_VARIABLES, order.ours, strict=True)
    return {**environ, **{os.fsencode(name): value for name, value in own.items()}, **dict(ours)}


def own_environment() -> dict[str, str]:
    """Return this process's environment, with the folder of its own programs at the end of the path."""
    here = os.path.dirname(sys.executable)
    path = os.environ.get("PATH", os.defpath)
    environ = {name: value for name, value in os.environ.items() if name != failpoint.VARIABLE}
    return environ | {"PATH": path if here in path.split(os.pathsep) else f"{path}{os.pathsep}{here}"}


def base_environment() -> dict[bytes, bytes]:
    """Return ``own_environment`` as the system has it, so that this need not be worked out for each job."""
    return {os.fsencode(name): os.fsencode(value) for name, value in own_environment().items()}


def read_env_file(path: str) -> dict[str, str]:
    """Return the variables of an env file.

    Blank lines and lines that begin with `#` are passed over; a value may stand in single or double quotes,
    and nothing in it is expanded. Raises OSError, and ValueError with what is wrong, and in which line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ValueError(f"line {number} is not `NAME=value`")
        name, value = match[1], match[2].strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name] = value
    return found


def _text(path: str) -> str:
    # Without waiting: a pipe that nobody writes to would hold the worker for ever.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"larger than {_LARGEST_FILE >> 20} MiB")
    return data.decode()
