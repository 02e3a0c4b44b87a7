"""A terminal that a test looks at and types on: a pty, and the screen that its output makes."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyte

from tests.support.waiting import eventually

# Makes the pty the terminal of its session and heeds its signals, as a login does, and becomes the command.
_LOGIN = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
for sig in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(sig, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command on a terminal of its own, which is closed with the ``with`` block."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
        environ_more: Mapping[str, str] | None = None,
    ) -> None:
        self.said = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, self._slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self._slave)
        unset = {"COLUMNS", "LINES", "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LOGIN, *map(str, command)],
            cwd=cwd,
            env={**{key: value for key, value in environ.items() if key not in unset}, "TERM": "xterm-256color"}
            | dict(environ_more or {}),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        self.close()

    def close(self) -> None:
        """Close the terminal, as a person closes its window."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size; what runs on it is told."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen.resize(lines, columns)

    def screen(self) -> list[str]:
        """Return the lines as they are seen now, without the blanks at their ends."""
        while True:
            try:
                said = os.read(self._master, 65536)
            except OSError:  # nothing more for now
                break
            self.said += said
            self._stream.feed(said)
        return [line.rstrip() for line in self._screen.display]

    def shows(self, text: str) -> list[str]:
        """Wait until ``text`` is seen, and return the lines."""
        return eventually(lambda: text in "\n".join(lines := self.screen()) and lines)

    def ends(self) -> int:
        """Wait until the command has ended, and return its exit code."""
        [code] = eventually(lambda: (self.screen(), self.process.poll())[1] is not None and [self.process.returncode])
        self.screen()  # what it said last
        return code

    def is_as_before(self) -> bool:
        """Whether the terminal is left as it was found: its modes, and the screen that people have back."""
        return termios.tcgetattr(self._slave) == self.before and self.is_normal()

    def is_normal(self) -> bool:
        """Whether the cursor is seen and the other screen is left."""
        entered, left = self.said.rfind(b"\x1b[?1049h"), self.said.rfind(b"\x1b[?1049l")
        return not self._screen.cursor.hidden and left >= entered
