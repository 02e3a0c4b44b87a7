"""`queuectl wait`, and what `enqueue --wait` has in common with it: waiting until runs are over.

Whoever ends a run, the runner, a rescuer or a person, commits that; the number that SQLite changes with every commit
is asked for, and the runs only if it has changed.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from queuectl import presence, rules
from queuectl.cli.options import checked
from queuectl.cli.output import note, print_json, say
from queuectl.cli.selecting import selecting
from queuectl.cli.session import Db, Json, Propagate, open_store, spool_of
from queuectl.durations import format_duration
from queuectl.errors import NotInTime, RunPurged, UsageError
from queuectl.job import Attempt, Run, State
from queuectl.outcome import Exited, Signalled, TimedOut
from queuectl.selector import UNFINISHED, Selector
from queuectl.store import Store
from queuectl.views import run_record
from queuectl.visible import visible

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.05
_DUTY: Final = 20  # a look at very many runs may take a twentieth of the time
_CHECK_IN_PLACE: Final = 1.0
_NAMED: Final = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "wait", epilog="Examples:  queuectl wait r12 r13 --propagate    queuectl wait --job nightly/report --timeout 5m"
    )(selecting(wait))


def wait(
    selector: Selector,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long to wait.", show_default="for ever")
    ] = None,
    first: Annotated[bool, typer.Option("--any", help="Until one of them is over instead of all.")] = False,
    propagate: Propagate = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Wait until runs are over, and print how each of them ended.

    Of a selection it waits for those that are not over. Exits with 0 if all of them were
    completed and with 1 if not, with 124 if --timeout came first.
    """
    seconds = None if timeout is None else checked("--timeout", rules.duration, timeout)
    with open_store(db) as store:
        awaited = _awaited(store, selector)
        ended = []
        with left_alone(store, awaited):
            for run in over(store, awaited, seconds=seconds):
                ended.append(run)
                if not json:
                    say(ending(run))
                    sys.stdout.flush()
                if first:
                    break
        if json:
            print_json([run_record(run) for run in ended])
        raise typer.Exit(verdict(store, ended, propagate=propagate))


def _awaited(store: Store, selector: Selector) -> list[Run]:
    """Return the runs to wait for, in the order in which they are named, else oldest first."""
    if selector.ids:
        named = {name: place for place, name in enumerate(selector.ids)}  # or by the number of a run that has a name
        return sorted(store.runs(selector), key=lambda run: named.get(run.id, named.get(f"r{run.number}", 0)))
    unfinished = selector.among(UNFINISHED)
    if unfinished is None:
        raise UsageError("runs in these states are over already: there is nothing to wait for")
    found = store.runs(unfinished)[::-1]
    if not found:
        note("no run to wait for")
    return found


def over(store: Store, runs: Sequence[Run], *, seconds: float | None = None) -> Iterator[Run]:
    """Yield runs as they reach a final state; raises NotInTime when the time is over, RunPurged if one went."""
    left = {run.number: run for run in runs}
    began = checked_at = time.monotonic()
    seen, pause = None, _FIRST_PAUSE
    while left:
        looked, ended = time.monotonic(), []
        if (version := store.data_version()) != seen:
            seen = version
            for number, state in store.states(left).items():
                if state is None:
                    raise RunPurged(left[number].id)
                if state.is_final:
                    ended.append(store.run(left.pop(number).id))
        took = time.monotonic() - looked
        yield from ended
        now = time.monotonic()
        if not left:
            return
        if seconds is not None and now - began >= seconds:
            raise NotInTime(f"not over within {format_duration(seconds)}: {_names(list(left.values()))}")
        if now - checked_at >= _CHECK_IN_PLACE:
            store.check_in_place()
            checked_at = now
        pause = max(min(pause * 1.2, _LONGEST_PAUSE), took * _DUTY)
        rest = pause if seconds is None else min(pause, began + seconds - now)
        time.sleep(rest)  # noqa: TID251 - the database tells nobody that it has changed


def verdict(store: Store, runs: Sequence[Run], *, propagate: bool) -> int:
    """Return the exit code that runs which are over stand for: that of the first that was not completed."""
    if not propagate:
        return int(any(run.state is not State.COMPLETED for run in runs))
    codes = (exit_code(run, store.attempts(run)) for run in runs)
    return next((code for code in codes if code), 0)


def exit_code(run: Run, attempts: Sequence[Attempt]) -> int:
    """Return the exit code of a run that is over, as a shell would; 1 if its command has none, or failed with 0."""
    if run.state not in (State.COMPLETED, State.DEAD) or not attempts:
        return 1
    match attempts[-1].outcome:
        case Exited(code):
            return code or int(run.state is State.DEAD)
        case Signalled(signal):
            return 128 + signal
        case TimedOut():
            return NotInTime.exit_code
        case _:
            return 1


def ending(run: Run) -> str:
    """Return how a run ended, in a line."""
    return visible(f"{run.id}  {run.state}  {run.reason or ''}").rstrip()


@contextmanager
def left_alone(store: Store, runs: Sequence[Run]) -> Iterator[None]:
    """Wait inside for runs: say if nobody is there to run them, and on Ctrl-C that they go on all the same."""
    try:
        spool = spool_of(store)
        is_waiting = any(not run.state.is_final for run in runs)
        if is_waiting and not any(presence.is_alive(spool, runner.id) for runner in store.running_runners()):
            note("no runner is alive: nothing runs until one is started")
        yield
    except KeyboardInterrupt:
        names = " ".join(run.id for run in runs) if len(runs) <= _NAMED else "..."
        note(f"\nleft as it is: {_names(runs)}; `queuectl wait {names}` waits again")
        raise


def _names(runs: Sequence[Run]) -> str:
    if len(runs) > _NAMED:
        return f"{len(runs):,} runs"
    return ", ".join(f"`{run.id}`" for run in runs)
