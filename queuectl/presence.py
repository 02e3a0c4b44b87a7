"""A runner's proof of life, and the bell at its door.

The kernel holds the lock exactly as long as the runner lives; the pipe wakes it when there is something new. The locked
file names the boot of the machine in which the runner lives: what is not synced does not outlast that.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from queuectl import fence
from queuectl.spool import STOP, Spool, ring

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


class Presence:
    """Held by a runner from its registration to its end."""

    def __init__(self, spool: Spool, runner: int) -> None:
        self._paths = (spool.runner_lock(runner), spool.wake(runner))
        # Both may be left by a runner that was killed before its number was committed.
        self._lock = fence.hold(self._paths[0])
        os.ftruncate(self._lock, 0)
        with contextlib.suppress(OSError):  # a full disk: rescuers then believe no journal that says nothing
            os.write(self._lock, _boot().encode())
        fence.forget(self._paths[1])
        os.mkfifo(self._paths[1], 0o600)
        # Opened for writing too, so that it never reads as closed.
        self._bell = os.open(self._paths[1], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when somebody rings."""
        return self._bell

    def silence(self) -> bytes:
        """Take note of all rings so far; return what they were for."""
        try:
            return os.read(self._bell, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Stop living; the files stay for whoever sees to what is not stored."""
        os.close(self._bell)
        os.close(self._lock)


def is_alive(spool: Spool, runner: int) -> bool:
    """Whether a runner lives; what it last said of itself does not matter."""
    return fence.is_held(spool.runner_lock(runner))


def living(spool: Spool) -> list[int]:
    """Return the runners that live, by their locks alone: the database need not be there, or sound."""
    held = [Path(path).stem for path in spool.runner_locks() if fence.is_held(path)]
    return sorted(int(name) for name in held if name.isdigit())


def ask_to_stop(spool: Spool, runner: int) -> bool:
    """Ask a runner to stop as after SIGTERM; return False if it could not be asked now, dead or deaf for the moment.

    Its number is given once in a queue's life and its bell has no other reader: nothing else can be meant, whatever
    became of its pid, and neither a busy database nor a full disk keeps the call from it.
    """
    return ring(spool.wake(runner), STOP)


def is_of_this_boot(spool: Spool, runner: int) -> bool:
    """Whether the machine has run without a break since the runner registered; False if nothing tells."""
    try:
        return Path(spool.runner_lock(runner)).read_text() == _boot()
    except OSError:
        return False


def forget(spool: Spool, runner: int) -> None:
    """Remove what is left of a runner all of whose attempts are stored."""
    for path in (*spool.journals(runner), spool.runner_lock(runner), spool.wake(runner)):
        fence.forget(path)


def _boot() -> str:
    """Return the name of this boot of the machine."""
    if sys.platform == "darwin":
        import subprocess

        asked = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
        return asked.stdout.strip()
    return Path(_BOOT_ID).read_text().strip()
