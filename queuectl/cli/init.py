"""`queuectl init`: the files to begin with."""

import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from queuectl.atomic import write_new
from queuectl.cli.output import note
from queuectl.cli.whereabouts import queue_of, tell_of_another_queue
from queuectl.errors import QueuectlError
from queuectl.settings import FILE_NAME
from queuectl.visible import visible

SETTINGS_TEXT: Final = """\
# What holds for the queue of this folder and the folders below; the values that are commented out are the defaults.
# `queuectl config list` shows what holds and why. Its database is .queuectl/queue.db, not meant for git.

# db = ".queuectl/queue.db"
workers = 4                # attempts at a time
# drain_timeout = "30s"    # for running attempts to finish in, after SIGTERM
# busy_timeout = "5s"      # for another program's write
# durability = "full"      # or "normal": a power cut may lose the latest commits
# output_limit = "10 MiB"  # kept of each stream of an attempt

[defaults]                 # for jobs that say nothing else
retries = 3                # attempts after the first
# retry_delay = "1s"       # times backoff_base ** attempts made, at most backoff_max
# backoff_base = 2.0
# backoff_max = "1h"
# jitter = 0.0             # the part of a wait that chance may take off
# timeout = "10m"          # there is none unless you say so
# grace_period = "10s"     # from SIGTERM to SIGKILL
# priority = 0             # larger runs sooner
# shell = ["/bin/sh", "-c"]

[retention]                # runs that a runner deletes, with what they wrote; for ever unless you say so
# completed = "30d"
# dead = "90d"
# cancelled = "30d"
# skipped = "30d"
# keep = 1                 # of each job, whatever their age
"""

MANIFEST_TEXT: Final = """\
version = 1
manifest = "example"       # unique in a queue; this file owns the jobs below

[jobs.hello]
description = "Say hello, once"
command = 'echo "hello from $QUEUECTL_JOB"'
timeout = "10s"
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog="Examples:  queuectl init    queuectl init ~/nightly-jobs")(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to begin.", show_default="here")] = Path(),
) -> None:
    """Write a queuectl.toml and a first manifest; files that are there are left alone."""
    before = queue_of(folder)
    for name, text in ((FILE_NAME, SETTINGS_TEXT), ("manifests/example.toml", MANIFEST_TEXT)):
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_new(file, text)
            note(f"wrote `{visible(str(file))}`")
        except FileExistsError:
            note(f"left `{visible(str(file))}` as it is")
        except OSError as error:
            raise QueuectlError(f"`{visible(str(file))}` cannot be written: {error.strerror}") from error
    tell_of_another_queue(folder, before)
    where = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    note(f"next: `{where}queuectl apply manifests/`, then `queuectl run --drain`")
