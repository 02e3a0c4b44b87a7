"""What somebody reads who watches the queue: searches, counts and groups whose cost does not grow with the queue."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from queuectl.job import Run, State
from queuectl.records import to_instant, to_instant_or_none, to_micros
from queuectl.selector import Selector
from queuectl.store.history import History
from queuectl.store.rows import run_of
from queuectl.store.values import Apply, Author

_FIRST_STRETCH: Final = 20_000  # runs; each stretch after it is twice as long


@dataclass(frozen=True, slots=True)
class Found:
    """Runs that a search found, newest first, and the number below which it has not looked; None if it saw all."""

    runs: list[Run]
    left_below: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """How one run of a job ended."""

    id: str
    state: State
    started_at: datetime | None
    finished_at: datetime
    reason: str | None

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took, in seconds; None if it never ran."""
        return None if self.started_at is None else max((self.finished_at - self.started_at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead runs of one job that died of the same reason: how many, the first and the last time, and the newest's id."""

    job: str | None
    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    newest: str


@dataclass(frozen=True, slots=True)
class ApplyLine:
    """An apply without its changes: only how often it took each action."""

    number: int
    applied_at: datetime
    author: Author
    actions: Mapping[str, int]


class Watching(History):
    """The side of the store that is looked at every other second."""

    def due_count(self, *, now: datetime, limit: int) -> int:
        """Return how many runs could be claimed now, but at most ``limit``."""
        [(count,)] = self._all("due_count", {"now": to_micros(now), "limit": limit})
        return int(count)

    def under_way(self, *, limit: int) -> list[Run]:
        """Return the runs that are being executed, those that began first before the others."""
        return [run_of(row) for row in self._all("under_way", {"limit": limit})]

    def search(self, selector: Selector, *, below: int | None = None, limit: int, seconds: float) -> Found:
        """Return up to ``limit`` runs with a number below ``below``, newest first.

        Gives up after some ``seconds``, and says how far it has come: a search for what hardly occurs costs no more
        than one that finds. Raises what ``runs`` raises.
        """
        counts = self.counts()
        if selector.states and not any(counts[state] for state in selector.states):
            return Found([], None)
        [(newest,)] = self._all("newest_number")
        before, length = newest + 1 if below is None else min(below, newest + 1), _FIRST_STRETCH
        found: list[Run] = []
        deadline = time.monotonic() + seconds
        while before > 1:
            floor = max(before - length, 1)
            found += self._stretch(selector, floor=floor, before=before, limit=limit + 1 - len(found))
            before, length = floor, length * 2
            if len(found) > limit:
                return Found(found[:limit], found[limit - 1].number)
            if time.monotonic() >= deadline:
                break
        return Found(found, before if before > 1 else None)

    def latest_results(self, *, each: int, job: str | None = None) -> dict[str, list[Result]]:
        """Return how the latest runs of every declared job ended, or of one, newest first, ``each`` at most."""
        manifest, _, name = (job or "").partition("/")
        return {
            job: [
                Result(run, State(state), to_instant_or_none(started_at), to_instant(finished_at), reason)
                for run, state, started_at, finished_at, reason in json.loads(results)
            ]
            for job, results in self._all(
                "latest_results", {"each": each, "job": job, "manifest": manifest, "name": name}
            )
        }

    def dead_groups(self, *, limit: int) -> list[DeadGroup]:
        """Return the newest ``limit`` dead runs by job and reason, the group that grew last first."""
        return [
            DeadGroup(job, reason or "", count, to_instant(first_at), to_instant(last_at), newest)
            for job, reason, count, first_at, last_at, newest in self._all("dead_groups", {"limit": limit})
        ]

    def job_tags(self) -> list[str]:
        """Return the tags of the declared jobs."""
        return [str(tag) for (tag,) in self._all("job_tags")]

    def apply_lines(self, *, limit: int) -> list[ApplyLine]:
        """Return the newest applies, newest first, without what they changed: that may be ten thousand jobs."""
        return [
            ApplyLine(number, to_instant(applied_at), _author(*author), json.loads(actions))
            for number, applied_at, *author, actions in self._all("apply_lines", {"limit": limit})
        ]

    def apply_numbered(self, number: int) -> Apply | None:
        """Return one apply with all its changes; None if there is none of this number."""
        for found, applied_at, *author, changes in self._all("apply_by_number", {"number": number}):
            return Apply(
                number=found, applied_at=to_instant(applied_at), author=_author(*author), changes=json.loads(changes)
            )
        return None

    def apply_times(self, *, limit: int) -> list[tuple[datetime, int]]:
        """Return when the newest applies were, and their numbers, newest first."""
        return [(to_instant(applied_at), number) for number, applied_at in self._all("apply_times", {"limit": limit})]


def _author(user: str, host: str, commit: str | None, is_dirty: int | None) -> Author:
    return Author(user=user, host=host, git_commit=commit, git_dirty=None if is_dirty is None else bool(is_dirty))
