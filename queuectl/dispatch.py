"""A runner's courier as the runner sees it: started when there is a hook, told of news, sent home at the end."""

import os
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Final, Self

from queuectl.store import Store

_PAUSE: Final = 2.0  # between one courier and the next
_FAREWELL: Final = 4.5  # a little more than courier.LAST_SECONDS


class Dispatch:
    """Keeps at most one courier for a runner."""

    def __init__(self, store: Store, runner: int) -> None:
        self._store, self._runner = store, runner
        queue = [str(store.path), store.durability]
        self._command = [sys.executable, "-P", "-m", "queuectl.courier", *queue, str(runner)]
        self._courier: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(at_once=kind is not None)

    def send(self) -> None:
        """See to it that a courier knows that there are hooks; never waits."""
        courier = self._courier
        if courier is not None and courier.poll() is None:
            assert courier.stdin is not None
            with suppress(BrokenPipeError, BlockingIOError):  # it ends at this moment, or has been told often enough
                courier.stdin.write(b"!")
            return
        if monotonic() < self._not_before:
            return
        self._not_before = monotonic() + _PAUSE
        self._let_go()
        self._courier = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0, start_new_session=True
        )
        assert self._courier.stdin is not None
        os.set_blocking(self._courier.stdin.fileno(), False)

    def tend(self, *, now: datetime) -> None:
        """See whether the courier died; what it had is soon due for another."""
        if self._courier is not None and self._courier.poll() not in (None, 0):
            self._let_go()
            self._store.hurry_hooks(self._runner, now=now)

    def close(self, *, at_once: bool = False) -> None:
        """Send the courier home: what it delivers may end within seconds, or is cut short if it must be ``at_once``."""
        courier = self._courier
        if courier is None:
            return
        assert courier.stdin is not None
        courier.stdin.close()
        if at_once:
            courier.terminate()
        try:
            courier.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            courier.kill()
            courier.wait()
        self._courier = None

    def _let_go(self) -> None:
        if self._courier is not None and self._courier.stdin is not None:
            self._courier.stdin.close()
        self._courier = None
