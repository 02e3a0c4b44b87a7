"""Runs and jobs in tables: the same columns in the same order wherever they are listed."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from queuectl import clock
from queuectl.cli.output import ago, note, print_json_list, print_table
from queuectl.job import Run, StoredJob
from queuectl.selector import Selector
from queuectl.store import Store
from queuectl.views import run_record, run_title

_SCREENFUL: Final = 50
_PAGE: Final = 1000

_COLUMNS: Final = ("ID", "STATE", "JOB OR COMMAND", "ATTEMPTS", "DUE", "UPDATED", "REASON")
IN_DLQ: Final = ("ID", "JOB OR COMMAND", "ATTEMPTS", "UPDATED", "REASON")


def print_runs(
    store: Store,
    selector: Selector,
    *,
    limit: int | None = None,
    every: bool = False,
    json: bool = False,
    columns: Sequence[str] = _COLUMNS,
) -> None:
    """Print the selected runs, newest first: the newest ``limit``; without one, on a terminal, the newest few.

    With ``every`` it is all of them there too.
    """
    most = _SCREENFUL if limit is None and not every and not json and sys.stdout.isatty() else limit
    if json:
        print_json_list(run_record(run) for run in _pages(store, selector, most))
        return
    runs = list(_pages(store, selector, None if most is None else most + 1))
    is_cut = most is not None and len(runs) > most
    runs = runs[:most]
    now = clock.now()
    print_table(columns, [[cell for name, cell in _cells(run, now) if name in columns] for run in runs])
    if is_cut and limit is None:
        note(f"the newest {most} are shown: `--limit N` shows more, `--all` all")


def print_jobs(jobs: Sequence[StoredJob]) -> None:
    """Print declared jobs, each with its newest run."""
    now = clock.now()
    print_table(
        ("JOB", "LATEST RUN", "STATE", "UPDATED", "NEXT SLOT", "DESCRIPTION"),
        [
            (
                stored.job.full_name,
                stored.latest.id if stored.latest else "-",
                (stored.latest.state if stored.latest else "-") if stored.job.enabled else "disabled",
                ago(stored.latest.updated_at, now) if stored.latest else "-",
                ago(stored.next_slot, now) if stored.next_slot else "-",
                stored.job.spec.description,
            )
            for stored in jobs
        ],
    )


def _pages(store: Store, selector: Selector, limit: int | None) -> Iterator[Run]:
    """Yield the selected runs, newest first; no statement is left open while somebody reads them."""
    before, left = None, limit
    while True:
        most = _PAGE if left is None else min(left, _PAGE)
        page = store.runs(selector, limit=most, before=before)
        yield from page
        if len(page) < most or left == most:
            return
        before, left = page[-1].number, None if left is None else left - most


def _cells(run: Run, now: datetime) -> list[tuple[str, str]]:
    cells = (
        run.id,
        run.state,
        run_title(run),
        f"{run.attempts}/{run.max_attempts}",
        _due(run, now),
        ago(run.updated_at, now),
        run.reason or "",
    )
    return list(zip(_COLUMNS, cells, strict=True))


def _due(run: Run, now: datetime) -> str:
    if not run.state.is_waiting:
        return "-"
    return "after the run before" if run.is_held else ago(run.run_at, now)
