"""How queuectl speaks: data on stdout, everything else on stderr, nothing hostile let through."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

from queuectl.durations import ago as ago  # noqa: PLC0414 - a part of how the command line speaks
from queuectl.errors import QueuectlError
from queuectl.instants import format_instant
from queuectl.visible import visible

_COLOURS = {
    "pending": "2",
    "processing": "34",
    "completed": "32",
    "failed": "33",
    "dead": "31",
    "cancelled": "35",
    "skipped": "2",
    "error": "1;31",
    "warning": "1;33",
    "create": "32",
    "update": "33",
    "remove": "31",
    "rename": "36",
    "dim": "2",
    "bold": "1",
}


STYLES = {"processing": "blue", "completed": "green", "failed": "yellow", "dead": "red", "cancelled": "magenta"}


_LINES = "\n\t"


def say(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print a line that is not data; what was said before it comes before it, wherever both go."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def print_json(document: object) -> None:
    """Print exactly one JSON document."""
    sys.stdout.write(_to_json(document) + "\n")


def _to_json(document: object) -> str:
    """Return a document as JSON; what would act on a terminal is written as JSON can also write it."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=_plain)
    return visible(text, keep="\n", json=True)


def print_json_list(records: Iterable[object]) -> None:
    """Print one JSON document, a list, as ``print_json`` does, without holding all of it."""
    before = "["
    for record in records:
        text = _to_json(record)
        sys.stdout.write(before + "\n  " + text.replace("\n", "\n  "))
        before = ","
    sys.stdout.write("[]\n" if before == "[" else "\n]\n")


def print_error(error: QueuectlError) -> None:
    """Print an error and what to do about it; if that is not possible either, the exit code has to say it."""
    try:
        sys.stdout.flush()
    except OSError:  # a full disk: what is left to be said there would be tried again on the way out
        silence(sys.stdout)
    text = error.detailed() if sys.stderr.isatty() else str(error)
    try:
        note(f"{paint('error', 'error:', sys.stderr)} {visible(text, keep=_LINES)}")
        if error.hint:
            note(f"\nhint: {visible(error.hint, keep=_LINES)}")
    except OSError:
        silence(sys.stderr)


def silence(*streams: TextIO) -> None:
    """Say nothing more to whoever reads these: they are gone, or full, and nothing may fail on the way out."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nothing, stream.fileno())


def paint(colour: str, text: str, stream: TextIO | None = None) -> str:
    """Return ``text`` in the colour of a word, if the stream is a terminal that wants colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if is_colourful(stream) else text


def is_colourful(stream: TextIO | None = None) -> bool:
    """Whether a stream, stdout by default, is a terminal that wants colours."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns: on a terminal as wide as it is, elsewhere as wide as they need."""
    columns = [visible(column) for column in columns]
    cells = [[visible(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich_table(columns, cells)
        return
    table = [list(columns), *cells]
    widths = [max(len(row[index]) for row in table) for index in range(len(columns))]
    for row in table:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console(highlight=False, markup=False, emoji=False).print(table)


def stamp(instant: datetime | None) -> str:
    """Return an instant in UTC to the second, a dash for none."""
    return format_instant(instant) if instant else "-"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise TypeError(f"not for JSON: {value!r}")
