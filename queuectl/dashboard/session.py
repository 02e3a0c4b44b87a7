"""Which queue the dashboard shows, and what may be done with it: set once for the process, read by every page."""

import os
from dataclasses import dataclass
from pathlib import Path

from queuectl.errors import QueuectlError
from queuectl.settings import Settings, load
from queuectl.store.archive import Archive

_PATIENCE = 1.0  # seconds: who looks would rather be told that the queue is busy than wait


@dataclass(frozen=True, slots=True)
class Shown:
    """The queue that is shown, and whether a person may act on it here."""

    settings: Settings
    allows_actions: bool = False

    def reading(self) -> Archive:
        """Open the queue so that nothing can be written; whoever opens it closes it at once."""
        return Archive(self.settings.db, read_only=True, busy_timeout=min(self.settings.busy_timeout, _PATIENCE))

    def writing(self) -> Archive:
        """Open the queue to do what a person asks for; raises QueuectlError if that is not allowed here."""
        if not self.allows_actions:
            raise QueuectlError("nothing may be done here", hint="start the dashboard with `--allow-actions`")
        settings = self.settings
        return Archive(settings.db, create=False, busy_timeout=settings.busy_timeout, durability=settings.durability)


_shown: Shown | None = None


def show(shown: Shown) -> None:
    """Let all pages of this process show this queue."""
    global _shown
    _shown = shown


def shown() -> Shown:
    """Return the queue that is shown: without a word of the command, the one of this folder, for looking only."""
    global _shown
    if _shown is None:
        _shown = Shown(load(cwd=Path.cwd(), environ=os.environ))
    return _shown
