"""Which queue a folder leads to, asked without opening any."""

import os
from contextlib import suppress
from pathlib import Path

from queuectl.cli.output import note
from queuectl.errors import QueuectlError
from queuectl.settings import load
from queuectl.visible import visible


def queue_of(folder: Path) -> Path | None:
    """Return the queue that commands in a folder lead to; None if its settings are not valid."""
    with suppress(QueuectlError):
        return load(cwd=folder.absolute(), environ=os.environ).db
    return None


def tell_of_another_queue(folder: Path, before: Path | None) -> None:
    """Say so if commands in a folder lead to another queue than ``before``, which stays where it is."""
    after = queue_of(folder)
    if before is not None and after is not None and before != after and before.exists():
        note(f"from here on the queue is `{visible(str(after))}`; until now it was `{visible(str(before))}`")
