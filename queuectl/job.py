"""The values that go round: what a job is, what a run of it is, what an attempt was.

All of them are frozen; a change makes a copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from queuectl.outcome import Outcome
from queuectl.spec import JobSpec

HELD = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The time of a run that waits for the one before it; the end of that one brings it forward."""


class State(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_waiting(self) -> bool:
        """Whether a run in this state is claimed once its time has come."""
        return self in (State.PENDING, State.FAILED)

    @property
    def is_final(self) -> bool:
        """Whether a run in this state stays there unless a person acts."""
        return not self.is_waiting and self is not State.PROCESSING


class Catchup(StrEnum):
    """Which of the slots run that were due while no runner was there."""

    LATEST = "latest"
    NONE = "none"
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a slot that is due while a run of its job is not over; waiting for a retry is not over."""

    SKIP = "skip"  # it is recorded as skipped
    QUEUE = "queue"  # its run waits for the one before
    ALLOW = "allow"  # both run
    REPLACE = "replace"  # the one before is cancelled, and its run follows when that is over


class Stop(StrEnum):
    """What a runner is asked to do with an attempt that is under way."""

    NOW = "now"
    AFTER_ATTEMPT = "after attempt"


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """When a recurring job is due, and what becomes of slots that cannot run at their time.

    ``schedule`` is a cron expression or macro, read in ``timezone``. Slots older than ``catchup_window`` seconds are
    not caught up; each run starts a delay below ``spread`` seconds after its slot, which is fixed for each job.
    """

    schedule: str
    timezone: str = "UTC"
    catchup: Catchup = Catchup.LATEST
    catchup_window: float | None = None
    overlap: Overlap = Overlap.SKIP
    spread: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all keys, under their manifest names."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the recurrence that ``to_dict`` gave ``values`` for."""
        words = {"catchup": Catchup(values["catchup"]), "overlap": Overlap(values["overlap"])}
        return cls(**{**values, **words})

    @property
    def times(self) -> tuple[str, str]:
        """What decides when the slots are."""
        return self.schedule, self.timezone


RECURRENCE_KEYS = tuple(f.name for f in fields(Recurrence))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A unit of work that a manifest declares.

    A job with a ``recurrence`` runs again and again. Else it is a one-shot: ``run_at`` is when that is due, and a
    different ``run_at`` or ``revision`` makes it a new occurrence, which runs again. ``max_wait`` is for how many
    seconds a run may be due before its first attempt begins, ``expect_success_within`` within how many the job has to
    succeed again; no attempt needs to know them, but those who watch do.
    """

    manifest: str
    name: str
    spec: JobSpec
    run_at: datetime | None = None
    recurrence: Recurrence | None = None
    enabled: bool = True
    revision: int = 1
    max_wait: float | None = None
    expect_success_within: float | None = None
    renamed_from: str | None = field(default=None, compare=False)

    @property
    def full_name(self) -> str:
        """The name that is unique in a queue: ``manifest/name``."""
        return f"{self.manifest}/{self.name}"

    @property
    def occurrence(self) -> tuple[datetime | None, int]:
        """What tells one occurrence of a one-shot job from the next."""
        return self.run_at, self.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One file's declaration: the jobs that its name owns.

    ``path`` is absolute; ``source`` is the text as it was read, for positions in messages.
    """

    name: str
    path: str
    jobs: tuple[Job, ...]
    source: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is to be put into the queue; ``given_id`` is the id a person chose, if any.

    ``slot`` is the slot of a recurring job that it accounts for, which need not be the time when it may be claimed.
    ``scheduled_at`` is when it is to run in the first place, if that is neither its slot nor ``run_at``.
    """

    spec: JobSpec
    run_at: datetime
    slot: datetime | None = None
    scheduled_at: datetime | None = None
    given_id: str | None = None
    state: State = State.PENDING
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)  # no slots: see frozen.py
class Run:
    """One occurrence in the queue.

    ``scheduled_at`` is when it was to run in the first place; ``run_at`` is when it may next be claimed, ``HELD`` if
    it waits for the run before it. ``slot`` is the slot that it accounts for, if any. ``attempts`` counts the charged
    attempts, the present one included; ``interruptions`` those that were lost, which are not charged. ``lease`` is the
    right to settle the run; it changes with every claim. ``stop`` asks the runner to end the present attempt,
    or not to try again after it.
    """

    number: int
    id: str
    job: str | None
    state: State
    spec: JobSpec
    scheduled_at: datetime
    run_at: datetime
    created_at: datetime
    updated_at: datetime
    attempts: int = 0
    interruptions: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    lease: int | None = None
    runner: int | None = None
    stop: Stop | None = None
    slot: datetime | None = None

    @property
    def is_held(self) -> bool:
        """Whether it waits until the run before it is over."""
        return self.run_at == HELD

    @property
    def manifest(self) -> str | None:
        """The manifest that owns the run's job; None for an ad-hoc run."""
        return self.job.partition("/")[0] if self.job else None

    @property
    def max_attempts(self) -> int:
        """The number of attempts the run may use up."""
        return self.spec.retry.max_attempts

    @property
    def execution(self) -> str:
        """The name of this one execution, unique in a queue for ever: the name of its files."""
        return f"{self.number}.{self.lease}"

    def execution_of(self, attempt: "Attempt") -> str:
        """Return the name of the execution that an attempt of this run was."""
        return f"{self.number}.{attempt.lease}"


@dataclass(frozen=True, kw_only=True)  # no slots: see frozen.py
class Attempt:
    """One execution of a run's command, as it ended.

    ``stdout_bytes`` and ``stderr_bytes`` are what the command wrote, kept or not; ``cpu_seconds`` and
    ``max_rss_bytes`` are those of the command's process and the children it waited for, the latter None if it was no
    more than a worker's own.
    """

    number: int
    lease: int
    runner: int
    started_at: datetime
    finished_at: datetime
    outcome: Outcome
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    cpu_seconds: float | None = None
    max_rss_bytes: int | None = None

    @property
    def duration(self) -> timedelta:
        """How long the attempt took by the wall clock; never negative, even if the clock was set back."""
        return max(self.finished_at - self.started_at, timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job as the queue has it, with its newest run.

    ``owes_run``: it is disabled, and the present occurrence has had no run for that reason.
    """

    id: int
    job: Job
    next_slot: datetime | None = None
    owes_run: bool = False
    latest: Run | None = None
