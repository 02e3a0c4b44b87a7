"""`queuectl why`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.options import checked
from queuectl.cli.output import paint, print_json, print_table, say, stamp
from queuectl.cli.session import Db, Json, open_archive
from queuectl.errors import RunNotFound
from queuectl.inquiry import ask_job, ask_job_at, ask_run
from queuectl.instants import parse_instant, parse_local
from queuectl.store.archive import Archive
from queuectl.visible import visible
from queuectl.why import Answer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "why", epilog="Examples:  queuectl why nightly/backup    queuectl why nightly/backup --at 2026-12-01T02:30"
    )(why)


def why(
    subject: Annotated[str, typer.Argument(metavar="MANIFEST/JOB|RUN", help="A job or a run.", show_default=False)],
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="At this time; without an offset, on the clocks of the job's time zone."),
    ] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Explain why a job or a run did or did not run, and when it is due next: the conclusion, then dated facts."""
    with open_archive(db) as store, store.snapshot():
        answer = _answer(store, subject, at, clock.now())
    if json:
        facts = [{"kind": fact.kind, "at": fact.at, "sentence": fact.sentence} for fact in answer.facts]
        print_json({"subject": subject, "conclusion": answer.conclusion, "facts": facts})
        return
    say(paint("bold", visible(answer.conclusion)))
    if answer.facts:
        say()
        print_table(("AT", "WHAT", "FACT"), [(stamp(fact.at), fact.kind, fact.sentence) for fact in answer.facts])


def _answer(store: Archive, subject: str, at: str | None, now: datetime) -> Answer:
    if "/" not in subject:
        instant = None if at is None else checked("--at", lambda text: parse_instant(text, zone=None), at)
        try:
            return ask_run(store, subject, now=now, at=instant)
        except RunNotFound as error:
            jobs = [stored.job.full_name for stored in store.jobs() if stored.job.name == subject]
            if jobs:
                raise RunNotFound([subject], jobs) from error
            raise
    if at is None:
        return ask_job(store, subject, now=now)
    zone = _zone(store, subject)
    local = checked("--at", lambda text: parse_local(text, zone=zone), at)
    instant = checked("--at", lambda text: parse_instant(text, zone=zone), at)
    return ask_job_at(store, subject, local=local, instant=instant, now=now)


def _zone(store: Archive, job: str) -> str:
    recurrence = store.job_on_record(job)[0].job.recurrence
    return recurrence.timezone if recurrence else UTC.tzname(None)
