"""How an attempt ended: the few ways there are, each with the facts that belong to it."""

import signal as signals
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Exited:
    """The command ended by itself with an exit code; ``error`` says why it never started, if so."""

    code: int
    error: str | None = None

    def __str__(self) -> str:
        return self.error or f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal that queuectl did not send ended the command."""

    signal: int

    def __str__(self) -> str:
        try:
            return f"killed by {signals.Signals(self.signal).name}"
        except ValueError:  # a real-time signal has no name
            return f"killed by signal {self.signal}"


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time-out, in seconds, passed and the process tree was ended."""

    timeout: float

    def __str__(self) -> str:
        return f"timed out after {self.timeout:g} s"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person cancelled the run while this attempt was running."""

    def __str__(self) -> str:
        return "cancelled"


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker, the runner or the machine died during the attempt; how it would have ended is unknown."""

    cause: str

    def __str__(self) -> str:
        return f"lost: {self.cause}"


@dataclass(frozen=True, slots=True)
class Released:
    """The runner shut down and gave the run back; the attempt is not charged.

    ``began`` is False if the command was never started, so that nothing of it can have happened; ``trouble`` is what
    kept a worker from starting any.
    """

    began: bool = True
    trouble: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return "ended by a runner that shut down" if self.began else "given back by a runner before it began"


NEVER_BEGAN: Final = Released(began=False)
"""What an attempt is of which nothing can have happened."""

Outcome = Exited | Signalled | TimedOut | Cancelled | Lost | Released
