"""The files beside the database: what jobs wrote, which attempts are under way, which runners live.

Every name is made of numbers that the queue gave; nothing that a person wrote becomes a path.
"""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from queuectl import failpoint

STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder ``<database>.d``, readable by its owner only."""

    database: str

    @property
    def root(self) -> str:
        """The folder itself."""
        return f"{self.database}.d"

    def set_aside(self) -> None:
        """Move away what a queue left whose database was deleted: a new one begins to count anew."""
        _set_aside(self.root)

    def begin_anew(self) -> None:
        """Move away what runners and workers said, as the queue goes back to an earlier time; outputs stay."""
        for name in ("running", "runners"):
            _set_aside(f"{self.root}/{name}")

    def prepare(self) -> None:
        """Make the folders that are missing."""
        for name in ("", "running", "output", "runners", "logs"):
            Path(self.root, name).mkdir(mode=0o700, exist_ok=True)

    def journal(self, runner: int, worker: str | int) -> str:
        """Return what the names of the files begin with in which a worker says what it has begun."""
        return f"{self.root}/running/{runner}.{worker}"

    def journals(self, runner: int, worker: str | int = "") -> list[str]:
        """Return the files of the journals of a runner's workers, or of one."""
        prefix = f"{runner}.{worker}." if worker else f"{runner}."
        return sorted(path for path in _list(f"{self.root}/running") if path.rpartition("/")[2].startswith(prefix))

    def mark(self, execution: str) -> str:
        """Return what tells the processes of one execution from all others on this machine."""
        return f"{self.database}:{execution}"

    def output(self, execution: str, stream: str) -> str:
        """Return the path of what one execution wrote to ``stream``; a thousand runs share a folder."""
        if stream not in STREAMS:
            raise ValueError(stream)
        shard = int(execution.partition(".")[0]) // 1000
        return f"{self.root}/output/{shard}/{execution}.{stream}"

    def runner_lock(self, runner: int) -> str:
        """Return the path of the lock that a runner holds as long as it lives."""
        return f"{self.root}/runners/{runner}.lock"

    def wake(self, runner: int) -> str:
        """Return the path of the pipe that wakes a runner."""
        return f"{self.root}/runners/{runner}.wake"

    def log(self, name: int | str) -> str:
        """Return the path of what a runner in the background says; it is named after the runner."""
        return f"{self.root}/logs/{name}.log"

    def runner_locks(self) -> list[str]:
        """Return the paths of the locks of all runners, alive or dead."""
        return [path for path in _list(f"{self.root}/runners") if path.endswith(".lock")]

    def wakes(self) -> list[str]:
        """Return the paths of the pipes of all runners."""
        return [path for path in _list(f"{self.root}/runners") if path.endswith(".wake")]


NEWS, DEATH, STOP = b"!", b"?", b"."
"""What runners are woken for: something new in the queue; a runner has died and left runs; this one is to stop.

A bell hears the numbers of signals too, and these are none of a signal that a runner heeds.
"""


def wake_runners(spool: Spool, call: bytes = NEWS) -> None:
    """Call all runners; one that is gone is passed over."""
    failpoint.reach("bell-before-rung")
    for path in spool.wakes():
        ring(path, call)


def ring(path: str, call: bytes) -> bool:
    """Call the one runner whose bell is at ``path``; return False if it is gone, or full of calls already."""
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:  # nobody reads: the runner died
        return False
    try:
        os.write(pipe, call)
    except OSError:  # full, or the runner dies at this moment
        return False
    else:
        return True
    finally:
        os.close(pipe)


def _set_aside(folder: str) -> None:
    """Give a folder, if it is there, the first free name with a number."""
    if os.path.lexists(folder):
        free = (name for number in itertools.count(1) if not os.path.lexists(name := f"{folder}.{number}"))
        os.rename(folder, next(free))


def _list(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:
        return []
