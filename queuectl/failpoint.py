"""Points of the run protocol that can be made to fail on purpose, so that a test can show what is done about it.

``QUEUECTL_FAILPOINT`` says what fails: ``NAME:ACTION:FILE``, several of them apart by blanks. The first process that
reaches the point of that name makes the file, writes its number there, and exits, hangs or meets an error; where
the file is there already the point is passed, so that whoever is started again gets through. The variable is read once,
as a process begins, and jobs do not inherit it. Without it nothing here does anything.
"""

import errno
import os
import signal
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "QUEUECTL_FAILPOINT"
"""What arms failpoints."""

EXIT, HANG, ERROR = "exit", "hang", "error"
ACTIONS: Final = (EXIT, HANG, ERROR)


@dataclass(frozen=True, slots=True)
class _Failpoint:
    name: str
    action: str
    file: str


def _armed(text: str) -> tuple[_Failpoint, ...]:
    """Return what the variable says; ends the process if that makes no sense: a test would prove nothing."""
    found = [word.split(":", 2) for word in text.split()]
    if any(len(parts) < 3 or parts[1] not in ACTIONS for parts in found):
        raise SystemExit(f"error: `{VARIABLE}` is not NAME:{'|'.join(ACTIONS)}:FILE")
    return tuple(_Failpoint(*parts) for parts in found)


_ARMED: Final = _armed(os.environ.get(VARIABLE, ""))


def reach(name: str, error: type[Exception] = OSError) -> None:
    """Pass the point called ``name``; where it is armed, fail. ``error`` is what can go wrong there."""
    if _ARMED:
        _fail(name, error)


def _fail(name: str, error: type[Exception]) -> None:
    for armed in _ARMED:
        if armed.name != name or not _is_first(armed.file):
            continue
        if armed.action == EXIT:
            os._exit(1)  # nothing is tidied up: that is the point
        if armed.action == ERROR:
            message = f"the failpoint `{name}` was reached"
            raise OSError(errno.EIO, message) if error is OSError else error(message)
        while True:
            signal.pause()


def _is_first(file: str) -> bool:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    os.write(descriptor, str(os.getpid()).encode())
    os.close(descriptor)
    return True
