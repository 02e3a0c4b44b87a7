"""The runner as a process: it registers, rings, waits, listens to signals, and leaves no trace."""

import os
import random
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from queuectl import clock, failpoint
from queuectl.clockwork import Clockwork
from queuectl.dispatch import Dispatch
from queuectl.errors import DatabaseBusy, DatabaseTooNew, DatabaseUnavailable, QueuectlError, UsageError
from queuectl.job import Run
from queuectl.line import files_needed
from queuectl.pool import LocalPool
from queuectl.presence import Presence, forget
from queuectl.process import Interrupt
from queuectl.retention import FOR_EVER, Retention, Sweeper
from queuectl.runner import Reporter, Runner, Tally
from queuectl.spool import DEATH, STOP, Spool
from queuectl.store import Store

_LOOK: Final = timedelta(seconds=4)  # at the clock, and for runners that died with all their workers; else those call
_BEAT: Final = 3 * _LOOK  # together with a look: to wake up is what costs
_SWEEP: Final = timedelta(hours=1)  # what is older than it is to be kept goes
_RESCUE_PAUSE: Final = 0.1
_HOOK_PATIENCE: Final = 30.0  # for hooks that are not delivered when there is nothing else to do
_HOOK_PAUSE: Final = 0.05
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Until(StrEnum):
    """When a runner ends by itself."""

    STOPPED = "stopped"  # never: somebody stops it
    DRAINED = "drained"  # when nothing is due or waiting for a retry
    DONE = "done"  # when nothing is due now


class Audience(Reporter, Protocol):
    """Who watches the runner: told of every attempt, and shown what runs once a turn."""

    is_gone: bool
    """Whether nobody listens any more: the runner then stops as after SIGTERM."""

    refresh_seconds: float | None
    """How often it wants to be shown what runs, even if nothing happens."""

    def show(self, in_flight: Mapping[str, Run], tally: Tally, *, is_stopping: bool) -> None:
        """See what is under way, and whether it is the last."""


class MainLoop:
    """One runner on this machine, from its registration to its end."""

    def __init__(
        self,
        store: Store,
        audience: Audience,
        *,
        workers: int,
        output_limit: int,
        drain_timeout: float,
        has_schedule: bool = True,
        retention: Retention = FOR_EVER,
        announce: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``announce`` is told the runner's number once it is registered, heeds signals and has its workers."""
        self._store = store
        self._audience = audience
        self._size = workers
        self._output_limit = output_limit
        self._drain_timeout = drain_timeout
        self._has_schedule = has_schedule
        self._announce = announce
        self._sweeper = Sweeper(store, retention)
        self._signals: list[int] = []
        self._is_asked_to_stop = False
        self._outdated_by: DatabaseTooNew | None = None
        self._data_version: int | None = None
        self._heeded = 0
        self._release_at: float | None = None
        self._hooks_until: float | None = None

    def run(self, until: Until) -> tuple[Tally, int | None]:
        """Work until it is time to end; return what was done, and the signal that stopped it at once, if one did."""
        with (
            self._started() as (runner, pool, presence, clockwork, selector),
            Dispatch(self._store, runner.id) as dispatch,
        ):
            while True:
                heard = presence.silence()
                self._is_asked_to_stop |= STOP in heard
                due = clockwork.due()
                if "beat" in due:
                    self._store.check_in_place()
                if "look" in due:
                    self._outdated_by = self._newer_schema()
                rescue = DEATH in heard or runner.is_rescuing or "look" in due
                next_due = runner.round(beat="beat" in due, rescue=rescue)
                self._audience.show(pool.in_flight, runner.tally, is_stopping=runner.is_stopping)
                self._heed(runner)
                self._see_to_hooks(runner, dispatch, is_look="look" in due)
                self._sweep(due, runner)
                if runner.is_idle() and (runner.is_stopping or self._is_over(runner, until)):
                    break
                _wait(selector, self._patience(next_due, runner, pool, clockwork))
                if pause := runner.gathering():
                    time.sleep(pause)  # noqa: TID251 - answers that come meanwhile share one commit
            # Only here: a runner that ends by an exception has not stopped in the sense that nothing is left to rescue.
            with suppress(DatabaseBusy, DatabaseUnavailable):
                forget(Spool(str(self._store.path)), runner.id)  # first: else nobody would ever do it for us
                failpoint.reach("stop-before-record")
                self._store.stop_runner(runner.id, now=clock.now())
                failpoint.reach("stop-recorded")
            stopped_by = self._signals[-1] if len(self._signals) > 1 else None
            dispatch.close(at_once=stopped_by is not None)
            if self._outdated_by is not None:
                raise self._outdated_by
            return runner.tally, stopped_by

    def _see_to_hooks(self, runner: Runner, dispatch: Dispatch, *, is_look: bool) -> None:
        """Have hooks delivered; a look finds what no courier knows of."""
        if is_look:
            with suppress(DatabaseBusy, DatabaseUnavailable):
                dispatch.tend(now=clock.now())
        if runner.owes_hooks:
            runner.owes_hooks = False
            try:
                dispatch.send()
            except OSError as error:  # too many processes, a Python that was replaced: the next look tries again
                self._audience.troubled(QueuectlError(f"no hook can be delivered: {error.strerror}"))

    def _newer_schema(self) -> DatabaseTooNew | None:
        """Return why this program should work on the queue no more: another one has migrated it."""
        try:
            if (seen := self._store.data_version()) != self._data_version:  # else nobody has done anything
                self._store.schema_version()
                self._data_version = seen
        except DatabaseTooNew as error:
            return error
        except (DatabaseBusy, DatabaseUnavailable):  # the next round says so
            pass
        return None

    @contextmanager
    def _started(
        self,
    ) -> Iterator[tuple[Runner, LocalPool, Presence, Clockwork, selectors.BaseSelector]]:
        _refuse_few_files(self._size)
        spool = Spool(str(self._store.path))
        spool.prepare()
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            with self._store.transaction():  # nobody may find the runner without the lock that says it lives
                runner_id = self._store.register_runner(
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    workers=self._size,
                    has_schedule=self._has_schedule,
                    now=clock.now(),
                )
                failpoint.reach("register-before-lock")
                presence = Presence(spool, runner_id)
                stack.callback(presence.close)
                failpoint.reach("register-before-commit")
            failpoint.reach("registered")
            selector.register(presence, selectors.EVENT_READ)
            stack.enter_context(self._listening(presence))
            pool = LocalPool(self._size, spool, selector, runner=runner_id, output_limit=self._output_limit)
            stack.callback(pool.close)
            clockwork = Clockwork()
            stack.callback(clockwork.close)
            clockwork.every(_BEAT, "beat")
            clockwork.every(_LOOK, "look")
            clockwork.every(_SWEEP, "sweep")
            runner = Runner(
                self._store,
                pool,
                spool,
                id=runner_id,
                clock=clock.now,
                chance=random.random,
                reporter=self._audience,
                has_schedule=self._has_schedule,
            )
            self._announce(runner_id)
            yield runner, pool, presence, clockwork, selector

    @contextmanager
    def _listening(self, presence: Presence) -> Iterator[None]:
        heard = [sig for sig in _SIGNALS if signal.getsignal(sig) is not signal.SIG_IGN]  # nohup ignores SIGHUP
        before = {sig: signal.signal(sig, lambda sig, _: self._signals.append(sig)) for sig in heard}
        before_wakeup = signal.set_wakeup_fd(presence.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before_wakeup)
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _heed(self, runner: Runner) -> None:
        """Stop if asked to: first gently, then within the grace period, then at once."""
        is_asked = self._signals or self._is_asked_to_stop or self._audience.is_gone or self._outdated_by
        if is_asked and not runner.is_stopping:
            runner.stop()
            self._release_at = time.monotonic() + self._drain_timeout
        if len(self._signals) > max(self._heeded, 1):
            runner.release(Interrupt.KILL)
            self._release_at = None
        self._heeded = len(self._signals)
        if self._release_at is not None and time.monotonic() >= self._release_at:
            runner.release(Interrupt.RELEASE)
            self._release_at = None

    def _sweep(self, due: set[str], runner: Runner) -> None:
        """Delete a little of what is not kept any longer, if it is time; not on the way out, when nobody may wait."""
        if runner.is_stopping:
            return
        try:
            self._sweeper.turn(begins="sweep" in due, now=clock.now())
        except (DatabaseBusy, DatabaseUnavailable, OSError) as error:  # a file that cannot be removed, for one
            self._audience.troubled(error)

    def _is_over(self, runner: Runner, until: Until) -> bool:
        if until is Until.STOPPED or runner.is_rescuing:
            return False
        try:
            if runner.has_due() or (until is Until.DRAINED and runner.has_retries()):
                self._hooks_until = None
                return False
            return not self._waits_for_hooks(runner)
        except (DatabaseBusy, DatabaseUnavailable):  # the next round says so
            return False

    def _waits_for_hooks(self, runner: Runner) -> bool:
        """Whether to wait for hooks, now that there is nothing else to do; not for longer than a while."""
        if not runner.has_hooks():
            return False
        if self._hooks_until is None:
            self._hooks_until = time.monotonic() + _HOOK_PATIENCE
        return time.monotonic() < self._hooks_until

    def _patience(self, next_due: datetime | None, runner: Runner, pool: LocalPool, clockwork: Clockwork) -> float:
        """Return for how many seconds to wait if nothing happens."""
        waits = [clockwork.patience()]  # which bounds how late a jump of the wall clock is noticed
        if runner.is_rescuing:
            waits.append(_RESCUE_PAUSE)
        if next_due is not None:
            waits.append((next_due - clock.now()).total_seconds())
        if self._release_at is not None:
            waits.append(self._release_at - time.monotonic())
        if self._hooks_until is not None:
            waits.append(_HOOK_PAUSE)
        others = (self._sweeper.patience(), pool.patience(), self._audience.refresh_seconds)
        waits += [wait for wait in others if wait is not None]
        return max(min(waits), 0)


def _wait(selector: selectors.BaseSelector, seconds: float) -> None:
    """Wait for something to happen, at most so long; a selector alone would wait for up to a millisecond more."""
    milliseconds = int(seconds * 1000)
    if seconds > 0 and not milliseconds:
        time.sleep(seconds)  # noqa: TID251 - too short to miss anything
    else:
        selector.select(max(milliseconds - 0.5, 0) / 1000)  # it takes the next whole one


def _refuse_few_files(workers: int) -> None:
    """Raise UsageError if so many workers cannot be had: better now than one by one, when the first has work."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < files_needed(workers):
        raise UsageError(
            f"{workers} workers need up to {files_needed(workers)} open files; this process may have {allowed}",
            hint="raise `ulimit -n`, or take fewer `--workers`",
        )
