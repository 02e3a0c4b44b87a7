"""Finding the processes of a soak, and ending them: those that carry its mark, and no others."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

MARK = "SOAK_MARK"
"""The variable that a soak gives to its runners, which everything they start inherits: `folder:runner`."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a soak; ``kind`` is runner, forkserver, worker, job (the leader of an attempt) or other."""

    pid: int
    parent: int
    kind: str
    runner: str
    execution: str | None


def processes(folder: Path) -> list[Process]:
    """Return the living processes that carry the mark of the soak in ``folder``, in the order of their numbers."""
    found = [_read(int(entry.name), str(folder)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    alive = sorted((each for each in found if each), key=lambda process: process.pid)
    kinds = {process.pid: process.kind for process in alive}
    return [_placed(process, kinds) for process in alive]


def send(process: Process, folder: Path, sig: signal.Signals) -> bool:
    """Signal the process if it is still the one that was found; return whether it was."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # Read again now that the number cannot come to mean another process unnoticed.
        now = _read(process.pid, str(folder))
        if now is None or (now.runner, now.execution) != (process.runner, process.execution):
            return False
        signal.pidfd_send_signal(descriptor, sig)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def wait_for_any(pids: list[int], seconds: float) -> None:
    """Wait until one of the processes has ended, at most so long."""
    poll = select.poll()
    with contextlib.ExitStack() as stack:
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:  # ended, and noticed already
                return
            stack.callback(os.close, descriptor)
            poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)


def _read(pid: int, folder: str) -> Process | None:
    try:
        environ = dict(_variables(Path(f"/proc/{pid}/environ").read_bytes()))
        marked, _, runner = environ.get(MARK, "").rpartition(":")
        if marked != folder:
            return None
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        state, parent, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):  # it has ended, or is not ours
        return None
    if state in "ZX":
        return None
    execution = environ.get("QUEUECTL_EXECUTION")
    if execution:
        kind = "job" if int(group) == pid and "job.sh" in command else "other"
    elif "multiprocessing.forkserver" in command:
        kind = "forked"
    else:
        kind = "other" if "multiprocessing" in command else "runner"
    return Process(pid, int(parent), kind, runner, execution.rpartition(":")[2] if execution else None)


def _variables(environ: bytes) -> Iterator[tuple[str, str]]:
    for entry in environ.decode(errors="replace").split("\0"):
        name, equals, value = entry.partition("=")
        if equals:
            yield name, value


def _placed(process: Process, kinds: dict[int, str]) -> Process:
    """Tell a forkserver, the child of a runner, from its workers."""
    if process.kind != "forked":
        return process
    return replace(process, kind="forkserver" if kinds.get(process.parent) == "runner" else "worker")
