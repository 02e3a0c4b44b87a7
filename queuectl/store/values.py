"""What goes into the store and comes out of it beside jobs and runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queuectl.job import Attempt, Run, State

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
    """Who applies, and from which state of the repository; None where there is no git."""

    user: str
    host: str
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
class RunFilter:
    """Which runs to read; every condition that is given must hold."""

    state: State | None = None
    job: str | None = None
    manifest: str | None = None
    tag: str | None = None
    limit: int | None = None
