"""The list of runs: what a person may choose from, and what the choice finds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from queuectl.errors import NotFound
from queuectl.job import Run, State
from queuectl.selector import Selector
from queuectl.store.archive import Archive

PAGE: Final = 50
"""So many runs are shown at a time."""

TIMES: Final = {
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
}

_PATIENCE: Final = 0.1  # seconds after which a search begins no further stretch
_ALL_OF: Final = "/*"


@dataclass(frozen=True, slots=True)
class Choices:
    """What runs may be chosen by: jobs, with all of a manifest first, and tags."""

    jobs: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person has chosen, in the words of the page; ``below`` is where the page before it ended."""

    states: tuple[str, ...] = ()
    job: str | None = None
    tag: str | None = None
    time: str | None = None
    text: str | None = None
    below: int | None = None

    def search(self, now: datetime) -> Selector:
        """Return what is to be searched for."""
        is_manifest = self.job is not None and self.job.endswith(_ALL_OF)
        return Selector(
            states=tuple(State(state) for state in self.states),
            jobs=(self.job,) if self.job is not None and not is_manifest else (),
            manifests=(self.job.removesuffix(_ALL_OF),) if self.job is not None and is_manifest else (),
            tags=(self.tag,) if self.tag else (),
            since=now - TIMES[self.time] if self.time else None,
            text=self.text or None,
        )

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.states or self.job or self.tag or self.time or self.text)


@dataclass(frozen=True, slots=True)
class RunList:
    """Runs, newest first; ``left_below`` is the number below which nobody has looked yet, None if all was seen.

    ``is_full`` tells whether the search stopped because it had found enough, not because it took too long.
    """

    now: datetime
    runs: tuple[Run, ...]
    left_below: int | None
    has_any: bool

    @property
    def is_full(self) -> bool:
        """Whether the page is full."""
        return len(self.runs) >= PAGE


def choices(store: Archive, now: datetime) -> Choices:  # noqa: ARG001 - what is read is read for a moment
    """Return what runs may be chosen by."""
    names = [name for name, _ in store.job_names()]
    jobs = [
        each
        for manifest, its_names in groupby(names, key=lambda name: name.partition("/")[0])
        for each in (f"{manifest}{_ALL_OF}", *its_names)
    ]
    return Choices(tuple(jobs), tuple(store.job_tags()))


def run_list(store: Archive, now: datetime, chosen: Chosen) -> RunList:
    """Return the runs that were chosen; none if the job is gone."""
    has_any = any(store.counts().values())
    try:
        found = store.search(chosen.search(now), below=chosen.below, limit=PAGE, seconds=_PATIENCE)
    except NotFound:
        return RunList(now, (), None, has_any)
    return RunList(now, tuple(found.runs), found.left_below, has_any)


def took(run: Run, now: datetime) -> float | None:
    """Return how many seconds the last attempt of a run took, or has taken; None if there was none."""
    if run.started_at is None or run.state.is_waiting:
        return None
    return max(((run.finished_at or now) - run.started_at).total_seconds(), 0.0)
