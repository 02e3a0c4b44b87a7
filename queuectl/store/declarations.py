"""The jobs that manifests declare, and the applies that changed them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queuectl.job import HELD, Job, NewRun, Recurrence, Run, StoredJob
from queuectl.lifecycle import refresh, withdraw
from queuectl.records import to_instant, to_instant_or_none, to_micros, to_micros_or_none
from queuectl.store.queue import Queue
from queuectl.store.rows import run_of, spec_from_json, spec_to_json, to_json
from queuectl.store.values import Apply, Author

if TYPE_CHECKING:
    from queuectl.changes import Change, Plan


class Declarations(Queue):
    """What stands in the store for the manifests."""

    def owners(self) -> dict[str, str]:
        """Return the file that owns each manifest name."""
        return dict(self._all("manifest_names"))

    def stored_jobs(self, manifests: Iterable[str]) -> dict[str, list[StoredJob]]:
        """Return the jobs that are declared now, with their newest run, by manifest name."""
        return {
            name: [stored_job_of(row) for row in self._all("stored_jobs", {"manifest": name})] for name in manifests
        }

    def apply(self, plan: "Plan", *, author: Author, now: datetime) -> int | None:
        """Carry a plan out, all or nothing, and return the number of the apply; None if it writes nothing.

        The plan must have been made in the same transaction.
        """
        if not plan.writes:
            return None
        places: dict[int, int] = {}  # by the ids of the jobs
        with self.transaction():
            written = [change for change in plan.changes if change.writes]
            place_of = {id(change): place for place, change in enumerate(written)}
            [(number,)] = self._all(
                "insert_apply",
                {
                    "now": to_micros(now),
                    "user": author.user,
                    "host": author.host,
                    "git_commit": author.git_commit,
                    "git_dirty": author.git_dirty,
                    "changes": json.dumps([_summary(change) for change in written], default=str),
                },
            )
            for manifest in plan.manifests:
                if manifest.owner != manifest.manifest.path:
                    self._all("own_manifest", {"name": manifest.manifest.name, "path": manifest.manifest.path})
                # Names are freed before they are taken: a job may be renamed to one that is removed here.
                for change in sorted(manifest.changes, key=lambda change: not change.removes):
                    if change.writes:
                        places[self._apply_change(change, number, now)] = place_of[id(change)]
                if not manifest.manifest.jobs:
                    self._all("disown_manifest", {"name": manifest.manifest.name})
            rows = [{"job": job, "apply": number, "change": place} for job, place in places.items()]
            self._many("insert_job_apply", rows)
            return int(number)

    def applies(self, *, limit: int | None = None) -> list[Apply]:
        """Return the applies, newest first."""
        return [
            Apply(
                number=row["number"],
                applied_at=to_instant(row["applied_at"]),
                author=Author(
                    user=row["user"],
                    host=row["host"],
                    git_commit=row["git_commit"],
                    git_dirty=None if row["git_dirty"] is None else bool(row["git_dirty"]),
                ),
                changes=json.loads(row["changes"]),
            )
            for row in self._dicts("list_applies", {"limit": -1 if limit is None else limit})
        ]

    def _apply_change(self, change: "Change", apply: int, now: datetime) -> int:
        """Carry out one change and return the id of its job."""
        stored = change.stored
        if change.removes:
            assert stored is not None
            job_id = stored.id
            self._all("remove_job", {"id": job_id, "now": to_micros(now)})
        else:
            job_id = self._put_job(change, apply, now)
            if change.moves_slot:
                self._all("move_slot", {"id": job_id, "next_slot": to_micros_or_none(change.next_slot)})
            if change.new_run is not None:
                self._insert_run(self._held(change.new_run, job_id), job=job_id, now=now)
        if change.changed_run is not None:
            assert stored is not None
            assert stored.latest is not None
            self.change(stored.latest, change.changed_run)
        if stored is not None and stored.latest is not None and (change.fields or change.removes):
            self._change_others(stored, stored.latest, change, now)
        return job_id

    def _held(self, new: NewRun, job: int) -> NewRun:
        """Return a new run of a job as one that waits, if a run of the job is not over: of a removed one it may be."""
        if new.state.is_final or not self.unfinished_runs(job):
            return new
        return replace(new, run_at=HELD, scheduled_at=new.run_at)

    def _change_others(self, stored: StoredJob, latest: Run, change: "Change", now: datetime) -> None:
        """Do to the runs before the newest one what becomes of that."""
        is_as_before = bool(change.job.recurrence) == bool(stored.job.recurrence)
        is_wanted = not change.removes and change.job.enabled and is_as_before
        for run in self.unfinished_runs(stored.id):
            if run.number < latest.number:
                after = refresh(run, change.job.spec, now=now) if is_wanted else withdraw(run, now=now)
                self.change(run, after)

    def unfinished_runs(self, job: int) -> list[Run]:
        """Return the runs of a job that are not over, oldest first."""
        return [run_of(row) for row in self._all("unfinished_runs", {"job": job})]

    def _put_job(self, change: "Change", apply: int, now: datetime) -> int:
        job, stored = change.job, change.stored
        if stored is not None and change.renames:
            self._all("bury_job", {"manifest": job.manifest, "name": job.name})
            self._all("rename_job", {"id": stored.id, "name": job.name, "now": to_micros(now)})
        [(job_id,)] = self._all(
            "put_job",
            {
                "manifest": job.manifest,
                "name": job.name,
                "spec": spec_to_json(job.spec),
                "run_at": to_micros_or_none(job.run_at),
                "recurrence": to_json(job.recurrence.to_dict()) if job.recurrence else None,
                "enabled": job.enabled,
                "revision": job.revision,
                "max_wait": job.max_wait,
                "expect_success_within": job.expect_success_within,
                "owes_run": change.owes_run,
                "apply": apply,
                "now": to_micros(now),
            },
        )
        return int(job_id)


def stored_job_of(row: tuple[Any, ...]) -> StoredJob:
    """Return the job in a row of ``stored_jobs``: its columns, then those of its newest run."""
    latest = row[12:]
    return StoredJob(
        id=row[0],
        job=job_of(row),
        next_slot=to_instant_or_none(row[10]),
        owes_run=bool(row[11]),
        latest=None if latest[0] is None else run_of(latest),
    )


def job_of(row: tuple[Any, ...]) -> Job:
    """Return the job in a row that begins with its id and its columns."""
    _, manifest, name, spec, run_at, recurrence, enabled, revision, max_wait, expected, *_ = row
    return Job(
        manifest=manifest,
        name=name,
        spec=spec_from_json(spec),
        run_at=to_instant_or_none(run_at),
        recurrence=None if recurrence is None else Recurrence.from_dict(json.loads(recurrence)),
        enabled=bool(enabled),
        revision=revision,
        max_wait=max_wait,
        expect_success_within=expected,
    )


def _summary(change: "Change") -> dict[str, Any]:
    """Return what is kept of a change: enough to tell later who changed what."""
    found: dict[str, Any] = {"action": change.action, "job": change.job.full_name}
    if change.stored and change.renames:
        found["from"] = change.stored.job.full_name
    if change.fields:
        found["fields"] = {field.key: [field.old, field.new] for field in change.fields}
    if change.removes and change.job.recurrence:
        schedule, timezone = change.job.recurrence.times
        found["fields"] = {"schedule": [schedule, None], "timezone": [timezone, None]}
    return found
