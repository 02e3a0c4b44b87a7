"""Proof that nothing of an attempt runs any more.

An attempt's processes inherit a locked file. The kernel releases the lock when the last of them ends: no clock,
no heartbeat and no process number is believed. A child that closed its descriptors is known by its environment; only
one that wiped that as well is not seen. The file also takes the attempt's end before it is reported, so
that a runner that died in between need not run it again.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from queuectl.job import Attempt
from queuectl.records import attempt_of, attempt_to_record

MARK = "QUEUECTL_LOCK"
"""The environment variable by which a process of an attempt is known; its value is the path of the lock."""

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def take(path: str) -> int:
    """Make the lock file of an attempt and return its locked descriptor; raises OSError."""
    return hold(path, os.O_EXCL)


def hold(path: str, flags: int = 0) -> int:
    """Lock a file that may be there already and return its descriptor; raises OSError if it is locked."""
    descriptor = os.open(path, _FLAGS | os.O_CREAT | flags, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def forestall(path: str, attempt: Attempt) -> bool:
    """Make sure that an attempt that has not begun never will, and write that down; False if it has begun."""
    # Written first and then put in its place, whole: another rescuer that found it empty would call the attempt lost.
    # Not locked: whoever else rescues this run ends the holders, and that would be us.
    draft = f"{path}.{os.getpid()}"
    descriptor = os.open(draft, _FLAGS | os.O_CREAT, 0o600)
    record(descriptor, attempt)
    os.close(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def is_held(path: str) -> bool:
    """Whether a process lives that inherited the lock."""
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who only asks is no holder
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def record(descriptor: int, attempt: Attempt) -> None:
    """Write down how the attempt ended, before anybody is told; if the disk is full, it is only told."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, json.dumps(attempt_to_record(attempt)).encode(), 0)


def recorded(path: str) -> Attempt | None:
    """Return the attempt that was written down as ended; None if there is none, or only part of it."""
    try:
        return attempt_of(json.loads(Path(path).read_bytes()))
    except (OSError, ValueError, KeyError):
        return None


def end_holders(path: str, sig: signal.Signals = signal.SIGKILL, *, marked: bool = True) -> bool:
    """Send ``sig`` to every process of an attempt; return whether there was none any more.

    A process of the attempt holds its lock or, with ``marked``, has its mark in the environment: a child that closed
    its descriptors has only that. To look for the mark takes milliseconds.
    """
    pids = set(_marked(path)) if marked else set()
    if is_held(path):
        pids |= set(_holders(path))
    elif not pids:
        return True
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sig)
    return False


def forget(path: str) -> None:
    """Remove the lock file of an attempt that has been settled."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _holders(path: str) -> list[int]:
    if sys.platform != "linux":
        try:
            found = subprocess.run(["lsof", "-t", path], capture_output=True, text=True, check=False).stdout
        except OSError:  # nobody to ask: the lock is then waited for
            return []
        return [int(pid) for pid in found.split() if int(pid) != os.getpid()]
    target = os.path.realpath(path)
    return [pid for pid in _processes() if pid != os.getpid() and _holds(pid, target)]


def _marked(path: str) -> list[int]:
    """Return the processes that were started with the mark of the attempt; none where nobody tells."""
    if sys.platform != "linux":
        return []
    mark = os.fsencode(f"{MARK}={path}")
    return [pid for pid in _processes() if pid != os.getpid() and mark in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not ours
        return []


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _holds(pid: int, target: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        return any(_is_holding(pid, name) for name in os.listdir(folder) if _link(f"{folder}/{name}") == target)
    except OSError:  # it has ended, or is not ours
        return False


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _is_holding(pid: int, descriptor: str) -> bool:
    """Whether a descriptor has the lock, and not only the file open to ask or to read."""
    info = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(encoding="ascii", errors="replace")
    return any(line.startswith("lock:") and "WRITE" in line for line in info.splitlines())
