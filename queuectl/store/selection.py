"""Runs by selector: which statement finds them, so that a page costs the same in a queue of a million."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Final

from queuectl.errors import JobNotFound, ManifestNotFound, RunNotFound
from queuectl.job import Run, State
from queuectl.records import to_micros
from queuectl.selector import EVERYTHING, Selector, is_pattern, whole_manifest
from queuectl.store.rows import run_of, to_json
from queuectl.store.slots import Slots

_MOST_ARMS: Final = 50  # of a compound statement; what has more is filtered
_FEW: Final = 10_000  # so many rows can be looked through

Choice = tuple[int, int]
"""A run that was selected: its number, and when it last changed, in microseconds: whether it is still as it was."""


class Selection(Slots):
    """How runs are found.

    A statement has an arm for each state and job that are selected: each is read in order from an index, and SQLite
    merges them, so that a page of a few runs never looks at all.
    """

    def runs(
        self, selector: Selector = EVERYTHING, *, limit: int | None = None, before: int | None = None
    ) -> list[Run]:
        """Return the selected runs, newest first: up to ``limit`` of those with a number below ``before``.

        Raises RunNotFound, JobNotFound and ManifestNotFound, which name similar ones.
        """
        return self._stretch(selector, before=before, limit=-1 if limit is None else limit)

    def choices(self, selector: Selector) -> list[Choice]:
        """Return which runs are selected now, oldest first; raises what ``runs`` raises."""
        with self.snapshot():
            sql, parameters = self._statement("selected_choices", selector)
            return self._execute(sql + " ORDER BY 1", parameters)

    def numbered(self, numbers: Sequence[int]) -> list[Run]:
        """Return the runs with these numbers, oldest first, as far as they are there."""
        return [run_of(row) for row in self._all("numbered_runs", {"numbers": to_json(numbers)})]

    def _stretch(self, selector: Selector, *, limit: int, before: int | None, floor: int | None = None) -> list[Run]:
        """Return up to ``limit`` selected runs from ``floor`` on and before ``before``, newest first."""
        with self.snapshot():
            sql, parameters = self._statement("selected_runs", selector, before=before, floor=floor)
            rows = self._execute(f"{sql} ORDER BY 1 DESC LIMIT :limit", parameters | {"limit": limit})
        return [run_of(row) for row in rows]

    def _statement(
        self, name: str, selector: Selector, *, before: int | None = None, floor: int | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Return the arms of a selection from ``floor`` on and before ``before``, and their parameters."""
        jobs = self._jobs(selector)
        parameters = {
            "numbers": to_json(self._numbers(selector.ids)),
            "jobs": to_json(jobs or []),
            "tags": to_json(selector.tags),
            "exit_codes": to_json(selector.exit_codes),
            "text": selector.text,
            "since": None if selector.since is None else to_micros(selector.since),
            "until": None if selector.until is None else to_micros(selector.until),
            "before": before,
            "floor": floor,
            "keep": selector.beyond,
        }
        everywhere = [
            self._statements[f"where_{name}"]
            for name, is_given in (
                ("number", selector.ids),
                ("before", before is not None),
                ("floor", floor is not None),
                ("not_kept", selector.beyond),
                ("tag", selector.tags),
                ("since", selector.since),
                ("until", selector.until),
                ("exit_code", selector.exit_codes),
                ("text", selector.text),
            )
            if is_given
        ]
        if jobs is not None and not 0 < len(jobs) * max(len(selector.states), 1) <= _MOST_ARMS:
            everywhere.append(self._statements["where_job"])
            jobs = None
        arm = self._statements[name].removesuffix(";")
        arms = [
            arm.replace("{conditions}", "\n   AND ".join([*conditions, *everywhere]) or "TRUE")
            for conditions in self._arms(selector.states, jobs)
        ]
        return "\n UNION ALL\n".join(arms), parameters

    def _arms(self, states: Sequence[State], jobs: Sequence[int] | None) -> Iterator[list[str]]:
        """Yield the conditions of each arm: a state, written out so that its partial index serves, and a job.

        Of two indexes SQLite cannot know the better one; we do, for the runs in each state are counted. The plus
        keeps the other out.
        """
        counts = self.counts() if states and jobs else {}
        any_state: list[State | None] = [*states] or [None]
        for state, job in product(any_state, [None] if jobs is None else jobs):
            is_rare = state is not None and counts.get(state, 0) <= _FEW
            by_state, by_job = ("", "+") if is_rare else ("+", "")
            if state is None:
                yield [] if job is None else [f"runs.job = {job}"]
            elif job is None:
                yield [f"runs.state = '{state}'"]
            else:
                yield [f"{by_state}runs.state = '{state}'", f"{by_job}runs.job = {job}"]

    def counts(self) -> dict[State, int]:
        """Return the number of runs in each state."""
        return {State(state): count for state, count in self._all("run_counts")}

    def _numbers(self, ids: Sequence[str]) -> list[int]:
        found = self._all("known_numbers", {"ids": to_json(ids)}) if ids else []
        unknown = [written for written, number in found if number is None]
        if unknown:
            raise RunNotFound(unknown, (known for (known,) in self._all("recent_ids")))
        return [number for _, number in found]

    def _jobs(self, selector: Selector) -> list[int] | None:
        """Return the jobs that are selected, declared or removed; None if any job will do, and none at all."""
        if not selector.jobs and not selector.manifests:
            return None
        of_jobs = {job for name in selector.jobs for job in self._job_ids(name)}
        of_manifests = {job for name in selector.manifests for job in self._jobs_of_manifest(name)}
        if selector.jobs and selector.manifests:
            return sorted(of_jobs & of_manifests)
        return sorted(of_jobs | of_manifests)

    def _job_ids(self, name: str) -> list[int]:
        manifest, _, job = name.partition("/")
        rows = (
            self._all("jobs_like", {"pattern": name})
            if is_pattern(name)
            else self._all("jobs_named", {"manifest": manifest, "name": job})
        )
        if not rows and (manifest_of_all := whole_manifest(name)):
            raise ManifestNotFound(manifest_of_all, (known for (known,) in self._all("known_manifests")))
        if not rows:
            raise JobNotFound(name, (known for (known,) in self._all("known_jobs")))
        return [found for (found,) in rows]

    def _jobs_of_manifest(self, name: str) -> list[int]:
        rows = self._all("jobs_of_manifest", {"manifest": name})
        if not rows:
            raise ManifestNotFound(name, (known for (known,) in self._all("known_manifests")))
        return [found for (found,) in rows]
