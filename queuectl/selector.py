"""Which runs are meant: one value for every verb, whoever asks and however.

Pure: how conditions are written on a command line, and how a database finds the runs, stands elsewhere.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Self

from queuectl.job import Job, State

FINAL: Final = tuple(state for state in State if state.is_final)
UNFINISHED: Final = tuple(state for state in State if not state.is_final)
_PATTERN: Final = frozenset("*?[")
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """What runs must be like. Of several conditions all must hold, of several values of one condition any.

    ``jobs`` are full names, or patterns of them such as `nightly/*`. ``since`` and ``until`` (not included) are about
    when a run last changed, ``exit_codes`` about its last attempt. ``text`` is looked for in ids, jobs,
    commands, descriptions and reasons, whatever the case of its ASCII letters. The newest ``beyond`` runs of each job
    are left out.
    """

    ids: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    exit_codes: tuple[int, ...] = ()
    text: str | None = None
    beyond: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether there is no condition."""
        return self == EVERYTHING

    @property
    def names_jobs_only(self) -> bool:
        """Whether jobs are named, perhaps by patterns, and there is no other condition."""
        return bool(self.jobs) and self == Selector(jobs=self.jobs)

    @property
    def is_about_runs(self) -> bool:
        """Whether there is a condition that no job meets by itself, but its newest run does or does not."""
        return bool(self.states or self.since or self.until or self.exit_codes)

    def describes(self, job: Job) -> bool:
        """Whether a job has the tags and the text that are looked for, if any are."""
        if self.tags and not set(self.tags) & set(job.spec.tags):
            return False
        known_by = (job.full_name, job.spec.description, job.spec.line)
        return self.text is None or any(_lower(self.text) in _lower(each) for each in known_by)

    def contradiction(self) -> str | None:
        """Return why nothing can be like this, as a sentence; None if something can."""
        if self.ids and self != Selector(ids=self.ids):
            return "runs are named and described at once"
        if self.since is not None and self.until is not None and self.since >= self.until:
            return "the selection ends before it begins"
        owners = {job.partition("/")[0] for job in self.jobs}
        if self.manifests and owners and not any(map(is_pattern, self.jobs)) and owners.isdisjoint(self.manifests):
            return "none of the jobs is of one of the manifests"
        return None

    def among(self, states: Iterable[State]) -> Self | None:
        """Return the part of the selection that is in one of ``states``; None if it names only others."""
        wanted = tuple(state for state in states if state in self.states or not self.states)
        return replace(self, states=wanted) if wanted else None

    def __str__(self) -> str:
        words = [*self.ids]
        for field in fields(self):
            values = getattr(self, field.name)
            if field.name != "ids" and values not in (None, (), 0):
                for value in values if isinstance(values, tuple) else (values,):
                    written = value.isoformat() if isinstance(value, datetime) else str(value)
                    words += [_OPTIONS[field.name], shlex.quote(written)]
        return " ".join(words) or "--all"


EVERYTHING: Final = Selector()

_OPTIONS: Final = {
    "jobs": "--job",
    "manifests": "--manifest",
    "states": "--state",
    "tags": "--tag",
    "since": "--since",
    "until": "--until",
    "exit_codes": "--exit-code",
    "text": "--grep",
    "beyond": "--keep",
}


def whole_manifest(job: str) -> str | None:
    """Return the manifest of which a pattern like `nightly/*` means all jobs; None for any other pattern or name."""
    manifest, _, name = job.partition("/")
    return manifest if name == "*" and not is_pattern(manifest) else None


def is_pattern(job: str) -> bool:
    """Whether a job is meant by a pattern; no name has one of its characters."""
    return not _PATTERN.isdisjoint(job)


def _lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case, as SQLite compares."""
    return text.translate(_LOWER)
