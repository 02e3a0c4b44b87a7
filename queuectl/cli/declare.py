"""The verbs of manifests: validate, plan, apply, applies."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from queuectl import clock
from queuectl.changes import Plan
from queuectl.cli.output import note, paint, print_json, print_table, say, stamp
from queuectl.cli.plan_text import plan_lines, plan_record, schedule_warnings
from queuectl.cli.session import Db, Json, Limit, open_store, read_settings, spool_of, store_of
from queuectl.pause import Pause
from queuectl.plan import plan as make_plan
from queuectl.plan import refused
from queuectl.spool import wake_runners

Paths = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Manifests, or folders of them.", show_default=False)
]
NoPrune = Annotated[bool, typer.Option("--no-prune", help="Keep jobs that are not declared any more.")]
DetailedExitCode = Annotated[
    bool, typer.Option("--detailed-exitcode", help="Exit with 2 if something changes, with 0 if nothing does.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("validate", epilog="Examples:  queuectl validate manifests/    queuectl validate a.toml b.toml")(
        validate
    )
    app.command("plan", epilog="Examples:  queuectl plan manifests/    queuectl plan nightly.toml --json")(plan)
    app.command("apply", epilog="Examples:  queuectl apply manifests/nightly.toml    queuectl apply manifests/")(apply)
    app.command("applies", epilog="Examples:  queuectl applies    queuectl applies --limit 5 --json")(applies)


def validate(paths: Paths) -> None:
    """Check manifests and report every problem of every file; needs no queue."""
    from queuectl.manifest import load

    manifests = load(paths, defaults=read_settings(None).defaults)
    jobs = sum(len(manifest.jobs) for manifest in manifests)
    for manifest in manifests:
        for warning in schedule_warnings(manifest, manifest.jobs, now=clock.now()):
            note(f"{paint('warning', 'warning:', sys.stderr)} {warning}")
    note(f"{_count(len(manifests), 'manifest')} with {_count(jobs, 'job')}: valid")


def plan(
    paths: Paths,
    no_prune: NoPrune = False,
    detailed_exitcode: DetailedExitCode = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Show what apply would change, and write nothing."""
    from queuectl.manifest import load
    from queuectl.slots import first_slot

    settings = read_settings(db)
    manifests = load(paths, defaults=settings.defaults)
    now = clock.now()
    with store_of(settings) as store, store.snapshot():
        stored = store.stored_jobs(manifest.name for manifest in manifests)
        found = make_plan(manifests, stored, store.owners(), now=now, first_slot=first_slot, prune=not no_prune)
        pauses = store.pauses(since=now)
    _print(found, pauses, now, json=json)
    _exit(found, detailed=detailed_exitcode)


def apply(
    paths: Paths,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Like plan: show, and write nothing.")] = False,
    no_prune: NoPrune = False,
    allow_remove: Annotated[
        int, typer.Option(metavar="N", min=0, help="Let a manifest lose most of its jobs, up to N.")
    ] = 0,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take a manifest name over from another file.")] = False,
    detailed_exitcode: DetailedExitCode = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Make the queue's jobs like the manifests: all of it or nothing."""
    if dry_run:
        plan(paths, no_prune=no_prune, detailed_exitcode=detailed_exitcode, db=db, json=json)
        return
    from queuectl.author import author_of
    from queuectl.manifest import load
    from queuectl.slots import first_slot

    settings = read_settings(db)
    manifests = load(paths, defaults=settings.defaults)
    author = author_of([manifest.path for manifest in manifests])
    with store_of(settings, create=True) as store:
        # Planned inside the transaction: nothing can come between what is shown and what is done.
        with store.transaction():
            now = clock.now()
            stored = store.stored_jobs(manifest.name for manifest in manifests)
            found = make_plan(manifests, stored, store.owners(), now=now, first_slot=first_slot, prune=not no_prune)
            refusal = refused(found, allow_remove=allow_remove, adopt=adopt)
            number = None if refusal else store.apply(found, author=author, now=now)
            pauses = store.pauses(since=now)
        wake_runners(spool_of(store))
    _print(found, pauses, now, json=json, number=number)
    if refusal:
        raise refusal
    if not json:
        note(f"applied: number {number}" if number else "nothing to apply")
    _exit(found, detailed=detailed_exitcode)


def applies(
    limit: Limit = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """List the applies that changed something: who, when, from which commit, what."""
    with open_store(db) as store:
        found = store.applies(limit=limit)
    if json:
        print_json(
            [
                {
                    "number": each.number,
                    "applied_at": each.applied_at,
                    "user": each.author.user,
                    "host": each.author.host,
                    "git_commit": each.author.git_commit,
                    "git_dirty": each.author.git_dirty,
                    "changes": each.changes,
                }
                for each in found
            ]
        )
        return
    print_table(
        ("NUMBER", "APPLIED", "BY", "COMMIT", "CHANGES"),
        [
            (
                str(each.number),
                stamp(each.applied_at),
                f"{each.author.user}@{each.author.host}",
                (each.author.git_commit or "-")[:10] + (" (dirty)" if each.author.git_dirty else ""),
                ", ".join(f"{change['action']} {change['job']}" for change in each.changes),
            )
            for each in found
        ],
    )


def _print(found: Plan, pauses: Sequence[Pause], now: datetime, *, json: bool, number: int | None = None) -> None:
    if json:
        print_json(plan_record(found) | {"apply": number})
    else:
        for line in plan_lines(found, pauses, now=now):
            say(line)


def _exit(found: Plan, *, detailed: bool) -> None:
    if detailed and found.writes:
        raise typer.Exit(2)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
