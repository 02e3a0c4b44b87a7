"""`queuectl enqueue`: ad-hoc runs, one at a time or thousands in one transaction."""

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from queuectl import clock, rules
from queuectl.cli.options import checked
from queuectl.cli.session import Db, Propagate, read_settings, spool_of, store_of
from queuectl.errors import UsageError
from queuectl.frozen import revived
from queuectl.instants import parse_instant
from queuectl.job import NewRun, State
from queuectl.spec import JobSpec
from queuectl.spool import STREAMS, wake_runners
from queuectl.store import Store


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "enqueue",
        epilog="Examples:  queuectl enqueue --priority 5 -- rsync -a src/ dst/    seq 9 | queuectl enqueue -",
        # The first word that is no option of ours begins the command: `queuectl enqueue ls -l`.
        context_settings={"allow_interspersed_args": False},
    )(enqueue)


def enqueue(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...",
            help="A program and its arguments; one word alone is a line for the shell, a JSON object, or - for "
            "one of these a line from standard input.",
            show_default=False,
        ),
    ],
    id: Annotated[str | None, typer.Option("--id", help="The run's id; queuectl gives one if you do not.")] = None,
    priority: Annotated[
        int | None, typer.Option(min=-1000, max=1000, help="Larger runs sooner.", show_default="0")
    ] = None,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="End an attempt after this.")] = None,
    retries: Annotated[int | None, typer.Option(min=0, max=1000, help="Attempts after the first.")] = None,
    run_at: Annotated[str | None, typer.Option(metavar="TIME", help="Not before this time, with its offset.")] = None,
    within: Annotated[str | None, typer.Option("--in", metavar="DURATION", help="Not before so much later.")] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="An environment variable.")
    ] = None,
    cwd: Annotated[str | None, typer.Option(metavar="FOLDER", help="Where to run.", show_default="here")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="A word to find it by.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until it is over; exit with 1 if it was not completed.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="As --wait, and print what it writes instead of its id.")
    ] = False,
    propagate: Propagate = False,
    db: Db = None,
) -> None:
    """Put a run into the queue and print its id."""
    if propagate and not (wait or follow):
        raise UsageError("`--propagate` goes with `--wait` or `--follow`")
    if follow and command == ["-"]:
        raise UsageError("`--follow` is for a single run", hint="`--wait` waits for many")
    if run_at is not None and within is not None:
        raise UsageError("`--run-at` and `--in` say the same in two ways: give one")
    if id is not None and command == ["-"]:
        raise UsageError("`--id` is for a single run", hint='say `{"id": …, "command": …}` on its line')
    settings, now = read_settings(db), clock.now()
    options: dict[str, Any] = {
        "priority": priority,
        "timeout": None if timeout is None else checked("--timeout", rules.time_limit, timeout),
        "retries": retries,
        "env": dict(checked("--env", _variable, each) for each in env or []),
        "tags": tuple(dict.fromkeys(checked("--tag", rules.tag, each) for each in tag or [])),
    }
    defaults = dict(settings.defaults) | {key: value for key, value in options.items() if value not in (None, {}, ())}
    due = now
    if run_at is not None:
        due = checked("--run-at", lambda text: parse_instant(text, zone=None), run_at)
    elif within is not None:
        due = now + timedelta(seconds=checked("--in", rules.duration, within))
    reader = _Reader(defaults, folder=checked("--cwd", rules.path, cwd or "."), due=due)
    if command == ["-"]:
        gc.disable()  # nothing of a batch is garbage, and the process ends with it
        runs = list(reader.lines())
    else:
        runs = [reader.run(command)]
    if id is not None:
        runs = [replace(runs[0], given_id=checked("--id", rules.run_id, id))]
    with store_of(settings, create=True) as store:
        ids = store.enqueue(runs, now=now)
        (sys.stderr if follow else sys.stdout).write("".join(f"{each}\n" for each in ids))
        wake_runners(spool_of(store))
        if wait or follow:
            sys.stdout.flush()
            raise typer.Exit(_awaited(store, ids, follow=follow, propagate=propagate))


def _awaited(store: Store, ids: Sequence[str], *, follow: bool, propagate: bool) -> int:
    """Stay until runs are over, and return the exit code that they stand for."""
    from queuectl.cli.logs import follow_run
    from queuectl.cli.output import note
    from queuectl.cli.wait import ending, left_alone, over, verdict

    runs = [store.run(each) for each in ids]
    with left_alone(store, runs):
        if follow:
            follow_run(store, runs[0], STREAMS, raw=False)
        ended = []
        for run in over(store, runs):
            ended.append(run)
            if run.state is not State.COMPLETED:
                note(ending(run))
    return verdict(store, ended, propagate=propagate)


class _Reader:
    """Turns what was written on the command line or on lines of standard input into runs."""

    def __init__(self, defaults: dict[str, Any], *, folder: str, due: datetime) -> None:
        self._defaults = {**defaults, "cwd": str(Path.cwd() / folder)}
        # What all command lines have in common is made once: a batch has many.
        self._common = vars(JobSpec.from_dict({**self._defaults, "command": ""}))
        self._due = due

    def run(self, words: list[str]) -> NewRun:
        """Return the run that a command line means."""
        if len(words) == 1 and words[0].lstrip().startswith("{"):
            return self._from_json(words[0])
        written = words[0] if len(words) == 1 else tuple(words)
        return self._of(checked("COMMAND", rules.command, written))

    def lines(self) -> Iterator[NewRun]:
        """Yield the runs on standard input; raises UsageError, which names the line, before any is stored."""
        for number, line in enumerate(sys.stdin.buffer, start=1):
            try:
                text = line.decode().strip()
                if text:
                    yield self._from_json(text) if text.startswith("{") else self._of(rules.command(text))
            except UnicodeDecodeError as error:
                raise UsageError(f"line {number} is not UTF-8; nothing was queued") from error
            except (ValueError, UsageError) as error:
                raise UsageError(f"line {number}: {error}; nothing was queued") from error

    def _of(self, command: str | tuple[str, ...]) -> NewRun:
        return NewRun(spec=revived(JobSpec, {**self._common, "command": command}), run_at=self._due)

    def _from_json(self, text: str) -> NewRun:
        from queuectl.adhoc import parse_adhoc

        adhoc = parse_adhoc(text, folder=self._defaults["cwd"], defaults=self._defaults)
        return NewRun(spec=adhoc.spec, run_at=adhoc.run_at or self._due, given_id=adhoc.id)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"must be NAME=VALUE: {rules.shown(text)}")
    rules.environment({rules.env_name(name): rules.text(value)})
    return name, value
