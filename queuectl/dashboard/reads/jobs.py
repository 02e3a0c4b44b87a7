"""The jobs: how each has fared lately, when it is due next, and why it did or did not run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from queuectl.dashboard.reads.overview import usual
from queuectl.inquiry import ask_job
from queuectl.job import State, StoredJob
from queuectl.pause import Pause
from queuectl.store.archive import Archive, Result
from queuectl.why import Answer

LATEST: Final = 20
"""So many results are shown of each job."""

_DETAIL: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A declared job in the list; ``results`` are the latest, newest first."""

    stored: StoredJob
    results: Sequence[Result]
    paused: Pause | None

    @property
    def success(self) -> float | None:
        """The share of its latest runs that completed, of those that came to an end of their own; None without any."""
        ended = [each.state for each in self.results if each.state in (State.COMPLETED, State.DEAD)]
        return ended.count(State.COMPLETED) / len(ended) if ended else None

    @property
    def usual(self) -> float | None:
        """How many seconds a run takes as a rule."""
        return usual(self.results)

    @property
    def standing(self) -> str:
        """Whether it runs when it is due."""
        if not self.stored.job.enabled:
            return "disabled"
        return "paused" if self.paused is not None else ""


@dataclass(frozen=True, slots=True)
class JobList:
    """All declared jobs, those with a failure last first."""

    now: datetime
    jobs: tuple[JobLine, ...]


@dataclass(frozen=True, slots=True)
class OneJob:
    """One job: its line, its latest results, and why it did or did not run."""

    now: datetime
    line: JobLine
    results: tuple[Result, ...]
    answer: Answer


def job_list(store: Archive, now: datetime) -> JobList:
    """Return the declared jobs."""
    results = store.latest_results(each=LATEST)
    pauses = [pause for pause in store.pauses(since=now) if pause.begins_at <= now]
    lines = [_line(stored, results.get(stored.job.full_name, []), pauses, now) for stored in store.jobs()]
    return JobList(now, tuple(sorted(lines, key=lambda line: not _died_last(line.results))))


def one_job(store: Archive, now: datetime, name: str) -> OneJob:
    """Return one job; raises JobNotFound."""
    stored = store.job(name)
    results = store.latest_results(each=_DETAIL, job=name)[name]
    pauses = [pause for pause in store.pauses(since=now) if pause.begins_at <= now]
    line = _line(stored, results[:LATEST], pauses, now)
    return OneJob(now, line, tuple(results), ask_job(store, name, now=now))


def _line(stored: StoredJob, results: Sequence[Result], pauses: Sequence[Pause], now: datetime) -> JobLine:
    paused = next((pause for pause in pauses if pause.covers(stored.job.full_name, now)), None)
    return JobLine(stored=stored, results=results, paused=paused)


def _died_last(results: Sequence[Result]) -> bool:
    return bool(results) and results[0].state is State.DEAD
