"""What `queuectl run` shows of its work: a line for each attempt, and on a terminal what runs now."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Self

from queuectl import clock
from queuectl.cli.output import is_colourful, paint, silence, stamp
from queuectl.durations import format_duration
from queuectl.job import Attempt, Run, State
from queuectl.runner import Tally
from queuectl.views import run_title
from queuectl.visible import visible

if TYPE_CHECKING:
    from rich.table import Table


def attempt_line(run: Run, after: Run, attempt: Attempt, *, in_colour: bool) -> str:
    """Return the line for an attempt that ended: when, what became of the run, which, how often, how long, why."""
    took = format_duration(attempt.duration.total_seconds())
    state = f"{after.state:<9}"
    state = paint(after.state, state) if in_colour else state
    line = f"{stamp(after.updated_at)}  {state}  {run.id}  {visible(run_title(run))}"
    line += f"  attempt {attempt.number}/{run.max_attempts}  {took}"
    if after.reason:
        line += f"  {visible(after.reason)}"
    if after.state is State.FAILED:
        line += f"; next attempt in {format_duration((after.run_at - after.updated_at).total_seconds())}"
    return line


class Lines:
    """One line for each attempt: for pipes, log files and the journal."""

    refresh_seconds: float | None = None

    def __init__(self) -> None:
        self.is_gone = False
        self._in_colour = is_colourful()  # asked once: to ask takes longer than the line
        self._lines: list[str] = []

    def settled(self, run: Run, after: Run, attempt: Attempt) -> None:
        """Note the line; it is printed with those of the same turn."""
        self._lines.append(attempt_line(run, after, attempt, in_colour=self._in_colour) + "\n")

    def troubled(self, error: Exception) -> None:
        """Say what keeps the runner from its work."""
        with suppress(OSError):
            sys.stderr.write(f"warning: {error}; trying again\n")

    def show(self, in_flight: Mapping[str, Run], tally: Tally, *, is_stopping: bool) -> None:  # noqa: ARG002
        """Print the lines of this turn."""
        if not self._lines or self.is_gone:
            return
        try:
            sys.stdout.write("".join(self._lines))
            sys.stdout.flush()
        except OSError:  # a pipe that nobody reads any more, a full disk
            self.is_gone = True
            silence(sys.stdout)  # else what it still holds would be tried again on the way out
        self._lines.clear()


class LiveView:
    """The lines above, what runs now below, refreshed in place: for terminals."""

    refresh_seconds: float | None = 0.25

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.is_gone = False
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._draw(self._live.start)
        return self

    def __exit__(self, *_: object) -> None:
        self._draw(self._live.stop)

    def settled(self, run: Run, after: Run, attempt: Attempt) -> None:
        """Print the line of an attempt above the view."""
        from rich.text import Text

        line = Text.from_ansi(attempt_line(run, after, attempt, in_colour=True))
        self._draw(lambda: self._console.print(line, soft_wrap=True))

    def troubled(self, error: Exception) -> None:
        """Say what keeps the runner from its work."""
        self._draw(lambda: self._console.print(f"warning: {error}; trying again"))

    def show(self, in_flight: Mapping[str, Run], tally: Tally, *, is_stopping: bool) -> None:
        """Draw what runs now."""
        table = _table(in_flight, tally, clock.now(), is_stopping=is_stopping)
        self._draw(lambda: self._live.update(table, refresh=True))

    def _draw(self, draw: Callable[[], None]) -> None:
        """Draw, unless the terminal was closed: that ends the view, never the runner in the middle of its work."""
        if self.is_gone:
            return
        try:
            draw()
        except OSError:
            self.is_gone = True
            silence(sys.stdout, sys.stderr)


def _table(in_flight: Mapping[str, Run], tally: Tally, now: datetime, *, is_stopping: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    summary = f"{tally.completed} completed, {tally.failed} failed attempts, {tally.dead} dead"
    table.add_row(Text(f"{len(in_flight)} running", style="bold"), Text(summary, style="dim"))
    for run in sorted(in_flight.values(), key=lambda run: run.number)[:20]:
        elapsed = (now - run.started_at).total_seconds() if run.started_at else 0
        limit = f" of {format_duration(run.spec.timeout)}" if run.spec.timeout else ""
        table.add_row(
            Text(f"  {run.id}", style="blue"),
            Text(f"{visible(run_title(run))}  attempt {run.attempts}/{run.max_attempts}"),
            Text(f"{format_duration(max(elapsed, 0))}{limit}", style="dim"),
        )
    if is_stopping and in_flight:
        table.add_row(Text(), Text("stopping once these have ended; Ctrl-C ends them now", style="bold yellow"))
    return table
