"""The verbs of schedules: next, trigger, pause, resume."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from queuectl import actions, clock
from queuectl.author import person
from queuectl.cli.options import checked
from queuectl.cli.output import note, print_json, print_table, say, stamp
from queuectl.cli.session import Db, Json, open_store, read_settings, store_of
from queuectl.errors import JobNotFound, UsageError
from queuectl.job import StoredJob
from queuectl.pause import Pause

Slot = tuple[datetime, str, str]
"""An instant, its zone and the full name of the job."""

Job = Annotated[str | None, typer.Argument(metavar="[MANIFEST/JOB]", help="Only this job.", show_default=False)]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="No later than this.")]
Scope = Annotated[
    str | None,
    typer.Argument(metavar="[MANIFEST[/JOB]]", help="A job, or all jobs of a manifest.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="All jobs of the queue.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("next", epilog="Examples:  queuectl next -n 10    queuectl next --expression '30 2 * * *'")(next_slots)
    app.command("trigger", epilog="Examples:  queuectl trigger nightly/db-backup    queuectl trigger a/b a/c")(trigger)
    app.command("pause", epilog="Examples:  queuectl pause nightly --reason holiday    queuectl pause --all")(pause)
    app.command("resume", epilog="Examples:  queuectl resume nightly    queuectl resume --all")(resume)


def next_slots(
    job: Job = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000, help="So many slots.")] = 5,
    until: Until = None,
    tz: Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="Show local times of this zone.")] = None,
    expression: Annotated[str | None, typer.Option(help="Of this schedule, without any queue.")] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Its time zone.")] = "UTC",
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="After this, not after now.")] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Show the coming slots of recurring jobs, the earliest first, with their local times."""
    from queuectl.instants import parse_instant, time_zone

    shown_zone = None if tz is None else checked("--tz", time_zone, tz)
    after = clock.now() if start is None else checked("--from", lambda text: parse_instant(text, zone=timezone), start)
    end = None if until is None else checked("--until", lambda text: parse_instant(text, zone=shown_zone), until)
    pauses: list[Pause] = []
    if expression is not None:
        if job is not None:
            raise UsageError("`--expression` needs no job")
        slots = _slots_of_expression(expression, timezone, after)
    else:
        with open_store(db) as store:
            jobs = [stored for stored in store.jobs() if stored.next_slot] if job is None else [store.job(job)]
            pauses = store.pauses(since=after)
        slots = heapq.merge(*(_slots_of_job(stored, after) for stored in jobs))
    coming = list(islice(slots if end is None else takewhile(lambda slot: slot[0] <= end, slots), count))
    if json:
        print_json([_record(slot, shown_zone) for slot in coming])
        return
    rows = [
        (stamp(at), _local(at, shown_zone or zone), name or "-", _paused(name, at, pauses)) for at, zone, name in coming
    ]
    print_table(("SLOT", "LOCAL TIME", "JOB", ""), rows)


def trigger(
    jobs: Annotated[list[str], typer.Argument(metavar="MANIFEST/JOB...", help="Declared jobs.", show_default=False)],
    db: Db = None,
) -> None:
    """Run jobs now, with the spec they have now, and print the ids of the runs.

    If a run of a job is not over, the new one waits for it, unless the job lets its runs overlap.
    """
    with open_store(db) as store:
        runs = actions.trigger(store, jobs, by=person(), now=clock.now())
    for run in runs:
        say(run.id)
        if run.is_held:
            note(f"{run.id}: waits for the run of {run.job} before it")


def pause(
    scope: Scope = None,
    everything: All = False,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="It ends by itself then.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for those who wonder.")] = None,
    db: Db = None,
) -> None:
    """Let slots pass without a run: they are recorded, and not caught up.

    What is queued already still runs.
    """
    from queuectl import rules
    from queuectl.instants import parse_instant

    now = clock.now()
    end = None if until is None else checked("--until", lambda text: parse_instant(text, zone=None), until)
    if end is not None and end <= now:
        raise UsageError(f"`--until` is over already: {stamp(end)}")
    why = None if reason is None else checked("--reason", rules.text, reason)
    with store_of(read_settings(db), create=everything) as store, store.transaction():
        covered = _scope(scope, everything, store.jobs())
        actions.pause(store, covered, until=end, reason=why, by=person(), now=now)
    note(f"paused: {covered or 'everything'}{f' until {stamp(end)}' if end else ''}")


def resume(scope: Scope = None, everything: All = False, db: Db = None) -> None:
    """End a pause: the next slots run again. What was paused as a whole is resumed as a whole."""
    from queuectl.author import person

    now = clock.now()
    with store_of(read_settings(db)) as store:
        covered = _scope(scope, everything, store.jobs())
        was_paused = actions.resume(store, covered, by=person(), now=now)
        others = [each for each in store.pauses(since=now) if _is_about(covered, each)]
    note(f"resumed: {covered or 'everything'}" if was_paused else f"not paused: {covered or 'everything'}")
    for each in others:
        note(f"still paused: {each.scope or 'everything'}, since {stamp(each.begins_at)} by {each.by}")


def _scope(scope: str | None, everything: bool, jobs: Sequence[StoredJob]) -> str:
    """Return what is meant, as pauses name it; raises UsageError, and JobNotFound if nothing has that name."""
    if (scope is None) is not everything:
        raise UsageError("name a job or a manifest, or say `--all`")
    known = {name for stored in jobs for name in (stored.job.full_name, stored.job.manifest)}
    if scope is not None and scope not in known:
        raise JobNotFound(scope, sorted(known))
    return scope or ""


def _is_about(covered: str, pause: Pause) -> bool:
    """Whether a pause concerns some of what ``covered`` names."""
    return (
        not covered
        or not pause.scope
        or f"{covered}/".startswith(f"{pause.scope}/")
        or pause.scope.startswith(f"{covered}/")
    )


def _slots_of_expression(expression: str, zone: str, after: datetime) -> Iterator[Slot]:
    from queuectl.instants import time_zone
    from queuectl.schedule import LAST, parse_schedule

    known = checked("--timezone", time_zone, zone)
    schedule = checked("--expression", lambda written: parse_schedule(written, zone=known), expression)
    return ((slot, known, "") for slot in schedule.slots(after, LAST))


def _slots_of_job(stored: StoredJob, after: datetime) -> Iterator[Slot]:
    from queuectl.schedule import LAST
    from queuectl.slots import schedule_of

    if stored.next_slot is None or stored.job.recurrence is None:
        return
    zone, name = stored.job.recurrence.timezone, stored.job.full_name
    if stored.next_slot > after:
        yield stored.next_slot, zone, name
    for slot in schedule_of(stored.job).slots(max(stored.next_slot, after), LAST):
        yield slot, zone, name


def _record(slot: Slot, shown_zone: str | None) -> dict[str, object]:
    at, zone, name = slot
    return {"job": name or None, "slot": at, "local": at.astimezone(ZoneInfo(shown_zone or zone)).isoformat()}


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %z} {zone}"


def _paused(name: str, at: datetime, pauses: Sequence[Pause]) -> str:
    return "paused" if any(pause.covers(name, at.astimezone(UTC)) for pause in pauses) else ""
