"""`export`: what the queue has, as a manifest on stdout."""

from typing import Annotated

import typer

from queuectl.cli.options import checked
from queuectl.cli.output import say
from queuectl.cli.session import Db, open_store, read_settings
from queuectl.errors import ManifestNotFound, UsageError
from queuectl.export import Exported, manifest_text
from queuectl.job import Job, Run
from queuectl.store import Store

_NAME = "exported"


def register(app: typer.Typer) -> None:
    """Add the command."""
    examples = "Examples:  queuectl export --manifest nightly    queuectl export r12 r13 --manifest adhoc > adhoc.toml"
    app.command("export", epilog=examples)(export)


def export(
    things: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MANIFEST/JOB|RUN]...", help="Declared jobs, or runs.", show_default="a whole manifest"
        ),
    ] = None,
    manifest: Annotated[
        str | None, typer.Option(metavar="NAME", help="The manifest to export, or the name that things named get.")
    ] = None,
    db: Db = None,
) -> None:
    """Write declared jobs, or runs, as a manifest: applied again, declared jobs are unchanged.

    A run becomes a job of its id, or of its own job's name.
    """
    from queuectl import rules

    name = None if manifest is None else checked("--manifest", rules.name, manifest)
    defaults = read_settings(db).defaults
    with open_store(db) as store, store.snapshot():
        declared = [stored.job for stored in store.jobs()]
        if things:
            name, exported = _named(store, list(dict.fromkeys(things)), name)
        else:
            name = name or _only_manifest(declared)
            exported = [Exported(job=job) for job in declared if job.manifest == name]
            if not exported:
                raise ManifestNotFound(name, {job.manifest for job in declared})
    say(manifest_text(name, exported, defaults=defaults, notes=_left_out(name, exported, declared)).removesuffix("\n"))


def _named(store: Store, things: list[str], name: str | None) -> tuple[str, list[Exported]]:
    """Return the name of the manifest, and the jobs and runs that a person named as its jobs."""
    found: dict[str, Exported] = {}
    manifests = set()
    for thing in things:
        if "/" in thing:
            exported = Exported(job=store.job(thing).job)
            manifests.add(exported.job.manifest)
        else:
            exported = _run_as_job(store.run(thing), found)
            manifests.add(_NAME)
        if exported.job.name in found:
            raise UsageError(
                f"two jobs would have the name `{exported.job.name}`", hint="export one manifest at a time"
            )
        found[exported.job.name] = exported
    if name is None and len(manifests) > 1:
        raise UsageError(
            f"these are of {len(manifests)} manifests: {', '.join(sorted(manifests))}", hint="say `--manifest NAME`"
        )
    return name or manifests.pop(), list(found.values())


def _run_as_job(run: Run, taken: dict[str, Exported]) -> Exported:
    """Return a run as a one-shot job, due when it waits for a time to come; it has a name that is not taken."""
    from queuectl.rules import name as checked_name

    name = run.job.partition("/")[2] if run.job else run.id.lower()
    try:
        checked_name(name)
    except ValueError:  # ids may be longer
        name = f"r{run.number}"
    waits = run.state.is_waiting and not run.is_held
    job = Job(
        manifest=_NAME,
        name=f"{name}-r{run.number}" if name in taken else name,
        spec=run.spec,
        run_at=run.scheduled_at if waits and run.scheduled_at > run.created_at else None,
    )
    return Exported(job=job, notes=(f"run {run.id}, {run.state}{f' ({run.reason})' if run.reason else ''}",))


def _only_manifest(declared: list[Job]) -> str:
    names = sorted({job.manifest for job in declared})
    if len(names) != 1:
        raise UsageError("say what to export", hint=_manifests(declared))
    return names[0]


def _manifests(declared: list[Job]) -> str:
    names = sorted({job.manifest for job in declared})
    return f"name jobs or runs, or `--manifest` and one of {', '.join(names)}" if names else "no job is declared"


def _left_out(name: str, exported: list[Exported], declared: list[Job]) -> list[str]:
    """Return a warning if the manifest is a part of one that is declared, which applying it would empty."""
    left = {job.name for job in declared if job.manifest == name} - {each.job.name for each in exported}
    return [f"a part of `{name}`: applied without `--no-prune` it removes {len(left)} other jobs"] if left else []
