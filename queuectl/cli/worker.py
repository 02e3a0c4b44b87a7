"""`queuectl worker`: runners started, shown and stopped, from any terminal."""

import getpass
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from queuectl import clock, presence, rules
from queuectl.cli.group import Group
from queuectl.cli.options import checked
from queuectl.cli.output import ago, note, print_json, print_table
from queuectl.cli.run import (
    WORKERS_HELP,
    Drain,
    DrainTimeout,
    MetricsListen,
    NoSchedule,
    Once,
    address_of,
    patience_of,
    work,
)
from queuectl.cli.session import Db, Json, open_store, read_settings, spool_of, store_of
from queuectl.durations import format_duration
from queuectl.errors import NotFound, NotInTime, QueuectlError, UsageError
from queuectl.settings import Settings
from queuectl.store import Runner, Store
from queuectl.views import runner_records
from queuectl.visible import visible
from queuectl.wording import counted

_LOOK: Final = 0.05
_SILENT: Final = 30.0
"""After so many seconds without a heartbeat a runner that lives is stopped, or hangs."""

_LARGEST: Final = (1 << 63) - 1  # number that a queue can give
_MARGIN: Final = 15.0
"""What a stop takes beyond the drain time-out: the grace period of attempts, and a little."""

Count = Annotated[int | None, typer.Option("--count", "-w", min=1, max=256, help=WORKERS_HELP, show_default="4")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    worker = typer.Typer(cls=Group, rich_markup_mode=None, help="Runners: started, shown and stopped.")
    worker.command("start", epilog="Examples:  queuectl worker start --count 4    queuectl worker start --detach")(
        start
    )
    worker.command("list", epilog="Examples:  queuectl worker list    queuectl worker list --json")(list_runners)
    worker.command("stop", epilog="Examples:  queuectl worker stop 3    queuectl worker stop --all --timeout 2m")(stop)
    worker.command(
        "unit",
        epilog="Examples:  queuectl worker unit --user > ~/.config/systemd/user/queuectl.service    "
        "queuectl worker unit --launchd",
    )(unit)
    app.add_typer(worker, name="worker")


def start(
    count: Count = None,
    drain: Drain = False,
    once: Once = False,
    drain_timeout: DrainTimeout = None,
    no_schedule: NoSchedule = False,
    metrics_listen: MetricsListen = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="In the background; returns once it is up.")] = False,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --detach: where its output goes.", show_default="beside the queue"),
    ] = None,
    db: Db = None,
) -> None:
    """Start a runner: `queuectl run` by its other name, and with --detach in the background."""
    if log is not None and not detach:
        raise UsageError("`--log` goes with `--detach`: in the foreground output goes to the terminal")
    settings = read_settings(db)
    begin = partial(
        work,
        settings,
        workers=count,
        drain=drain,
        once=once,
        drain_timeout=patience_of(settings, drain_timeout),
        no_schedule=no_schedule,
        metrics_at=address_of(metrics_listen),
    )
    if detach:
        _detached(settings, begin, log)
    else:
        begin()


def _detached(settings: Settings, begin: "partial[None]", log: Path | None) -> None:
    """Have ``begin`` done by a process in the background, and say which runner that is."""
    from queuectl.cli.background import Background, leave_terminal, open_log

    with store_of(settings, create=True) as store:  # what is wrong with the queue is said here, not in a log
        spool = spool_of(store)
        spool.prepare()
    path, descriptor = open_log(log, Path(spool.log("")).parent)
    side = leave_terminal(path, descriptor)
    if isinstance(side, Background):
        begin(announce=side.announce)
        return
    try:
        pid, runner = side.wait()
    except QueuectlError:
        if log is None:  # what it says is in the error
            path.unlink()
        raise
    if log is None:
        path = path.rename(spool.log(runner))
    print_table(("RUNNER", "PID", "LOG"), [(str(runner), str(pid), str(path))])


def list_runners(db: Db = None, json: Json = False) -> None:
    """List the runners: where they are, since when, when they last said so, and what they run now."""
    with open_store(db) as store, store.snapshot():
        records = runner_records(store)
    if json:
        print_json(records)
        return
    now = clock.now()
    print_table(
        ("RUNNER", "STATE", "HOST", "PID", "WORKERS", "SINCE", "HEARTBEAT", "RUNS"),
        [
            (
                str(record["id"]),
                _state(record, now),
                record["host"],
                str(record["pid"]),
                str(record["workers"]),
                ago(record["started_at"], now),
                ago(record["heartbeat_at"], now),
                ", ".join(run["job"] or run["id"] for run in record["runs"]) or "-",
            )
            for record in records
        ],
    )


def stop(
    runners: Annotated[
        list[int] | None, typer.Argument(metavar="RUNNER...", help="The numbers of runners.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every runner that lives now.")] = False,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long to wait.", show_default="drain_timeout and 15s"),
    ] = None,
    db: Db = None,
) -> None:
    """Ask runners to stop as after SIGTERM, and wait until they have: running attempts finish.

    No process is signalled: a runner is called by its number in the queue, which no other ever gets.
    """
    settings = read_settings(db)
    seconds = settings.drain_timeout + _MARGIN if timeout is None else checked("--timeout", rules.duration, timeout)
    with store_of(settings) as store:
        left = _chosen(store, runners, every=every)
        if not left:
            note("no runner to stop")
        _stop(store, left, seconds)


def _chosen(store: Store, numbers: list[int] | None, *, every: bool) -> list[Runner]:
    """Return the runners to stop that live; those that have ended are named and passed over."""
    if every == bool(numbers):
        raise UsageError("name runners, or all of them with `--all`", hint="`queuectl worker list` shows the runners")
    spool = spool_of(store)
    alive = {runner.id: runner for runner in store.running_runners() if presence.is_alive(spool, runner.id)}
    if every:
        return list(alive.values())
    wanted = list(dict.fromkeys(numbers or []))
    if unknown := [f"`{number}`" for number in wanted if number > _LARGEST or not store.has_runner(number)]:
        raise NotFound(f"no runner {', '.join(unknown)}", hint="`queuectl worker list` shows the runners")
    for number in wanted:
        if number not in alive:
            note(f"runner {number}: has ended already")
    return [alive[number] for number in wanted if number in alive]


def _stop(store: Store, runners: list[Runner], seconds: float) -> None:
    spool, deadline = spool_of(store), time.monotonic() + seconds
    unasked = {runner.id for runner in runners}
    left = set(unasked)
    while True:
        unasked -= {number for number in unasked if presence.ask_to_stop(spool, number)}
        ended = {number for number in left if not presence.is_alive(spool, number)}
        for number in sorted(ended):
            note(f"runner {number}: stopped")
        left -= ended
        if not left:
            return
        if time.monotonic() >= deadline:
            raise StillRunning([record for record in runner_records(store) if record["id"] in left], seconds)
        time.sleep(_LOOK)  # noqa: TID251 - a lock tells nobody that it is free


class StillRunning(NotInTime):
    """Runners that were asked to stop have not."""

    def __init__(self, records: Sequence[Mapping[str, Any]], seconds: float) -> None:
        now = clock.now()
        super().__init__(
            f"not stopped within {format_duration(seconds)}: {counted(len(records), 'runner')}"
            + "".join(f"\n  runner {record['id']} {_occupation(record, now)}" for record in records),
            hint="they were asked, and stop when their attempts have ended, at the latest after their `drain_timeout`",
        )


def _occupation(record: Mapping[str, Any], now: datetime) -> str:
    if _is_silent(record, now):
        said, where = ago(record["heartbeat_at"], now), f"pid {record['pid']} on {visible(record['host'])}"
        return f"({where}) last said something {said}: if it was stopped by SIGSTOP, `kill -CONT` lets it go on"
    runs = ", ".join(f"{run['id']} (for {_elapsed(run, now)})" for run in record["runs"])
    return f"runs {runs}" if runs else "is about to end"


def _elapsed(run: Mapping[str, Any], now: datetime) -> str:
    return format_duration(max((now - run["started_at"]).total_seconds(), 0))


def _state(record: Mapping[str, Any], now: datetime) -> str:
    if not record["alive"]:
        return "dead"
    return "silent" if _is_silent(record, now) else "alive"


def _is_silent(record: Mapping[str, Any], now: datetime) -> bool:
    return bool(record["alive"] and (now - record["heartbeat_at"]).total_seconds() > _SILENT)


def unit(
    systemd: Annotated[bool, typer.Option("--systemd", help="For systemd, the default but on macOS.")] = False,
    launchd: Annotated[bool, typer.Option("--launchd", help="For launchd, the default on macOS.")] = False,
    user: Annotated[bool, typer.Option("--user", help="For `systemctl --user`, without root.")] = False,
    count: Count = None,
    db: Db = None,
) -> None:
    """Print a unit that keeps a runner of this queue alive, with the paths of this installation."""
    from queuectl.cli.units import Installation, launchd_plist, systemd_unit

    if systemd and launchd:
        raise UsageError("`--systemd` and `--launchd` contradict each other: give one")
    if launchd and user:
        raise UsageError("`--user` is for systemd: an agent of launchd is a user's already")
    settings = read_settings(db)
    installation = Installation.here(settings, workers=count)
    if launchd or (sys.platform == "darwin" and not systemd):
        sys.stdout.write(launchd_plist(installation))
    else:
        sys.stdout.write(systemd_unit(installation, user=None if user else getpass.getuser()))
