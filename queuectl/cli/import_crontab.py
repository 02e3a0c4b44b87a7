"""`queuectl import crontab`: a manifest out of a crontab."""

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from queuectl.atomic import write_new
from queuectl.cli.group import Group
from queuectl.cli.options import checked
from queuectl.cli.output import note
from queuectl.errors import QueuectlError, UsageError
from queuectl.visible import visible
from queuectl.wording import counted

if TYPE_CHECKING:
    from queuectl.crontab import Crontab

_LOCALTIME: Final = Path("/etc/localtime")

System = Annotated[bool, typer.Option("--system", help="It is one like /etc/crontab, with a user in each entry.")]
Zone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="The time zone of its machine.", show_default="that of this one")
]


def register(app: typer.Typer) -> None:
    """Add the command and its verb."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, help="Manifests out of what other programs were told.")
    examples = "crontab -l | queuectl import crontab -    queuectl import crontab --system /etc/crontab"
    group.command("crontab", epilog=f"Examples:  {examples}")(import_crontab)
    group.callback()(lambda: None)  # so that one verb is still a verb
    app.add_typer(group, name="import")


def import_crontab(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A crontab; - is standard input.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.")] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The name of the manifest.")] = "crontab",
    system: System = False,
    timezone: Zone = None,
) -> None:
    """Print a manifest whose jobs do what the entries of a crontab did.

    What cannot be read is reported with its place, all of it at once, and nothing is written.
    """
    from queuectl import rules
    from queuectl.crontab_manifest import cron_jobs, manifest_text

    manifest = checked("--name", rules.name, name)
    crontab = read_crontab(file, system=system)
    zone, found = zone_of(timezone)
    jobs = cron_jobs(crontab, zone=zone, home=home_of)
    text = manifest_text(crontab, jobs, name=manifest)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    note(f"{counted(len(jobs), 'job')}, times in {zone}{f' ({found})' if found else ''}")


def read_crontab(file: str, *, system: bool) -> "Crontab":
    """Return what is in a crontab, or on standard input; raises InvalidCrontab."""
    from queuectl.crontab import InvalidCrontab, parse_crontab
    from queuectl.diagnostics import Problem
    from queuectl.limits import MOST_BYTES
    from queuectl.manifest_files import Unreadable, read

    path = "standard input" if file == "-" else file
    try:
        source = sys.stdin.buffer.read(MOST_BYTES + 1) if file == "-" else read(Path(file))
        if len(source) > MOST_BYTES:
            raise Unreadable(f"larger than {MOST_BYTES >> 20} MiB")
    except Unreadable as error:
        raise InvalidCrontab([Problem(path=path, message=str(error))]) from None
    return parse_crontab(source, path, has_user=system)


def zone_of(written: str | None) -> tuple[str, str]:
    """Return the time zone of the machine whose crontab it is, and where that was found unless somebody said it."""
    from queuectl.instants import time_zone

    if written is not None:
        return checked("--timezone", time_zone, written), ""
    for name, place in ((os.environ.get("TZ", "").lstrip(":"), "`TZ`"), (_linked_zone(), f"`{_LOCALTIME}`")):
        try:
            if name:
                return time_zone(name), f"from {place}"
        except ValueError:
            continue
    return "UTC", "this machine does not tell its zone: say `--timezone`"


def home_of(user: str | None) -> str | None:
    """Return the home folder of a user, of the present one for None; None if this machine does not know."""
    try:
        return pwd.getpwnam(user).pw_dir if user else str(Path.home())
    except (KeyError, RuntimeError):
        return None


def _linked_zone() -> str:
    """Return the zone that the machine's link to its rules names; empty if it is none."""
    try:
        return str(_LOCALTIME.readlink()).rpartition("zoneinfo/")[2]
    except OSError:
        return ""


def _write(path: Path, text: str) -> None:
    try:
        write_new(path, text)
    except FileExistsError:
        raise QueuectlError(
            f"`{visible(str(path))}` exists already", hint="name a file that does not exist yet"
        ) from None
    except OSError as error:
        raise UsageError(f"`{visible(str(path))}` cannot be written: {error.strerror}") from error
    note(f"wrote `{visible(str(path))}`")
