"""What is on record of a job or a run, as far as it explains what became of it; and what follows from that alone.

Pure: ``store.history`` and ``inquiry`` read it, ``why`` puts it into sentences.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from queuectl.job import Attempt, Job, Run
from queuectl.pause import Pause

MOST_AHEAD: Final = 10_000
"""How far runs ahead of another are counted: more of them are only more than that."""

SHORT: Final = timedelta(seconds=30)
"""Times without a runner that are not longer say nothing: one runner followed the other, or was last heard of then."""

_COUNTED: Final = {"schedule", "timezone", "enabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What an apply did to a job; ``fields`` has the old and the new value of each key that it changed."""

    apply: int
    at: datetime
    by: str
    action: str
    commit: str | None = None
    is_dirty: bool | None = None
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def moves_slots(self) -> bool:
        """Whether the slots of the job began anew with it, or ended."""
        return self.action in ("create", "remove") or not _COUNTED.isdisjoint(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What decided at an instant when a job was due; without a schedule it was a one-shot."""

    is_declared: bool
    is_enabled: bool
    schedule: str | None
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerLife:
    """One runner, from its start to its end.

    ``is_alive`` is the kernel's word; one that died was last heard of at ``heartbeat_at``, whenever that was found.
    ``silences`` are times between two beats that were too far apart; one that ends before it begins is a clock that was
    set back. ``busy`` is how many runs it has claimed and not settled.
    """

    id: int
    host: str
    pid: int
    workers: int
    has_schedule: bool
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None = None
    died: bool = False
    is_alive: bool = False
    silences: tuple[tuple[datetime, datetime], ...] = ()
    busy: int = 0

    @property
    def last_sign(self) -> datetime | None:
        """When its life ended, as far as that is known; None if it lives."""
        if self.is_alive:
            return None
        return self.heartbeat_at if self.died or self.stopped_at is None else self.stopped_at

    def awake(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the times in which it gave signs of life."""
        begin = self.started_at
        for since, until in self.silences:
            if since < until:
                yield begin, since
                begin = until
        yield begin, self.last_sign or now


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """What a person did to a run: cancel, retry, trigger; by which way, and how it was selected if it was not named."""

    at: datetime
    act: str
    by: str
    channel: str = "cli"
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """How many due runs are claimed before another: of a larger priority, and earlier ones of its own."""

    higher: int
    earlier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Slots that were only counted, none of which ran."""

    first: datetime
    last: datetime
    count: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvidence:
    """What is known of one run.

    ``other`` is the run of the same job that it has to do with: the one it waits for, that it was not to overlap, or
    that ran in its stead. ``last_words`` is what attempts last wrote, by their leases. ``runners`` are those who lived
    while it waited, with the last before them.
    """

    run: Run
    job: Job | None = None
    attempts: Sequence[Attempt] = ()
    last_words: Mapping[int, str] = field(default_factory=dict)
    interventions: Sequence[Intervention] = ()
    declarations: Sequence[Declaration] = ()
    pauses: Sequence[Pause] = ()
    runners: Sequence[RunnerLife] = ()
    other: Run | None = None
    ahead: Ahead | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvidence:
    """What is known of one job, declared or removed; ``latest`` is the run of its latest slot, or its newest run."""

    job: Job
    removed_at: datetime | None = None
    next_slot: datetime | None = None
    declarations: Sequence[Declaration] = ()
    pauses: Sequence[Pause] = ()
    runners: Sequence[RunnerLife] = ()
    latest: RunEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEvidence:
    """What is known of one slot: its run, or the slots it was counted among, or the apply that began the slots anew."""

    slot: datetime
    run: RunEvidence | None = None
    folded: Folded | None = None
    anew: Declaration | None = None


def times_at(known: JobEvidence, at: datetime) -> Times:
    """Return what decided at an instant when the job was due: what later applies changed is taken back."""
    recurrence = known.job.recurrence
    values: dict[str, Any] = {
        "declared": known.removed_at is None,
        "enabled": known.job.enabled,
        "schedule": recurrence and recurrence.schedule,
        "timezone": recurrence and recurrence.timezone,
    }
    for declaration in reversed(known.declarations):
        if declaration.at <= at:
            break
        values["declared"] = declaration.action != "create"
        values |= {key: old for key, (old, _) in declaration.fields.items() if key in _COUNTED}
    return Times(
        is_declared=values["declared"],
        is_enabled=bool(values["enabled"]),
        schedule=values["schedule"],
        timezone=values["timezone"] or "UTC",
    )


def unattended(
    runners: Iterable[RunnerLife], begin: datetime, end: datetime, *, now: datetime
) -> list[tuple[datetime | None, datetime | None]]:
    """Return the times without a living runner that touch a time: since when, and until when.

    The first is None if nobody lived before, the second if nobody lives now.
    """
    lives = sorted(span for runner in runners for span in runner.awake(now))
    found: list[tuple[datetime | None, datetime | None]] = []
    reached: datetime | None = None
    for since, until in lives:
        if reached is None or since - reached > SHORT:
            found.append((reached, since))
        reached = until if reached is None else max(reached, until)
    if reached is None or reached < now:
        found.append((reached, None))
    return [
        (since, until) for since, until in found if (since is None or since < end) and (until is None or until > begin)
    ]
