"""A plan in words for the terminal, and as a record for `--json`."""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from queuectl.changes import Action, Change, ManifestPlan, Plan
from queuectl.cli.output import paint, stamp
from queuectl.diagnostics import Positions
from queuectl.durations import format_duration
from queuectl.job import Job, Manifest
from queuectl.pause import Pause
from queuectl.spec import DURATION_KEYS
from queuectl.visible import visible

_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REMOVE: "-", Action.RENAME: ">"}


def plan_lines(plan: Plan, pauses: Sequence[Pause], *, now: datetime) -> Iterator[str]:
    """Yield the lines of a plan: manifest by manifest, with the pauses that last, then the sum."""
    for manifest in plan.manifests:
        yield from _manifest_lines(manifest)
        written = [change.job for change in manifest.changes if change.moves_slot]
        for warning in (*_pause_lines(manifest, pauses, now), *schedule_warnings(manifest.manifest, written, now=now)):
            yield paint("warning", f"  ! {warning}")
        yield ""
    counts = [(action, sum(manifest.count(action) for manifest in plan.manifests)) for action in Action]
    yield "plan: " + ", ".join(
        f"{count} unchanged" if action is Action.UNCHANGED else f"{count} to {action}"
        for action, count in counts
        if count or action in (Action.CREATE, Action.UPDATE, Action.REMOVE)
    )


def schedule_warnings(manifest: Manifest, jobs: Iterable[Job], *, now: datetime) -> Iterator[str]:
    """Yield what is likely not meant by the schedules of some jobs of a manifest, each with its place."""
    from queuectl.slots import schedule_of

    found = [
        (job, warning)
        for job in jobs
        if job.recurrence
        for warning in schedule_of(job).warnings(now=now, timeout=job.spec.timeout)
    ]
    positions = Positions(manifest.source) if found else None
    for job, warning in found:
        assert positions is not None
        line, column = positions.of(("jobs", job.name, "schedule"))
        yield f"{_shown_path(manifest.path)}:{line}:{column}  job `{job.name}`: {warning}"


def _pause_lines(plan: ManifestPlan, pauses: Sequence[Pause], now: datetime) -> Iterator[str]:
    jobs = [change.job.full_name for change in plan.changes if change.job.recurrence]
    for pause in pauses:
        if any(pause.covers(job, now) for job in jobs):
            end = f" until {stamp(pause.until)}" if pause.until else ""
            why = f": {visible(pause.reason)}" if pause.reason else ""
            yield f"{pause.scope or 'everything'} is paused since {stamp(pause.begins_at)}{end} by {pause.by}{why}"


def plan_record(plan: Plan) -> dict[str, Any]:
    """Return a plan for `--json`; unchanged jobs are there too."""
    return {
        "writes": plan.writes,
        "manifests": [
            {
                "manifest": each.manifest.name,
                "path": each.manifest.path,
                "adopted_from": each.owner if each.is_adopted else None,
                "changes": [_change_record(change) for change in each.changes],
            }
            for each in plan.manifests
        ],
    }


def _manifest_lines(plan: ManifestPlan) -> Iterator[str]:
    path = _shown_path(plan.manifest.path)
    yield paint("bold", f"{path} ({plan.manifest.name})")
    changes = [change for change in plan.changes if change.writes]
    width = max((len(change.job.name) for change in changes), default=0)
    positions = Positions(plan.manifest.source) if any(change.fields for change in changes) else None
    for change in changes:
        name = change.job.name
        if change.renames and change.stored:
            name = f"{change.stored.job.name} → {name}"
        yield paint(
            change.action, f"  {_SIGNS[change.action]} {change.action}  {name:<{width}}  {change.note}".rstrip()
        )
        for field in change.fields:
            assert positions is not None
            line, column = positions.of(("jobs", change.job.name, field.key))
            values = f"{shown_value(field.key, field.old)} → {shown_value(field.key, field.new)}"
            yield f"      {field.key}: {values}  {paint('dim', f'{path}:{line}:{column}')}"
    if unchanged := [change for change in plan.changes if change.action is Action.UNCHANGED]:
        dead = [change.job.name for change in unchanged if change.note]
        yield f"  = {len(unchanged)} unchanged" + (f" (dead: {', '.join(dead)})" if dead else "")
    for warning in _warnings(plan):
        yield paint("warning", f"  ! {warning}")


def _warnings(plan: ManifestPlan) -> Iterator[str]:
    for change in plan.changes:
        if change.warning:
            yield f"{change.job.name}: {change.warning}"
    if plan.is_adopted:
        yield f"owned by `{plan.owner}` until now: needs `--adopt`"
    if plan.removes_most:
        removed = plan.count(Action.REMOVE)
        yield f"removes {removed} of {plan.stored_count}: needs `--allow-remove {removed}`"


def _change_record(change: Change) -> dict[str, Any]:
    return {
        "action": change.action,
        "job": change.job.full_name,
        "from": change.stored.job.full_name if change.stored and change.renames else None,
        "fields": [{"key": field.key, "old": field.old, "new": field.new} for field in change.fields],
        "next_slot": change.next_slot,
        "note": change.note,
        "warning": change.warning,
    }


def shown_value(key: str, value: object) -> str:
    """Return the value of a key of a job as it is shown beside another."""
    match value:
        case None:
            return "none"
        case float() if key in DURATION_KEYS:
            return format_duration(value)
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case bool():
            return str(value).lower()
        case tuple():
            return visible(f"[{', '.join(repr(item) for item in value)}]")
        case str():
            return visible(repr(value))
        case _:
            return visible(str(value))


def _shown_path(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
