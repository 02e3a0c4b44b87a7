"""Proof that nothing of an attempt runs any more.

An attempt's processes inherit a locked file. The kernel releases the lock when the last of them ends: no clock,
no heartbeat and no process number is believed. A child that closed its descriptors is known by its environment; only
one that wiped that as well is not seen.
"""

import contextlib
import fcntl
import os
import signal
import sys
from pathlib import Path

MARK = "QUEUECTL_EXECUTION"
"""The environment variable by which a process of an attempt is known."""

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def hold(path: str) -> int:
    """Lock a file that may be there already and return its descriptor; raises OSError if it is locked."""
    descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


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


def end_holders(path: str, mark: str, sig: signal.Signals = signal.SIGKILL, *, spare_with: int | None = None) -> bool:
    """Send ``sig`` to every process of an attempt; return whether there was none any more.

    A process of the attempt holds the lock at ``path`` or has ``mark`` in its environment: a child that closed its
    descriptors has only that. While the process ``spare_with`` is one of them it ends the others itself, and none is
    signalled.
    """
    pids = {pid for pid in _processes() if _is_marked(pid, mark)}
    if is_held(path):
        pids |= set(_holders(path))
    elif not pids:
        return True
    if spare_with not in pids:
        for pid in pids:
            _send(pid, sig, path, mark)
    return False


def forget(path: str) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _send(pid: int, sig: signal.Signals, path: str, mark: str) -> None:
    """Signal a process of an attempt, and no other that was given its number meanwhile."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "linux":
            os.kill(pid, sig)
            return
        descriptor = os.pidfd_open(pid)
        try:
            if _is_marked(pid, mark) or _holds(pid, os.path.realpath(path)):
                signal.pidfd_send_signal(descriptor, sig)
        finally:
            os.close(descriptor)


def _holders(path: str) -> list[int]:
    if sys.platform != "linux":
        import subprocess

        try:
            found = subprocess.run(["lsof", "-t", path], capture_output=True, text=True, check=False).stdout
        except OSError:  # nobody to ask: the lock is then waited for
            return []
        return [int(pid) for pid in found.split() if int(pid) != os.getpid()]
    target = os.path.realpath(path)
    return [pid for pid in _processes() if _holds(pid, target)]


def _processes() -> list[int]:
    """Return all processes but this one; none where nobody tells."""
    if sys.platform != "linux":
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _is_marked(pid: int, mark: str) -> bool:
    try:
        return os.fsencode(f"{MARK}={mark}") in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not ours
        return False


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
