"""One try to deliver a hook: its command run, or its document sent, within its time-out; never raises.

An address is spoken to by a process of its own as well, so that a name that is not resolved or an answer that drips
can be ended like any command.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from socket import gethostname
from string import Template
from time import monotonic
from typing import IO, Final

from queuectl import fence
from queuectl.environment import own_environment, read_env_file
from queuectl.hooks import variables
from queuectl.process import exit_notice
from queuectl.store import Errand
from queuectl.visible import visible

LONGEST_OUTPUT: Final = 4096
"""So many bytes of the end of what a hook writes are kept."""

_LOOK: Final = 0.05
_GRACE: Final = 2.0  # from SIGTERM to SIGKILL
_LAST: Final = 1.0  # from SIGKILL until it is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a try ended; ``is_final`` if another cannot help, ``is_interrupted`` if the runner's end cut it short."""

    is_done: bool
    detail: str
    output: str = ""
    is_final: bool = False
    is_interrupted: bool = False


def deliver(errand: Errand, *, database: str, hurry: threading.Event) -> Delivery:
    """Try once, and return how that went; it ends early once ``hurry`` is set."""
    hook = errand.hook
    try:
        inherited = _inherited()
        environ = _environment(errand, database, inherited)
        told = _document(errand, database, environ) if hook.url else b""
        process = subprocess.Popen(
            _arguments(errand),
            cwd=errand.cwd if hook.url is None else None,
            env=environ if hook.url is None else inherited,  # what is meant for the job may keep Python from starting
            stdin=subprocess.PIPE if told else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Delivery(is_done=False, detail=f"did not start: {_reason(error)}")
    if process.stdin:
        with suppress(BrokenPipeError), process.stdin as line:  # less than a pipe holds
            line.write(told)
    assert process.stdout is not None
    tail = _Tail(process.stdout)
    ending = _wait(process.pid, hook.timeout, hurry)
    _signal(process.pid, signal.SIGKILL)  # what it left behind; the zombie keeps the group's number from being reused
    code = process.poll()
    output = tail.text()
    if ending is not None or code is None:
        return Delivery(is_done=False, detail=ending or "", output=output, is_interrupted=hurry.is_set())
    if hook.url:
        return Delivery(is_done=code == 0, detail=output.partition("\n")[0][:200] or f"exit code {code}", output=output)
    return Delivery(is_done=code == 0, detail=f"exit code {code}" if code >= 0 else f"signal {-code}", output=output)


def _wait(group: int, timeout: float, hurry: threading.Event) -> str | None:
    """Wait for the end without reaping; end the group when its time is over, and return why it had to be."""
    try:
        notice = exit_notice(group)
    except OSError as error:  # no descriptor is left
        _signal(group, signal.SIGKILL)
        return f"could not be waited for: {error.strerror}"
    poll = select.poll()
    poll.register(notice, select.POLLIN)
    deadline, why = monotonic() + timeout, None
    try:
        while not poll.poll(_LOOK * 1000):
            now = monotonic()
            if why is None and (hurry.is_set() or now >= deadline):
                why = "cut short: the runner ended" if hurry.is_set() else f"timed out after {timeout:g} s"
                deadline = now + (0 if hurry.is_set() else _GRACE)
                _signal(group, signal.SIGTERM)
            elif why is not None and now >= deadline + _LAST:  # it belongs to another user, or hangs in the kernel
                return f"{why}; it could not be ended"
            elif why is not None and now >= deadline:
                _signal(group, signal.SIGKILL)
    finally:
        os.close(notice)
    return why


def _signal(group: int, sig: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sig)


class _Tail:
    """Reads what a process writes to the end, and keeps the last of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while data := os.read(self._stream.fileno(), 65536):
                self._kept = (self._kept + data)[-LONGEST_OUTPUT:]

    def text(self) -> str:
        """Return the end of it; what a process that left the group still writes is not waited for."""
        self._thread.join(0.5)
        if not self._thread.is_alive():
            self._stream.close()
        return self._kept.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _arguments(errand: Errand) -> list[str]:
    hook = errand.hook
    if hook.url is not None:
        return [sys.executable, "-P", "-m", "queuectl.webhook"]
    assert hook.command is not None
    return [*errand.shell, hook.command] if isinstance(hook.command, str) else list(hook.command)


def _inherited() -> dict[str, str]:
    return {name: value for name, value in own_environment().items() if name != fence.MARK}


def _environment(errand: Errand, database: str, inherited: Mapping[str, str]) -> dict[str, str]:
    from_file = read_env_file(errand.env_file) if errand.env_file else {}
    return {**inherited, **from_file, **errand.env, **variables(errand.facts), "QUEUECTL_DB": database}


def _document(errand: Errand, database: str, environ: Mapping[str, str]) -> bytes:
    """Return what the process that sends is told, by its standard input: `ps` must not see the address."""
    hook = errand.hook
    assert hook.url is not None
    try:
        url = Template(hook.url).substitute(environ)
    except KeyError as error:
        raise ValueError(f"`${error.args[0]}` of its address is not set") from None
    # Two queues may call the same address, and their executions have the same names.
    key = sha256(f"{gethostname()}:{database}:{errand.facts['id']}".encode()).hexdigest()[:32]
    told = {"url": url, "timeout": hook.timeout, "key": key, "try": errand.tries, "facts": errand.facts}
    return json.dumps(told).encode()


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"{visible(str(error.filename))}: {error.strerror}" if error.filename else str(error.strerror)
    return visible(str(error))
