"""The verbs that look after the queue: backup, restore, doctor."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.output import note, print_json, print_table, say
from queuectl.cli.session import Db, Json, open_store, read_settings, store_of
from queuectl.spec import DEFAULT_SHELL
from queuectl.wording import counted


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("doctor", epilog="Examples:  queuectl doctor    queuectl doctor --json")(doctor)
    app.command("backup", epilog="Examples:  queuectl backup queue-copy.db    queuectl backup /mnt/q.db")(backup)
    app.command("restore", epilog="Examples:  queuectl restore copy.db    queuectl restore /mnt/q.db --db q.db")(
        restore
    )


def backup(
    target: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Where the copy goes; must not exist yet.", show_default=False),
    ],
    db: Db = None,
) -> None:
    """Copy the queue's database while it is in use, verify the copy, and print its path.

    What jobs wrote is not in the database and not in the copy.
    """
    with open_store(db) as store:
        store.backup(target)
    say(str(target))


def restore(
    backup: Annotated[Path, typer.Argument(metavar="FILE", help="What `queuectl backup` wrote.", show_default=False)],
    db: Db = None,
) -> None:
    """Put a backup in the place of the queue, which is set aside with a number after its name.

    Refused while a runner works on it. What had been running as the backup was made counts as interrupted.
    """
    from queuectl import restore as restoring

    database = Path(read_settings(db).db)
    done = restoring.restore(backup, database, now=clock.now())
    note(f"restored `{database}` from `{backup}`")
    if done.set_aside:
        note(f"the queue before it is now `{done.set_aside}`")
    if done.interrupted:
        note(f"{counted(done.interrupted, 'run')} had been under way: interrupted")


def doctor(db: Db = None, json: Json = False) -> None:
    """Examine the queue and the machine around it; exits with 1 if there is a fault."""
    from queuectl.checkup import Verdict, examine

    settings = read_settings(db)
    shell = settings.defaults.get("shell", DEFAULT_SHELL)[0]
    with store_of(settings) as store:
        findings = examine(store, shell=shell, now=clock.now())
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(each.verdict, each.subject, "; ".join(filter(None, (each.fact, each.advice)))) for each in findings]
        print_table(("VERDICT", "WHAT", "FOUND"), rows)
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        raise typer.Exit(1)
