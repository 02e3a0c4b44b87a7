"""`export`: what the queue has, as a manifest on stdout."""

from collections import Counter
from typing import Annotated, Final

import typer

from queuectl.cli.options import checked
from queuectl.cli.output import say
from queuectl.cli.selecting import OF_JOBS, OPTIONS, none_like, selecting
from queuectl.cli.session import Db, open_store, read_settings
from queuectl.errors import NotFound, UsageError
from queuectl.export import Exported, manifest_text
from queuectl.job import Job, Run
from queuectl.selector import Selector
from queuectl.store import Store

_NAME: Final = "exported"
_OF_JOBS: Final = ("jobs", "manifests", "tags", "text")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export",
        epilog="Examples:  queuectl export nightly/backup    queuectl export r12 r13 --name adhoc",
    )(selecting(export, needs=False, without=("every",), options=OPTIONS | {key: OF_JOBS[key] for key in _OF_JOBS}))


def export(
    selector: Selector,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the manifest is called.", show_default="as the jobs' own")
    ] = None,
    db: Db = None,
) -> None:
    """Write declared jobs, or runs, as a manifest: applied again, declared jobs are unchanged.

    Runs are meant if some are named, or if their state, time or exit code is said. A run becomes a job of its id, or
    of its own job's name.
    """
    from queuectl import rules

    called = None if name is None else checked("--name", rules.name, name)
    defaults = read_settings(db).defaults
    with open_store(db) as store, store.snapshot():
        declared = [stored.job for stored in store.jobs()]
        exported = _exported(store, selector)
    called = called or _only_manifest([each.job for each in exported])
    if twice := [job for job, count in Counter(each.job.name for each in exported).items() if count > 1]:
        raise UsageError(f"two jobs would have the name `{twice[0]}`", hint="export one manifest at a time")
    notes = _left_out(called, exported, declared)
    say(manifest_text(called, exported, defaults=defaults, notes=notes).removesuffix("\n"))


def _exported(store: Store, selector: Selector) -> list[Exported]:
    """Return what is selected, runs or declared jobs; raises NotFound if nothing is."""
    if selector.ids or selector.is_about_runs:
        found: dict[str, Exported] = {}
        for run in [store.run(run) for run in selector.ids] or store.runs(selector)[::-1]:
            exported = _run_as_job(run, found)
            found[exported.job.name] = exported
        if not found:
            raise none_like(selector)
        return list(found.values())
    jobs = [Exported(job=stored.job) for stored in store.jobs(selector)]
    if not jobs:
        like = "" if selector.is_everything else f" like that: `{selector}`"
        raise NotFound(f"no job is declared{like}", hint="`queuectl jobs` shows the jobs")
    return jobs


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


def _only_manifest(jobs: list[Job]) -> str:
    names = sorted({job.manifest for job in jobs})
    if len(names) > 1:
        raise UsageError(
            f"these are of {len(names)} manifests: {', '.join(names)}",
            hint="say `--manifest`, or `--name` for all",
        )
    return names[0]


def _left_out(name: str, exported: list[Exported], declared: list[Job]) -> list[str]:
    """Return a warning if the manifest is a part of one that is declared, which applying it would empty."""
    left = {job.name for job in declared if job.manifest == name} - {each.job.name for each in exported}
    return [f"a part of `{name}`: applied without `--no-prune` it removes {len(left)} other jobs"] if left else []
