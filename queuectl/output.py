"""What a job writes: kept as bytes, the beginning and the end of each stream, in files of a bounded size.

The beginning is a plain file. When it has reached half the limit, what follows goes round in a second file,
``<name>.tail``, whose first eight bytes are the number of bytes that have come since.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from queuectl.spool import Spool

_HEADER = 8
_LAST = 4096
_LAST_LINES = 1 << 16
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Sink:
    """The writing end of one stream; its files are made when the first byte comes.

    A full disk loses output, never the attempt: what cannot be written is counted and dropped.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.total = 0
        self._path = path
        self._half = max(limit // 2, 1)
        self._head: int | None = None
        self._tail: int | None = None

    def write(self, data: bytes) -> None:
        """Take what the job wrote."""
        head, tail = data[: max(self._half - self.total, 0)], data[max(self._half - self.total, 0) :]
        try:
            if head:
                if self._head is None:
                    self._head = _make(self._path)
                _write_all(self._head, head, self.total)
            if tail:
                if self._tail is None:
                    self._tail = _make(self._path + ".tail")
                self._write_round(self._tail, tail, max(self.total - self._half, 0))
        except OSError:
            pass
        self.total += len(data)

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._head, self._tail):
            if descriptor is not None:
                os.close(descriptor)

    def _write_round(self, descriptor: int, data: bytes, before: int) -> None:
        after = before + len(data)
        kept = data[-self._half :]
        position = (after - len(kept)) % self._half
        first = kept[: self._half - position]
        _write_all(descriptor, first, _HEADER + position)
        _write_all(descriptor, kept[len(first) :], _HEADER)
        _write_all(descriptor, after.to_bytes(_HEADER, "big"), 0)


def read_output(path: str) -> Iterator[bytes]:
    """Yield what is kept of a stream, in pieces; a note in brackets stands for what was dropped.

    Yields nothing if the job wrote nothing, or if the files are gone.
    """
    try:
        with Path(path).open("rb") as head:
            yield from iter(lambda: head.read(65536), b"")
    except FileNotFoundError:
        return
    total, kept = _read_round(path)
    if total > len(kept):
        yield _dropped(total - len(kept))
    if kept:
        yield kept


def last_line(path: str) -> str:
    """Return the last line of a stream that is not blank, at most 200 characters of it; nothing if there is none."""
    _, end = read_end(path, _LAST)
    lines = [line.strip() for line in end.decode(errors="replace").splitlines()]
    return next((line[:200] for line in reversed(lines) if line), "")


def last_lines(path: str, count: int) -> list[str]:
    """Return the last lines of a stream, each with at most 1,000 characters; fewer if they are very long."""
    _, end = read_end(path, _LAST_LINES)
    return [line[:1000] for line in end.decode(errors="replace").splitlines()[-count:]]


def read_end(path: str, size: int) -> tuple[int, bytes]:
    """Return how much of a stream stands before its end, kept or not, and the end: ``size`` bytes at most.

    The end does not reach back over what was dropped. Reads no more than it returns, so that it can be asked again
    and again while the stream is written.
    """
    head_size = _size(path)
    round_size = _size(path + ".tail") - _HEADER
    if round_size <= 0:
        data = _read_at(path, max(head_size - size, 0), size)
        return max(head_size - len(data), 0), data
    total = int.from_bytes(_read_at(path + ".tail", 0, _HEADER), "big")
    wanted = min(size, total, round_size)
    data = _read_at(path + ".tail", _HEADER + (total - wanted) % round_size, wanted)
    data = data[:wanted] + _read_at(path + ".tail", _HEADER, wanted - len(data))
    if total <= round_size and wanted < size:
        data = _read_at(path, max(head_size - size + wanted, 0), size - wanted) + data
    return max(head_size + total - len(data), 0), data


class Outputs:
    """Both streams of one execution as they are written; most jobs write nothing, and nothing is made for them."""

    def __init__(self, spool: Spool, execution: str, limit: int) -> None:
        self._spool = spool
        self._execution = execution
        self._limit = limit
        self._sinks: dict[str, Sink] = {}

    def write(self, stream: str, data: bytes) -> None:
        """Take what the job wrote to ``stream``."""
        sink = self._sinks.get(stream)
        if sink is None:
            sink = self._sinks[stream] = Sink(self._spool.output(self._execution, stream), self._limit)
        sink.write(data)

    def total(self, stream: str) -> int:
        """Return how many bytes came, kept or not."""
        return self._sinks[stream].total if stream in self._sinks else 0

    def close(self) -> None:
        """Close the files."""
        for sink in self._sinks.values():
            sink.close()


class Follower:
    """Reads a stream while it is written: each call returns what has come since the last."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._head_read = 0
        self._tail_read = 0

    def read(self) -> bytes:
        """Return the new bytes; a note stands for those that were overwritten before they were read."""
        try:
            with self._path.open("rb") as head:
                head.seek(self._head_read)
                found = head.read()
        except FileNotFoundError:
            return b""
        self._head_read += len(found)
        return found + self._read_tail()

    def _read_tail(self) -> bytes:
        total, kept = _read_round(str(self._path))
        fresh = total - self._tail_read
        if fresh <= 0 or not kept:
            return b""
        self._tail_read = total
        return (_dropped(fresh - len(kept)) if fresh > len(kept) else b"") + kept[-fresh:]


def remove_output(path: str) -> None:
    """Remove what is kept of a stream, if anything is."""
    for each in (path, path + ".tail"):
        Path(each).unlink(missing_ok=True)


def _read_round(path: str) -> tuple[int, bytes]:
    """Return how many bytes came after the beginning of a stream, and those that are kept, in their order."""
    try:
        tail = Path(path + ".tail").read_bytes()
    except FileNotFoundError:
        return 0, b""
    total, ring = int.from_bytes(tail[:_HEADER], "big"), tail[_HEADER:]
    if total <= len(ring) or not ring:
        return total, ring
    start = total % len(ring)
    return total, ring[start:] + ring[:start]


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _read_at(path: str, position: int, size: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            file.seek(position)
            return file.read(size) if size > 0 else b""
    except FileNotFoundError:
        return b""


def _dropped(count: int) -> bytes:
    return f"\n[… {count:,} bytes dropped by queuectl …]\n".encode()


def _make(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:  # the first of a thousand
        Path(path).parent.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:  # of a time after that to which a restored backup went back
        os.unlink(path)
    return os.open(path, _FLAGS, 0o600)


def _write_all(descriptor: int, data: bytes, position: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written
