"""Whether a queue and the machine around it are sound: what `queuectl doctor` tells. Nothing here writes."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from queuectl import presence
from queuectl.durations import format_duration
from queuectl.mounts import NETWORK, file_system
from queuectl.sizes import format_size
from queuectl.spool import Spool
from queuectl.store import Store

_LITTLE_SPACE = 512 << 20
_CLOCK_TOLERANCE = timedelta(seconds=5)


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``advice`` says what to do about a fault or a warning."""

    subject: str
    verdict: Verdict
    fact: str
    advice: str = ""


def examine(store: Store, *, shell: str, now: datetime) -> list[Finding]:
    """Return what is to be known of the queue, its files, the disk, the clock, the runners and the shell."""
    return [
        _database(store),
        _modes(store.path),
        _file_system(store.path),
        _disk_space(store.path),
        _clock(store, now),
        *_runners(store, now),
        _shell(shell),
    ]


def _database(store: Store) -> Finding:
    if not store.path.exists():
        return Finding("database", Verdict.OK, f"{store.path}: not there yet, as long as nothing was queued")
    problems = store.integrity_problems()
    if problems:
        return Finding("database", Verdict.FAULT, problems[0], "restore a backup")
    return Finding("database", Verdict.OK, f"{store.path}: intact, schema version {store.schema_version()}")


def _modes(path: Path) -> Finding:
    root = Path(Spool(str(path)).root)
    files = [each for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), root) if each.exists()]
    open_to_others = [each for each in files if stat.S_IMODE(each.stat().st_mode) & 0o077]
    if open_to_others:
        names = ", ".join(f"`{each}`" for each in open_to_others)
        return Finding("file modes", Verdict.WARNING, f"others may use {names}", "chmod go-rwx")
    return Finding("file modes", Verdict.OK, "the owner's only")


def _file_system(path: Path) -> Finding:
    kind = file_system(path)
    if kind in NETWORK:
        return Finding("file system", Verdict.FAULT, f"{kind}, a network file system", "move it to a local disk")
    return Finding("file system", Verdict.OK, kind or "unknown")


def _disk_space(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent if path.parent.exists() else "/").free
    unit = 30 if free >> 33 else 20  # whole GiB from 8 on, else whole MiB
    fact = f"{format_size(free >> unit << unit)} free"
    if free < _LITTLE_SPACE:
        return Finding("disk space", Verdict.WARNING, fact, "make room: a full disk stops claims and loses output")
    return Finding("disk space", Verdict.OK, fact)


def _clock(store: Store, now: datetime) -> Finding:
    ahead = [run.updated_at - now for run in store.runs(limit=100)]
    worst = max(ahead, default=timedelta(0))
    if worst > _CLOCK_TOLERANCE:
        fact = f"runs changed {format_duration(worst.total_seconds())} in the future"
        return Finding("clock", Verdict.WARNING, fact, "the clock was set back: is it synchronised?")
    return Finding("clock", Verdict.OK, f"{now:%Y-%m-%dT%H:%M:%SZ}")


def _runners(store: Store, now: datetime) -> Iterator[Finding]:
    spool = Spool(str(store.path))
    runners = store.running_runners()
    if not runners:
        yield Finding("runners", Verdict.WARNING, "none", "`queuectl run` starts one")
    for runner in runners:
        name = f"runner {runner.id}, pid {runner.pid} on {runner.host}"
        if not presence.is_alive(spool, runner.id):
            yield Finding("runners", Verdict.WARNING, f"{name}: died", "the next runner rescues its runs")
            continue
        silence = (now - runner.heartbeat_at).total_seconds()
        yield Finding("runners", Verdict.OK, f"{name}: alive, last heard {format_duration(max(silence, 0))} ago")


def _shell(shell: str) -> Finding:
    found = shutil.which(shell)
    if found is None or not os.access(found, os.X_OK):
        return Finding("shell", Verdict.FAULT, f"`{shell}` is not there", "`queuectl config set shell …`")
    return Finding("shell", Verdict.OK, found)
