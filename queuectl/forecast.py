"""What a simulation foretells: values to show and to compare, nothing that decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from queuectl.job import Overlap, State
from queuectl.schedule import ClockChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long each attempt of a job is taken to last, in seconds: from that many attempts of it, assumed if none."""

    seconds: float
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForetoldRun:
    """One slot or one-shot and what becomes of it.

    ``due`` is when its first attempt should begin; ``attempts`` are their beginnings and ends, the last without an end
    if it goes on. A ``state`` that is not final is the one in which the simulation leaves it.
    """

    job: str
    slot: datetime | None
    due: datetime
    state: State
    reason: str | None
    attempts: tuple[tuple[datetime, datetime | None], ...] = ()

    @property
    def waited(self) -> timedelta | None:
        """How long it was due before its first attempt began; None if none did."""
        return self.attempts[0][0] - self.due if self.attempts else None

    @property
    def took(self) -> timedelta | None:
        """The time from its first attempt to the end of its last; None if it has no end."""
        end = self.attempts[-1][1] if self.attempts else None
        return None if end is None else end - self.attempts[0][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForecast:
    """What becomes of one job.

    ``states`` counts its runs by the state they are left in, ``skips`` the skipped ones by their reason. ``overlaps``
    are the slots that came while a run was not over. Waits are in seconds; a run that has not begun at the end has
    waited until then. ``waits_too_long`` are those that waited longer than ``max_wait``.
    """

    job: str
    duration: Duration
    overlap: Overlap | None
    slots: int
    states: dict[State, int]
    skips: dict[str, int]
    overlaps: int
    replaced: int
    timed_out: int
    wait_p95: float
    wait_max: float
    max_wait: float | None
    waits_too_long: int
    clock_changes: tuple[ClockChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The first instant at which most runs wanted a worker, those that had one among them; how many of each job."""

    at: datetime
    runs: int
    jobs: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would happen after ``begin`` up to ``until``; in the ``timeline`` may be only the first of the ``runs``.

    ``busy`` is the part of the time, from 0 to 1, in which the workers have something to do.
    """

    begin: datetime
    until: datetime
    workers: int
    jobs: tuple[JobForecast, ...]
    timeline: tuple[ForetoldRun, ...]
    busy: float
    worst: Crowd | None

    @property
    def runs(self) -> int:
        """The number of runs, the skipped ones among them."""
        return sum(map(self.count, State))

    @property
    def too_slow(self) -> list[JobForecast]:
        """The jobs of which a run waits longer than it may."""
        return [job for job in self.jobs if job.waits_too_long]

    def count(self, state: State) -> int:
        """Return how many runs are left in a state."""
        return sum(job.states.get(state, 0) for job in self.jobs)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest of some values in order that so many percent of them do not exceed; 0 of none."""
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1] if ordered else 0.0
