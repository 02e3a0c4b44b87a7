"""What a job writes: kept as bytes, the beginning and the end of each stream, in files of a bounded size.

The beginning is a plain file. When it has reached half the limit, what follows goes round in a second file,
``<name>.tail``, whose first eight bytes are the number of bytes that have come since.
"""

import os
from collections.abc import Iterator
from pathlib import Path

_HEADER = 8
_LAST = 4096
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
    try:
        with Path(path).open("rb") as head:
            head.seek(max(head.seek(0, os.SEEK_END) - _LAST, 0))
            kept = head.read()
    except FileNotFoundError:
        return ""
    kept += _read_round(path)[1][-_LAST:]
    lines = [line.strip() for line in kept.decode(errors="replace").splitlines()]
    return next((line[:200] for line in reversed(lines) if line), "")


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


def _dropped(count: int) -> bytes:
    return f"\n[… {count:,} bytes dropped by queuectl …]\n".encode()


def _make(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:  # the first of a thousand
        Path(path).parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, _FLAGS, 0o600)


def _write_all(descriptor: int, data: bytes, position: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written
