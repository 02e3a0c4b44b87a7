"""What goes into the store and comes out of it beside jobs and runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queuectl.job import Attempt, Run
from queuectl.spec import JobSpec

Settlement = tuple[Run, Run, Attempt]
"""A run as it was claimed, as it stands after its attempt, and the attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A runner as it registered itself."""

    id: int
    host: str
    pid: int
    workers: int
    started_at: datetime
    heartbeat_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who applies or acts, by which way, and from which state of the repository; None where there is no git.

    The ``channel`` is `cli`, `dashboard`, or `runner` for what a runner does by itself.
    """

    user: str
    host: str
    channel: str = "cli"
    git_commit: str | None = None
    git_dirty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """One apply that changed something."""

    number: int
    applied_at: datetime
    author: Author
    changes: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The apply that a spec came from, and the commit from which that was."""

    apply: int
    applied_at: datetime
    git_commit: str | None
    git_dirty: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """An attempt that has ended, what it ran with, and the runner it had; ``origin`` is that of its spec."""

    attempt: Attempt
    spec: JobSpec
    origin: Origin | None
    host: str
    pid: int
