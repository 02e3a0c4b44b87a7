"""The verbs of schedules: next, trigger, pause, resume."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from queuectl import actions, clock
from queuectl.author import person
from queuectl.cli.bulk import DryRun, Yes, is_confirmed
from queuectl.cli.listing import print_jobs
from queuectl.cli.options import checked
from queuectl.cli.output import note, print_json, print_table, say, stamp
from queuectl.cli.selecting import ABOUT_RUNS, OF_JOBS, none_like, selecting
from queuectl.cli.session import Db, Json, open_store, read_settings, store_of
from queuectl.errors import UsageError
from queuectl.job import StoredJob
from queuectl.pause import Pause
from queuectl.selector import Selector, is_pattern, whole_manifest
from queuectl.store import Store

_NAMED: Final = 5

Slot = tuple[datetime, str, str]
"""An instant, its zone and the full name of the job."""

Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="No later than this.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("next", epilog="Examples:  queuectl next -n 10    queuectl next --expression '30 2 * * *'")(
        selecting(next_slots, needs=False, without=("every", *ABOUT_RUNS), options=OF_JOBS)
    )
    app.command(
        "trigger",
        epilog="Examples:  queuectl trigger nightly/db-backup    queuectl trigger --state dead --since 8h --yes",
    )(selecting(trigger, options=OF_JOBS))
    app.command("pause", epilog="Examples:  queuectl pause nightly --reason holiday    queuectl pause --all")(
        selecting(pause, without=ABOUT_RUNS, options=OF_JOBS)
    )
    app.command("resume", epilog="Examples:  queuectl resume nightly    queuectl resume --all")(
        selecting(resume, without=ABOUT_RUNS, options=OF_JOBS)
    )


def next_slots(
    selector: Selector,
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
        if not selector.is_everything:
            raise UsageError("`--expression` needs no job")
        slots = _slots_of_expression(expression, timezone, after)
    else:
        with open_store(db) as store:
            jobs = store.jobs(selector)
            pauses = store.pauses(since=after)
        if jobs and not any(stored.next_slot for stored in jobs):
            why = (f"`{stored.job.full_name}` {_why_none(stored)}" for stored in jobs[:_NAMED])
            note(f"no slot comes: {', '.join(why)}{', ...' if len(jobs) > _NAMED else ''}")
        slots = heapq.merge(*(_slots_of_job(stored, after) for stored in jobs))
    coming = list(islice(slots if end is None else takewhile(lambda slot: slot[0] <= end, slots), count))
    if json:
        print_json([_record(slot, shown_zone) for slot in coming])
        return
    rows = [
        (stamp(at), _local(at, shown_zone or zone), name or "-", _paused(name, at, pauses)) for at, zone, name in coming
    ]
    print_table(("SLOT", "LOCAL TIME", "JOB", ""), rows)


def trigger(selector: Selector, yes: Yes = False, dry_run: DryRun = False, db: Db = None) -> None:
    """Run jobs now, with the spec they have now, and print the ids of the runs.

    Of jobs that are selected and not named, those that are not enabled are left out. If a run of a job is not over, the
    new one waits for it, unless the job lets its runs overlap.
    """
    is_named = selector.names_jobs_only and not any(map(is_pattern, selector.jobs))
    with open_store(db) as store:
        jobs = [stored for stored in store.jobs(selector) if is_named or stored.job.enabled]
        if dry_run:
            print_jobs(jobs)
            return
        if not is_named and not is_confirmed(len(jobs), "triggered", thing="job", yes=yes):
            return
        names = selector.jobs if is_named else [stored.job.full_name for stored in jobs]
        runs = actions.trigger(store, names, by=person(), now=clock.now())
    for run in runs:
        say(run.id)
        if run.is_held:
            note(f"{run.id}: waits for the run of {run.job} before it")


def pause(
    selector: Selector,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="It ends by itself then.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for those who wonder.")] = None,
    db: Db = None,
) -> None:
    """Let slots pass without a run: they are recorded, and not caught up.

    What is queued already still runs. A manifest is paused as a whole, with the jobs that it gets meanwhile.
    """
    from queuectl import rules
    from queuectl.instants import parse_instant

    now = clock.now()
    end = None if until is None else checked("--until", lambda text: parse_instant(text, zone=None), until)
    if end is not None and end <= now:
        raise UsageError(f"`--until` is over already: {stamp(end)}")
    why = None if reason is None else checked("--reason", rules.text, reason)
    with store_of(read_settings(db), create=selector.is_everything) as store, store.transaction():
        scopes = _scopes(store, selector)
        for scope in scopes:
            actions.pause(store, scope, until=end, reason=why, by=person(), now=now)
    for scope in scopes:
        note(f"paused: {scope or 'everything'}{f' until {stamp(end)}' if end else ''}")


def resume(selector: Selector, db: Db = None) -> None:
    """End a pause: the next slots run again. What was paused as a whole is resumed as a whole."""
    now = clock.now()
    with store_of(read_settings(db)) as store:
        with store.transaction():
            scopes = _scopes(store, selector)
            was_paused = {scope: actions.resume(store, scope, by=person(), now=now) for scope in scopes}
        others = [each for each in store.pauses(since=now) if any(_is_about(scope, each) for scope in scopes)]
    for scope, was in was_paused.items():
        note(f"{'resumed' if was else 'not paused'}: {scope or 'everything'}")
    for each in others:
        note(f"still paused: {each.scope or 'everything'}, since {stamp(each.begins_at)} by {each.by}")


def _scopes(store: Store, selector: Selector) -> list[str]:
    """Return what is meant, as pauses name it: whole manifests by their names, and else jobs by theirs.

    Raises NotFound if it is nothing.
    """
    if selector.is_everything:
        return [""]
    jobs = store.jobs(selector)
    if not jobs:
        raise none_like(selector, is_about_jobs=True)
    whole: set[str] = set()
    if selector.names_jobs_only:
        whole = {manifest for each in selector.jobs if (manifest := whole_manifest(each))}
    elif selector == Selector(manifests=selector.manifests):
        whole = set(selector.manifests)
    return sorted(whole | {stored.job.full_name for stored in jobs if stored.job.manifest not in whole})


def _is_about(covered: str, pause: Pause) -> bool:
    """Whether a pause concerns some of what ``covered`` names."""
    return (
        not covered
        or not pause.scope
        or f"{covered}/".startswith(f"{pause.scope}/")
        or pause.scope.startswith(f"{covered}/")
    )


def _why_none(stored: StoredJob) -> str:
    return "has no schedule" if stored.job.recurrence is None else "is not enabled"


def _slots_of_expression(expression: str, zone: str, after: datetime) -> Iterator[Slot]:
    from queuectl.instants import time_zone
    from queuectl.schedule import LAST, parse_schedule

    known = checked("--timezone", time_zone, zone)
    schedule = checked("--expression", lambda written: parse_schedule(written, zone=known), expression)
    return ((slot, known, "") for slot in schedule.slots(after, LAST))


def _slots_of_job(stored: StoredJob, after: datetime) -> Iterator[Slot]:
    from queuectl.schedule import LAST
    from queuectl.slots import UnreadableSchedule, schedule_of

    if stored.next_slot is None or stored.job.recurrence is None:
        return
    try:
        schedule = schedule_of(stored.job)
    except UnreadableSchedule as error:  # of one job: the others are due all the same
        note(f"warning: `{stored.job.full_name}`: {error}")
        return
    zone, name = stored.job.recurrence.timezone, stored.job.full_name
    if stored.next_slot > after:
        yield stored.next_slot, zone, name
    for slot in schedule.slots(max(stored.next_slot, after), LAST):
        yield slot, zone, name


def _record(slot: Slot, shown_zone: str | None) -> dict[str, object]:
    at, zone, name = slot
    return {"job": name or None, "slot": at, "local": at.astimezone(ZoneInfo(shown_zone or zone)).isoformat()}


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %z} {zone}"


def _paused(name: str, at: datetime, pauses: Sequence[Pause]) -> str:
    return "paused" if any(pause.covers(name, at.astimezone(UTC)) for pause in pauses) else ""
