"""Keys as they are pressed, and signals, for a command that draws on the whole terminal."""

import os
import select
import signal
import sys
import termios
import time
import tty
from contextlib import suppress
from typing import Any, Final, Self

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOLD: Final = (*_ENDING, signal.SIGWINCH, signal.SIGTSTP)
_LEAVE: Final = b"qQ\x04"


class Keyboard:
    """Inside, keys come at once and unseen, and signals are told instead of acting; afterwards all is as it was."""

    def __enter__(self) -> Self:
        self._input = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._hearing, self._telling = os.pipe()
        for end in (self._hearing, self._telling):
            os.set_blocking(end, False)
        self._handlers = {sig: signal.signal(sig, _told) for sig in _TOLD}
        self._wakeup = signal.set_wakeup_fd(self._telling, warn_on_full_buffer=False)
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        signal.set_wakeup_fd(self._wakeup)
        for sig, handler in self._handlers.items():
            signal.signal(sig, handler)
        os.close(self._hearing)
        os.close(self._telling)

    def wait(self, until: float) -> int | None:
        """Return the number of the next signal, or 0 for a key to leave; None if neither came until that time."""
        while True:
            left = max(until - time.monotonic(), 0)
            sources = [self._hearing] if self._input is None else [self._hearing, self._input]
            ready, _, _ = select.select(sources, [], [], left)
            if self._hearing in ready:
                told = os.read(self._hearing, 1024)
                # Whoever wants to leave leaves, however often the terminal was resized meanwhile.
                return next((sig for sig in told if sig in _ENDING), told[-1])
            if self._input in ready:
                keys = self._read()
                if keys is None:
                    return signal.SIGHUP
                if any(key in _LEAVE for key in keys):
                    return 0
            elif not ready:
                return None

    def sleep(self) -> None:
        """Stop as Ctrl-Z does, with the terminal as it was before; returns when the process goes on."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()

    def _read(self) -> bytes | None:
        """Return the keys that were pressed; None if the terminal is gone."""
        with suppress(OSError):
            return os.read(self._input or 0, 1024) or None
        return None

    def _take(self) -> None:
        self._attributes: list[Any] | None = None
        if self._input is not None:
            self._attributes = termios.tcgetattr(self._input)
            tty.setcbreak(self._input, termios.TCSADRAIN)  # keys that were pressed already count

    def _give_back(self) -> None:
        if self._input is not None and self._attributes is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._attributes)


def _told(_signal: int, _frame: object) -> None:
    """Do nothing: the number of the signal is read from the pipe."""
