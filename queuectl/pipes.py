"""The pipes by which a job writes, and what waits for them, kept from one attempt of a worker to the next.

To make and to tear down pipes costs as much as to read them, and who waits for their end is woken for nothing.
"""

import fcntl
import os
import select


class Pipes:
    """One pipe for stdout and one for stderr, whose writing ends this process holds too: they never read as ended."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []
        self._poll = select.poll()
        self._polled: tuple[int, ...] = ()

    def open(self) -> list[tuple[int, int]]:
        """Return the reading ends, which do not block, each with its writing end as a new pipe has it."""
        if not self._ends:
            self._ends = [os.pipe(), os.pipe()]
            for reading, _ in self._ends:
                os.set_blocking(reading, False)
        for _, writing in self._ends:
            fcntl.fcntl(writing, fcntl.F_SETFL, 0)  # the last job may have left it without blocking
        return self._ends

    def waiting(self, end: int, line: int | None) -> select.poll:
        """Return what waits for the end of a command, for what it writes, and for the line, and tells of them in turn.

        The end comes first: who is told of it, and in the same breath of the pipes, knows what is left in them.
        """
        polled = (end, *(reading for reading, _ in self._ends), *(() if line is None else (line,)))
        if polled != self._polled:  # seldom: the number of a descriptor that was closed is the next one's
            self._poll, self._polled = select.poll(), polled
            for descriptor in polled:
                self._poll.register(descriptor, select.POLLIN)
        return self._poll

    def wait_no_more(self, descriptor: int) -> None:
        """Wait for this one no more, in the present attempt."""
        self._poll.unregister(descriptor)
        self._polled = ()

    def close(self) -> None:
        """Give the pipes up: somebody may still write, or something is left in them."""
        for ends in self._ends:
            for descriptor in ends:
                os.close(descriptor)
        self._ends = []
