"""`queuectl sql`: questions to the queue that no verb answers."""

import math
from collections import Counter
from typing import Annotated, Any, Final

import typer

from queuectl import rules
from queuectl.cli.options import checked
from queuectl.cli.output import print_json, print_table
from queuectl.cli.session import Db, Json, read_settings
from queuectl.errors import UsageError
from queuectl.store.archive import Archive

_SECONDS: Final = "30s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "sql",
        epilog="Examples:  queuectl sql 'SELECT * FROM v_dlq'    queuectl sql 'SELECT job, seconds FROM v_runs' --json",
    )(sql)


def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT...", help="One statement that reads.", show_default=False)],
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="How long it may take.")] = _SECONDS,
    db: Db = None,
    json: Json = False,
) -> None:
    """Ask the queue in SQL; the views v_runs, v_attempts, v_jobs and v_dlq are there to stay.

    The database is opened for reading only: nothing can be changed by this.
    """
    seconds = checked("--timeout", rules.time_limit, timeout)
    settings = read_settings(db)
    is_there = settings.db.exists()
    with Archive(settings.db, create=False, read_only=is_there, busy_timeout=settings.busy_timeout) as store:
        answer = store.ask(query, seconds=seconds)
    if json:
        repeated = [name for name, count in Counter(answer.columns).items() if count > 1]
        if repeated:
            raise UsageError(f"two columns are named `{repeated[0]}`", hint="give them names of their own with `AS`")
        print_json([dict(zip(answer.columns, map(_plain, row), strict=True)) for row in answer.rows])
    else:
        print_table(answer.columns, [[_text(value) for value in row] for row in answer.rows])


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes as SQL writes them, and infinity, which JSON does not know, as text."""
    return value if not isinstance(value, bytes | float) or _is_finite(value) else _text(value)


def _is_finite(value: bytes | float) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)
