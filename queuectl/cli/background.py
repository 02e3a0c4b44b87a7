"""A runner in the background: it leaves its terminal for good, and tells who started it that it has come up."""

import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from queuectl.errors import QueuectlError
from queuectl.visible import visible

_LAST_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Background:
    """The process that has left the terminal, as it sees itself."""

    _writing: int

    def announce(self, runner: int) -> None:
        """Say that the runner of this number is up; whoever waited for that goes its way."""
        with suppress(BrokenPipeError):  # it was interrupted, and we go on all the same
            os.write(self._writing, f"{os.getpid()} {runner}\n".encode())
        os.close(self._writing)


@dataclass(frozen=True, slots=True)
class Starter:
    """The process that stays with the person, and waits for the other."""

    _reading: int
    _log: Path
    _begin: int

    def wait(self) -> tuple[int, int]:
        """Return the pid and the runner's number, once it is up; raises QueuectlError, with what it said, if not."""
        with open(self._reading, "rb") as pipe:  # noqa: PTH123 - a descriptor
            said = pipe.read().split()
        if not said:
            raise QueuectlError(f"the runner did not come up; it said:{self._last_words()}")
        pid, runner = said
        return int(pid), int(runner)

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._begin)
            lines = log.read().decode(errors="replace").splitlines()
        return "".join(f"\n  {visible(line)}" for line in lines[-_LAST_LINES:] or ["nothing"])


def open_log(path: Path | None, folder: Path) -> tuple[Path, int]:
    """Open a log to be added to, its owner's only if it is new; without a path make one in ``folder``."""
    if path is None:
        descriptor, name = tempfile.mkstemp(".log", "new.", folder)
        return Path(name), descriptor
    return path.absolute(), os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def leave_terminal(log: Path, descriptor: int) -> Background | Starter:
    """Return twice, as fork does: as Background in a process of a session of its own, as Starter in this one.

    The Background has nothing of ours but the log for its output: neither a terminal that may close nor a descriptor
    on whose end somebody waits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    begin = os.fstat(descriptor).st_size
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(descriptor)
        os.close(writing)
        os.waitpid(child, 0)
        return Starter(reading, log, begin)
    os.setsid()
    if os.fork():  # whoever does not lead its session can never be given a terminal again
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, descriptor, descriptor)):
        os.dup2(source, target)
    for inherited in Path("/dev/fd").iterdir():  # such as the lock of a script that called us: held for ever
        if int(inherited.name) not in (*range(3), writing):
            with suppress(OSError):  # the one by which the folder was read
                os.close(int(inherited.name))
    return Background(writing)
