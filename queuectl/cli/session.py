"""What every command begins with: the settings, and the queue they lead to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from queuectl.settings import Settings, load
from queuectl.store import Store

Db = Annotated[
    Path | None,
    typer.Option("--db", metavar="PATH", help="The queue's database.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def read_settings(db: Path | None) -> Settings:
    """Return the settings that hold in the current folder."""
    return load(cwd=Path.cwd(), environ=os.environ, db=None if db is None else str(db))


def open_store(db: Path | None, *, create: bool = False) -> Store:
    """Open the queue; unless it is to be written to, one that does not exist reads as empty."""
    settings = read_settings(db)
    return Store(settings.db, create=create, busy_timeout=settings.busy_timeout)
