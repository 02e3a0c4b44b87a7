"""The pipes by which a job writes, kept from one attempt of a worker to the next.

To make and to tear down pipes costs as much as to read them, and who waits for their end is woken for nothing.
"""

import fcntl
import os


class Pipes:
    """One pipe for stdout and one for stderr, whose writing ends this process holds too: they never read as ended."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []

    def open(self) -> list[tuple[int, int]]:
        """Return the reading ends, which do not block, each with its writing end as a new pipe has it."""
        if not self._ends:
            self._ends = [os.pipe(), os.pipe()]
            for reading, _ in self._ends:
                os.set_blocking(reading, False)
        for _, writing in self._ends:
            fcntl.fcntl(writing, fcntl.F_SETFL, 0)  # the last job may have left it without blocking
        return self._ends

    def close(self) -> None:
        """Give the pipes up: somebody may still write, or something is left in them."""
        for ends in self._ends:
            for descriptor in ends:
                os.close(descriptor)
        self._ends = []
