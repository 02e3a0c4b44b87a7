"""What every command begins with: the settings, and the queue they lead to."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from queuectl.settings import Settings, load
from queuectl.spool import Spool
from queuectl.store import Store

if TYPE_CHECKING:
    from queuectl.store.archive import Archive

Db = Annotated[
    Path | None,
    typer.Option("--db", metavar="PATH", help="The queue's database.", show_default=False),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=1, max=1_000_000_000, help="Only the newest so many.", show_default="all"),
]
Propagate = Annotated[
    bool, typer.Option("--propagate", help="Exit as the command did: its exit code, 128 + signal, 124 for a time-out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def read_settings(db: Path | None) -> Settings:
    """Return the settings that hold in the current folder."""
    return load(cwd=Path.cwd(), environ=os.environ, db=None if db is None else str(db))


def open_store(db: Path | None) -> Store:
    """Open the queue as it is; one that does not exist reads as empty."""
    return store_of(read_settings(db))


def store_of(settings: Settings, *, create: bool = False) -> Store:
    """Open the queue that the settings lead to; only with ``create`` is one made that does not exist."""
    return Store(settings.db, create=create, busy_timeout=settings.busy_timeout, durability=settings.durability)


def open_archive(db: Path | None) -> "Archive":
    """Open the queue as ``open_store`` does, with what explains and compares."""
    return archive_of(read_settings(db))


def archive_of(settings: Settings) -> "Archive":
    """Open the queue that the settings lead to, with what explains and compares."""
    from queuectl.store.archive import Archive

    return Archive(settings.db, create=False, busy_timeout=settings.busy_timeout, durability=settings.durability)


def spool_of(store: Store) -> Spool:
    """Return the files beside the queue."""
    return Spool(str(store.path))
