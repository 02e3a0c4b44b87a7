"""`queuectl watch`: the queue on a whole terminal, drawn anew every second."""

import os
import signal
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from queuectl import clock, rules
from queuectl.cli.keyboard import Keyboard
from queuectl.cli.options import checked
from queuectl.cli.session import Db, read_settings, store_of
from queuectl.errors import DatabaseBusy, DatabaseUnavailable, UsageError
from queuectl.job import State
from queuectl.settings import Settings

if TYPE_CHECKING:
    from rich.live import Live

_ROWS: Final = 20
_RATE_SPAN: Final = 60.0
_RATE_NEEDS: Final = 5.0
_SHORTEST: Final = 0.1
_REDRAWING: Final = (signal.SIGWINCH, signal.SIGTSTP)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch", epilog="Examples:  queuectl watch    queuectl watch --interval 5s")(watch)


def watch(
    interval: Annotated[
        str, typer.Option(metavar="DURATION", help="How long from one look at the queue to the next.")
    ] = "1s",
    db: Db = None,
) -> None:
    """Watch the queue: states, what runs and for how long, what is next, what died last and why. Leave it with q."""
    seconds = max(checked("--interval", rules.duration, interval), _SHORTEST)
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        raise UsageError(
            "`queuectl watch` draws on a terminal, and stdout is none that can be drawn on",
            hint="`queuectl status` and `queuectl list` print once, with `--json` for programs",
        )
    from rich.console import Console
    from rich.live import Live

    settings = read_settings(db)
    console = Console(highlight=False, markup=False, emoji=False)
    try:
        with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
            stopped_by = _watch(settings, live, keyboard, seconds)
    except OSError:  # the terminal is gone
        raise BrokenPipeError from None
    if stopped_by:
        raise typer.Exit(128 + stopped_by)


def _watch(settings: Settings, live: "Live", keyboard: Keyboard, seconds: float) -> int:
    """Draw until somebody leaves; return the number of the signal that ended it, 0 for a key."""
    from queuectl.cli.frame import Scene, draw

    rate, record = Rate(), None
    while True:
        began, trouble = time.monotonic(), None
        try:
            record = _look(settings)
            rate.see(began, sum(record["runs"][state] for state in State if state.is_final))
            if not settings.db.exists():
                trouble = "there is no queue here yet: `queuectl enqueue` and `queuectl apply` make one"
        except (DatabaseBusy, DatabaseUnavailable) as error:
            trouble = f"{error}; trying again"
        scene = Scene(
            db=str(settings.db), now=clock.now(), record=record, rate=rate.a_minute(), interval=seconds, trouble=trouble
        )
        heard: int | None = signal.SIGWINCH
        while heard in _REDRAWING:  # from what was read: the queue is asked no more often than was said
            if heard == signal.SIGTSTP:
                live.stop()
                keyboard.sleep()
                live.start()
            live.update(draw(scene, width=live.console.width, height=live.console.height), refresh=True)
            heard = keyboard.wait(began + seconds)
        if heard is not None:
            return heard


def _look(settings: Settings) -> dict[str, Any]:
    """Read the queue and let go of it: no snapshot is held while nobody reads."""
    from queuectl.views import outlook_record

    with store_of(settings) as store, store.snapshot():
        return outlook_record(store, now=clock.now(), limit=_ROWS)


class Rate:
    """How many runs end in a minute, seen over the last one."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, at: float, ended: int) -> None:
        """Take note of how many runs were over at a time, in seconds; fewer than before were purged."""
        if self._seen and ended < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at, ended))
        while at - self._seen[0][0] > _RATE_SPAN:
            self._seen.popleft()

    def a_minute(self) -> float | None:
        """Return the rate; None before there is enough to tell."""
        if not self._seen or (span := self._seen[-1][0] - self._seen[0][0]) < _RATE_NEEDS:
            return None
        return (self._seen[-1][1] - self._seen[0][1]) * 60 / span
