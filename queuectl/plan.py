"""The difference between what manifests declare and what the queue has stored, and what applying it does.

Pure: the caller passes in both sides and the time, and carries the plan out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypedDict

from queuectl.changes import Action, Change, FieldChange, ManifestPlan, Plan
from queuectl.errors import OwnedElsewhere, RemovalRefused
from queuectl.hook import HOOK_KEYS
from queuectl.job import RECURRENCE_KEYS, Job, Manifest, NewRun, Run, State, StoredJob
from queuectl.lifecycle import MISSED, miss, refresh, requeue, reschedule, withdraw

MISSED_AFTER = timedelta(hours=24)
"""A one-shot that is later than this is not run: a rebuilt host must not run two years of old migrations."""

# What a dead run may have died of: a change of one of these is a reason to try it again.
_CURES = frozenset({"command", "shell", "cwd", "env", "env_file", "limits", "timeout"})


def plan(
    declared: Sequence[Manifest],
    stored: Mapping[str, Sequence[StoredJob]],
    owners: Mapping[str, str],
    *,
    now: datetime,
    first_slot: Callable[[Job, datetime], datetime | None] = lambda _job, _now: None,
    prune: bool = True,
) -> Plan:
    """Return what makes ``stored`` (jobs by manifest name) like ``declared``.

    ``owners`` maps manifest names to the files that own them; ``first_slot`` knows when a job that recurs is due
    first after a time. Without ``prune``, stored jobs that
    are not declared stay as they are. Only jobs of the declared manifests are ever touched.
    """
    return Plan(
        manifests=tuple(
            ManifestPlan(
                manifest=manifest,
                owner=owners.get(manifest.name),
                changes=tuple(
                    _with_slot(change, first_slot, now)
                    for change in _changes(manifest, stored.get(manifest.name, ()), now, prune=prune)
                ),
            )
            for manifest in declared
        )
    )


def _changes(manifest: Manifest, stored: Sequence[StoredJob], now: datetime, *, prune: bool) -> Iterator[Change]:
    left = {known.job.name: known for known in stored}
    # An old name is taken before its new owner is looked for, whatever order the file has.
    renamed = {
        job.name: left.pop(job.renamed_from)
        for job in manifest.jobs
        if job.renamed_from in left and job.name not in left
    }
    for job in manifest.jobs:
        known = left.pop(job.name, None) or renamed.get(job.name)
        yield _create(job, now) if known is None else _compare(job, known, now)
    if prune:
        for known in left.values():
            yield _remove(known, now)


def _with_slot(change: Change, first_slot: Callable[[Job, datetime], datetime | None], now: datetime) -> Change:
    """Return the change with the slot that it makes the next one: a new schedule never fires the past."""
    if change.removes or not change.writes:
        return change
    if _slots_of(change.job) == (_slots_of(change.stored.job) if change.stored else None):
        return change
    slot = first_slot(change.job, now)
    first = f"next slot {slot:%Y-%m-%d %H:%M:%S} UTC" if slot else ""
    return replace(change, moves_slot=True, next_slot=slot, note="; ".join(filter(None, (first, change.note))))


def _slots_of(job: Job) -> tuple[str, str] | None:
    """Return what decides when the slots of a job are; None if it has none."""
    return job.recurrence.times if job.recurrence and job.enabled else None


def _create(job: Job, now: datetime) -> Change:
    return Change(action=Action.CREATE, job=job, owes_run=_owes_run(job, None), **_occurrence(job, now))


def _remove(known: StoredJob, now: datetime) -> Change:
    run = known.latest
    if run is None or run.state.is_final:
        return Change(action=Action.REMOVE, job=known.job, stored=known, note="its history stays")
    what = "running: this attempt finishes" if run.state is State.PROCESSING else f"its {run.state} run is cancelled"
    return Change(action=Action.REMOVE, job=known.job, stored=known, changed_run=withdraw(run, now=now), note=what)


def _compare(job: Job, known: StoredJob, now: datetime) -> Change:
    found = _field_changes(known.job, job)
    is_renamed = job.name != known.job.name
    action = Action.RENAME if is_renamed else Action.UPDATE if found else Action.UNCHANGED
    owes_run = _owes_run(job, known)
    if not found:
        note = "(dead)" if known.latest is not None and known.latest.state is State.DEAD else ""
        return Change(action=action, job=job, stored=known, owes_run=owes_run, note=note)
    effects = _effects(job, known, {field.key for field in found}, now)
    return Change(action=action, job=job, stored=known, fields=found, owes_run=owes_run, **effects)


def _owes_run(job: Job, known: StoredJob | None) -> bool:
    """Return whether a job is a one-shot that is to run once it is enabled: nothing of this occurrence ran."""
    if job.enabled or job.recurrence:
        return False
    return known is None or known.owes_run or _is_new(job, known)


def _is_new(job: Job, known: StoredJob) -> bool:
    """Return whether a one-shot is declared to run anew: it is another occurrence, or recurred until now."""
    return job.occurrence != known.job.occurrence or bool(known.job.recurrence)


class _Effects(TypedDict, total=False):
    """The part of a Change that says what happens to the queue."""

    new_run: NewRun
    changed_run: Run
    note: str
    warning: str


def _effects(job: Job, known: StoredJob, changed: set[str], now: datetime) -> _Effects:
    """Return what a changed job means for its newest run."""
    run = known.latest
    is_new = known.owes_run or _is_new(job, known)
    if run is None and (is_new or job.recurrence or not job.enabled or not known.job.enabled):
        return _occurrence(job, now)
    if run is None:
        return {"note": "its run was deleted; will not run again"}
    if not job.enabled:
        return _disabled(run, now)
    if job.recurrence:
        return _recurring(job, known, run, now)
    if run.state is State.PROCESSING and is_new:
        return _occurrence(job, now) | {"note": "running: a new run waits until it is over"}
    if run.state is State.PROCESSING:
        note = "running: this attempt keeps its spec, the next takes the new one"
        return {"changed_run": refresh(run, job.spec, now=now), "note": note}
    if run.state.is_waiting and is_new:
        return _moved(job, run, now)
    if run.state.is_waiting:
        return {"changed_run": refresh(run, job.spec, now=now), "note": f"the {run.state} run takes the new spec"}
    if is_new or (run.state is State.CANCELLED and not known.job.enabled):
        return _occurrence(job, now)
    if run.state is State.DEAD and changed & _CURES:
        return {"changed_run": requeue(run, job.spec, now=now), "note": "requeue: the dead run is tried again"}
    return {"note": f"({run.state}; will not run again)"}


def _recurring(job: Job, known: StoredJob, run: Run, now: datetime) -> _Effects:
    """Return what a change of a recurring job means for its newest run: nothing is run for it but at its slots."""
    if run.state.is_final:
        return {}
    if not known.job.recurrence:
        return {"changed_run": withdraw(run, now=now), "note": f"its {run.state} run is withdrawn"}
    note = "running: this attempt keeps its spec" if run.state is State.PROCESSING else "what waits takes the new spec"
    return {"changed_run": refresh(run, job.spec, now=now), "note": note}


def _disabled(run: Run, now: datetime) -> _Effects:
    if run.state.is_final:
        return {"note": "disabled, will not run"}
    return {"changed_run": withdraw(run, now=now), "note": f"disabled: its {run.state} run is withdrawn"}


def _moved(job: Job, run: Run, now: datetime) -> _Effects:
    """Return what becomes of a waiting run whose job now has another time or revision."""
    found = _occurrence(job, now)
    new = found.pop("new_run")
    run = reschedule(run, job.spec, run_at=new.run_at, now=now)
    return found | {"changed_run": miss(run, now=now) if new.state is State.SKIPPED else run}


def _occurrence(job: Job, now: datetime) -> _Effects:
    """Return what a new occurrence of a one-shot job does: run, wait, or be recorded as missed."""
    if not job.enabled:
        return {"note": "disabled, will not run"}
    if job.recurrence:
        return {}
    due = job.run_at or now
    late = now - due
    if late >= MISSED_AFTER:
        missed = NewRun(spec=job.spec, run_at=due, state=State.SKIPPED, reason=MISSED)
        return {"new_run": missed, "note": "skipped", "warning": f"missed by {_spoken(late)}, not run"}
    new = NewRun(spec=job.spec, run_at=due)
    if late > timedelta(0):
        return {"new_run": new, "note": "runs now", "warning": f"runs now, {_spoken(late)} late"}
    return {"new_run": new, "note": f"runs at {due:%Y-%m-%d %H:%M:%S} UTC" if late else "runs now"}


def _spoken(late: timedelta) -> str:
    minutes = int(late.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes // 60}h {minutes % 60:02}m" if minutes < 1440 else f"{minutes // 1440}d"


def _field_changes(old: Job, new: Job) -> tuple[FieldChange, ...]:
    if replace(new, manifest=old.manifest, name=old.name) == old:
        return ()
    before, after = _flat(old), _flat(new)
    return tuple(FieldChange(key=key, old=before[key], new=after[key]) for key in after if before[key] != after[key])


def _flat(job: Job) -> dict[str, Any]:
    """Return the keys of a manifest's job table with their values, defaults included."""
    values = job.spec.to_values()
    values |= {key: None if values[key] is None else str(values[key]) for key in HOOK_KEYS}
    recurrence = job.recurrence.to_dict() if job.recurrence else dict.fromkeys(RECURRENCE_KEYS)
    own = {"run_at": job.run_at, "max_wait": job.max_wait, "expect_success_within": job.expect_success_within}
    own |= {"enabled": job.enabled, "revision": job.revision}
    return values | recurrence | own


def refused(plan: Plan, *, allow_remove: int, adopt: bool) -> OwnedElsewhere | RemovalRefused | None:
    """Return why a plan must not be carried out: it does what nobody does without saying so."""
    for manifest in plan.manifests:
        if manifest.owner is not None and manifest.is_adopted and not adopt:
            return OwnedElsewhere(manifest.manifest.name, manifest.owner, manifest.manifest.path)
        removed = manifest.count(Action.REMOVE)
        if manifest.removes_most and removed > allow_remove:
            return RemovalRefused(manifest.manifest.name, removed, manifest.stored_count)
    return None
