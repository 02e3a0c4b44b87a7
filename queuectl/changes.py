"""What an apply would do, as values: a plan, its manifests, and each change of a job."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from queuectl.job import Job, Manifest, NewRun, Run, StoredJob

_MANY = 5


class Action(StrEnum):
    """What a change does to the declaration."""

    CREATE = "create"
    UPDATE = "update"
    RENAME = "rename"
    REMOVE = "remove"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One key of a job that is declared differently from what is stored."""

    key: str
    old: object
    new: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a plan.

    ``new_run`` is put into the queue, where it waits if a run of the job is not over; ``changed_run`` is what the
    newest run becomes. With ``moves_slot`` the slots of a recurring job begin anew with ``next_slot``, or end if that
    is None. ``owes_run`` is stored with the job. ``note`` says what happens in words, ``warning`` what a person should
    know before it does.
    """

    action: Action
    job: Job
    stored: StoredJob | None = None
    fields: tuple[FieldChange, ...] = ()
    new_run: NewRun | None = None
    changed_run: Run | None = None
    moves_slot: bool = False
    next_slot: datetime | None = None
    owes_run: bool = False
    note: str = ""
    warning: str = ""

    @property
    def writes(self) -> bool:
        """Whether applying the change writes anything."""
        return self.action is not Action.UNCHANGED

    @property
    def removes(self) -> bool:
        """Whether the job is no longer declared."""
        return self.action is Action.REMOVE

    @property
    def renames(self) -> bool:
        """Whether the job gets another name."""
        return self.action is Action.RENAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPlan:
    """The changes of one manifest; ``owner`` is the file that owned its name before, if any."""

    manifest: Manifest
    owner: str | None
    changes: tuple[Change, ...]

    @property
    def is_adopted(self) -> bool:
        """Whether another file owned the name until now."""
        return self.owner is not None and self.owner != self.manifest.path

    @property
    def writes(self) -> bool:
        """Whether applying the plan of this manifest writes anything; without jobs a name belongs to nobody."""
        is_owned = self.owner == (self.manifest.path if self.manifest.jobs else None)
        return not is_owned or any(change.writes for change in self.changes)

    def count(self, action: Action) -> int:
        """Return the number of changes with this action."""
        return sum(change.action is action for change in self.changes)

    @property
    def stored_count(self) -> int:
        """The number of jobs that are stored now."""
        return sum(change.stored is not None for change in self.changes)

    @property
    def removes_most(self) -> bool:
        """Whether so many jobs go that a mistake is likely: all of them, or more than half and at least 5."""
        removed = self.count(Action.REMOVE)
        return removed > 0 and (removed == self.stored_count or (removed >= _MANY and removed * 2 > self.stored_count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What ``apply`` would do, manifest by manifest."""

    manifests: tuple[ManifestPlan, ...]

    @property
    def writes(self) -> bool:
        """Whether applying the plan writes anything."""
        return any(manifest.writes for manifest in self.manifests)

    @property
    def changes(self) -> Iterator[Change]:
        """All changes, the unchanged jobs among them."""
        for manifest in self.manifests:
            yield from manifest.changes
