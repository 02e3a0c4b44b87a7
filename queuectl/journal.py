"""What a worker has begun and how it ended, written down before anybody is told.

A journal is a file of lines: first ``worker PID``, then for every execution its name as it begins and the attempt's
record as it has ended. When the file is full, the next one follows. A worker tells its runner the same lines.

The descriptor by which an execution is begun is its run lock: the job inherits it, and who can lock the file knows that
nothing of its last execution lives. Where it is proved that a job left nothing, a worker that goes on at once goes on
with the lock that it has; else it lets go of it, and the next execution has to get it anew. Space for the lines is
taken when the file is made, so that a full disk cannot lose the end of what has begun.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from queuectl import failpoint, fence
from queuectl.job import Attempt
from queuectl.outcome import Exited, Outcome
from queuectl.records import attempt_of_values, outcome_to_values

_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_SIZE: Final = 1 << 16
_LONGEST_LINES: Final = 2048  # of one execution; a line that is longer makes the file grow
_decode: Final = json.JSONDecoder().decode
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class Journal:
    """The writing end, a worker's own; ``name`` is what its files' paths begin with."""

    def __init__(self, name: str) -> None:
        self.file = 0
        """The number of the present file, from 1."""
        self._name = name
        self._end = _SIZE
        self._lock: int | None = None

    @property
    def path(self) -> str:
        """The path of the present file."""
        return f"{self._name}.{self.file}"

    def begin(self, execution: str) -> int:
        """Write down that an execution begins and return its lock, for the job to inherit; raises OSError."""
        if self._end + _LONGEST_LINES >= _SIZE:
            self.let_go()
        elif self._lock is None:
            self._lock = self._locked_anew()
        if self._lock is None:
            self._lock = self._next_file()
        try:
            failpoint.reach("begin-before-journal")
            self._write(execution.encode())
        except OSError:
            self.let_go()
            raise
        return self._lock

    def end(self, record: bytes) -> None:
        """Write down how the execution ended that was begun last; if that is not possible, it is only told."""
        if self._lock is not None:
            try:
                self._write(record)
            except OSError:
                self.let_go()  # who finds the lock held would wait for an end that never comes

    def let_go(self) -> None:
        """Let go of the lock: something of the last execution may live on, and then still has it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locked_anew(self) -> int | None:
        """Lock the present file anew; None if it is gone, or something of an earlier execution still has it."""
        try:
            descriptor = os.open(self.path, _FLAGS)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _next_file(self) -> int:
        path = f"{self._name}.{self.file + 1}"
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            failpoint.reach("journal-made")
            first = hello() + b"\n"
            os.pwrite(descriptor, first + bytes(_SIZE - len(first)), 0)
        except OSError:
            os.close(descriptor)
            fence.forget(path)
            raise
        self.file += 1
        self._end = len(first)
        return descriptor

    def _write(self, line: bytes) -> None:
        assert self._lock is not None
        data = line + b"\n"
        if os.pwrite(self._lock, data, self._end) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += len(data)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one execution: the file that names it, the worker, and the attempt if it is written down.

    ``is_last`` tells whether the file's lock is this execution's; else a later one has begun and this one is over.
    """

    path: str
    worker: int
    attempt: Attempt | None
    is_last: bool


def read_journals(paths: Iterable[str]) -> Mapping[str, Entry]:
    """Return what journals say of each execution, by its name; a file that is gone or damaged says nothing."""
    return {execution: entry for path in paths for execution, entry in _read(path).items()}


def hello() -> bytes:
    """Return the line by which a worker makes itself known."""
    return f"worker {os.getpid()}".encode()


def file_line(journal: Journal) -> bytes:
    """Return the line that tells which file the journal has come to."""
    return f"file {journal.file}".encode()


def record_line(
    lease: int,
    number: int,
    runner: int,
    started_at: int,
    finished_at: int,
    outcome: Outcome,
    stdout_bytes: int,
    stderr_bytes: int,
    cpu_micros: int | None,
    max_rss_bytes: int | None,
) -> bytes:
    """Return the line that tells how an attempt ended, as JSON; all times are microseconds.

    Put together by hand: a worker makes one after each command, when an encoder has to be fetched into the caches anew.
    """
    began_and_ended = f"{lease},{number},{runner},{started_at},{finished_at}"
    cpu = "null" if cpu_micros is None else cpu_micros
    max_rss = "null" if max_rss_bytes is None else max_rss_bytes
    return f"[{began_and_ended},{_in_json(outcome)},{stdout_bytes},{stderr_bytes},{cpu},{max_rss}]".encode()


def _in_json(outcome: Outcome) -> str:
    if isinstance(outcome, Exited) and outcome.error is None:  # most
        return f'"exited",{outcome.code},null,null,null'
    return _encode(outcome_to_values(outcome))[1:-1]


def attempt_in(line: bytes) -> Attempt | None:
    """Return the attempt that a line tells of; None if only part of it is there."""
    try:
        *values, cpu_micros, max_rss_bytes = _decode(line.decode())
        cpu_seconds = None if cpu_micros is None else cpu_micros / 1_000_000
        return attempt_of_values([*values, cpu_seconds, max_rss_bytes])
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def is_execution(line: bytes) -> bool:
    """Whether a line names an execution that begins, and whole: where a machine stopped there may be a hole in it."""
    return line.replace(b".", b"", 1).isdigit()


def is_record(line: bytes) -> bool:
    """Whether a line tells how an attempt ended."""
    return line.startswith(b"[")


def number_in(line: bytes, word: str) -> int | None:
    """Return the number of a line such as ``worker 12``; None if it begins with another word."""
    found, _, number = line.decode(errors="replace").partition(" ")
    return int(number) if found == word and number.isascii() and number.isdigit() and len(number) < 20 else None


def _read(path: str) -> dict[str, Entry]:
    try:
        lines = Path(path).read_bytes().rstrip(b"\0").split(b"\n")
    except OSError:
        return {}
    found: dict[str, Attempt | None] = {}
    last = ""
    for line in lines[1:-1]:  # what follows the last line break is not whole
        if is_record(line):
            attempt = attempt_in(line)
            # Where a machine that stopped left a hole, a record may follow another execution's name.
            if attempt is not None and last.endswith(f".{attempt.lease}"):
                found[last] = attempt
        elif is_execution(line):
            last = line.decode(errors="replace")
            found[last] = None
    worker = number_in(lines[0], "worker") or 0
    return {
        execution: Entry(path=path, worker=worker, attempt=attempt, is_last=execution == last)
        for execution, attempt in found.items()
    }
