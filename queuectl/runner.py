"""The runner: takes due runs, has them attempted, stores what became of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from queuectl import failpoint
from queuectl.errors import DatabaseBusy, DatabaseUnavailable, QueuectlError
from queuectl.executors import Workers
from queuectl.hooks import called
from queuectl.job import Attempt, Run, State, Stop
from queuectl.lifecycle import settle
from queuectl.outcome import NEVER_BEGAN, Released
from queuectl.process import Interrupt
from queuectl.rescue import Rescuer
from queuectl.slots import UnreadableSchedule, fire
from queuectl.spool import Spool
from queuectl.store import Settlement, Store

_AHEAD_SECONDS: Final = 0.02  # what is claimed ahead starts within this time
_MOST_AHEAD: Final = 64
_LONGEST_GATHERING: Final = 0.010
_LONG: Final = 1.0  # such runs are not claimed ahead
_TROUBLE_WAIT: Final = 1.0


class Reporter(Protocol):
    """Who is told what the runner does."""

    def settled(self, run: Run, after: Run, attempt: Attempt) -> None:
        """An attempt of ``run`` ended and ``after`` is stored."""

    def troubled(self, error: Exception) -> None:
        """The database cannot be used now; the runner keeps what it knows and tries again."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a runner has settled so far."""

    completed: int = 0
    failed: int = 0
    dead: int = 0
    cancelled: int = 0


class Runner:
    """One runner over one store and its workers; ``round`` is called again and again by one thread.

    ``chance`` draws from [0, 1) for the jitter of retries.
    """

    def __init__(
        self,
        store: Store,
        workers: Workers,
        spool: Spool,
        *,
        id: int,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        reporter: Reporter,
        has_schedule: bool = True,
    ) -> None:
        self.id = id
        self.tally = Tally()
        self.is_stopping = False
        self.owes_hooks = False  # whether hooks were called that wait for a courier
        self.is_rescuing = False  # whether runs of dead runners are left, of which something still lives
        self._store = store
        self._workers = workers
        self._rescuer = Rescuer(store, spool, id)
        self._clock = clock
        self._chance = chance
        self._reporter = reporter
        self._has_schedule = has_schedule
        self._unsettled: list[tuple[Run, Attempt]] = []
        self._told: set[str] = set()  # executions that were told to stop
        self._unreadable: set[int] = set()  # jobs that are due and whose schedule cannot be read
        self._seconds_a_run: float | None = None  # a running mean; None before the first

    def round(self, *, beat: bool = False, rescue: bool = False) -> datetime | None:
        """Do what there is to do now: settle, claim, start, pass on what people asked for.

        With ``beat`` the runner also says that it lives, with ``rescue`` it sees to the runs of those that do not.
        Returns when the next slot or waiting run is due, None if there is none, or no worker free for it.
        """
        # Settle before claiming: a finished run frees the worker we are about to count.
        self._unsettled += self._workers.collect()
        failpoint.reach("round-collected")
        now = self._clock()
        try:
            if beat:
                self._store.beat(self.id, now=now)
                self._store.fold_metrics(now=now)
            if rescue:
                known = {run.execution for run, _ in self._unsettled}  # while nothing can be stored
                self._unsettled += [each for each in self._rescuer.abandoned() if each[0].execution not in known]
                now = self._clock()  # it takes time to end what a dead runner left, and a retry waits from its end
            with self._store.transaction():
                stops = self._store.stops(self.id)
                settled = self._store.settle(
                    [self._decided(run, attempt, stops, now) for run, attempt in self._unsettled]
                )
                failpoint.reach("settle-before-claim", DatabaseUnavailable)
                if self._has_schedule and not self.is_stopping:
                    self._fire_slots(now)
                claimed = self._store.claim(limit=self._room(), runner=self.id, now=now)
                failpoint.reach("claim-before-commit", DatabaseUnavailable)
        except (DatabaseBusy, DatabaseUnavailable) as error:
            self._reporter.troubled(error)
            return now + timedelta(seconds=_TROUBLE_WAIT)
        failpoint.reach("claim-committed")
        self._workers.settled()
        if self._told:
            self._told -= {run.execution for run, _ in self._unsettled}
        self._unsettled.clear()
        self._workers.start(claimed)
        failpoint.reach("claim-sent")
        for run, after, attempt in settled:
            failpoint.reach("settle-before-report")
            self.owes_hooks = self.owes_hooks or called(after) is not None
            self._account(run, after, attempt)
        released = (attempt.outcome for _, _, attempt in settled if isinstance(attempt.outcome, Released))
        for trouble in {outcome.trouble for outcome in released} - {None}:
            self._reporter.troubled(QueuectlError(f"no command can be started: {trouble}"))
        for run in [run for run in self._workers.in_flight.values() if stops.get(run.number) is Stop.NOW]:
            self._interrupt(run, Interrupt.CANCEL)
        return self._look_ahead(now, bury=rescue)

    def _look_ahead(self, now: datetime, *, bury: bool) -> datetime | None:
        """Bury dead runners if it is time, and return when to call again; what was claimed is safe by now."""
        try:
            if bury:
                self.is_rescuing = not self._rescuer.bury(now=now)
                self.owes_hooks = self.owes_hooks or self._has_due_hook(now)
            next_slot = self._store.next_slot() if self._has_schedule and not self.is_stopping else None
            if next_slot is not None and self._unreadable:  # it may be one of theirs, for ever
                next_slot = max(next_slot, now + timedelta(seconds=_TROUBLE_WAIT))
            times = [next_slot, self._store.next_due() if self._room() else None]
            return min((time for time in times if time is not None), default=None)
        except (DatabaseBusy, DatabaseUnavailable) as error:
            self._reporter.troubled(error)
            return now + timedelta(seconds=_TROUBLE_WAIT)

    def gathering(self) -> float:
        """Return for how many seconds answers may gather before the next round, so that they share its commit.

        No worker idles meanwhile: it is half of the time for which they have runs that were claimed ahead.
        """
        ahead = len(self._workers.in_flight) - self._workers.size
        return max(min(ahead * (self._seconds_a_run or 0.0) / self._workers.size / 2, _LONGEST_GATHERING), 0.0)

    def is_idle(self) -> bool:
        """Whether nothing is under way and everything is stored."""
        return not self._workers.in_flight and not self._unsettled

    def has_due(self) -> bool:
        """Whether a run could be claimed now."""
        due = self._store.next_due()
        return due is not None and due <= self._clock()

    def has_retries(self) -> bool:
        """Whether a run waits for a retry, now or later."""
        return self._store.counts()[State.FAILED] > 0

    def has_hooks(self) -> bool:
        """Whether hooks are not delivered yet, due or to be tried again."""
        return self._store.next_hook() is not None

    def _has_due_hook(self, now: datetime) -> bool:
        due = self._store.next_hook()
        return due is not None and due <= now

    def stop(self) -> None:
        """Claim nothing more; what has not begun goes back to the queue."""
        self.is_stopping = True
        self._workers.recall()

    def release(self, interrupt: Interrupt) -> None:
        """End what is under way and give it back: RELEASE within its grace period, KILL at once."""
        for run in list(self._workers.in_flight.values()):
            self._workers.interrupt(run, interrupt)

    def _fire_slots(self, now: datetime) -> None:
        """Account for the slots that have come, each exactly once whoever else ticks."""
        due = self._store.due_jobs(now=now)
        pauses = self._store.pauses(since=min(job.next_slot for job in due)) if due else []
        unreadable = set()
        for each in due:
            try:
                firing = fire(each.job, each.next_slot, now, is_unfinished=each.is_unfinished, pauses=pauses)
            except UnreadableSchedule as error:  # of one job: the others are due all the same
                if each.id not in self._unreadable:
                    self._reporter.troubled(QueuectlError(f"`{each.job.full_name}`: {error}; {error.hint}"))
                unreadable.add(each.id)
                continue
            caught_up = firing.caught_up
            folded = None
            if caught_up.first_folded and caught_up.last_folded:
                folded = (caught_up.first_folded, caught_up.last_folded, caught_up.folded)
            after = caught_up.next_slot
            self._store.fire(each, firing.runs, after=after, replaces=firing.replaces, folded=folded, now=now)
        self._unreadable = unreadable

    def _decided(self, run: Run, attempt: Attempt, stops: dict[int, Stop], now: datetime) -> Settlement:
        claimed = replace(run, stop=stops[run.number]) if run.number in stops else run
        return claimed, settle(claimed, attempt.outcome, now=now, jitter=self._chance()), attempt

    def _account(self, run: Run, after: Run, attempt: Attempt) -> None:
        match after.state:
            case State.COMPLETED:
                self.tally.completed += 1
            case State.FAILED:
                self.tally.failed += 1
            case State.DEAD:
                self.tally.dead += 1
            case State.CANCELLED:
                self.tally.cancelled += 1
        if attempt.outcome == NEVER_BEGAN and not self.is_stopping:
            # It came back from the channel: the workers are busier than we thought. Claim nothing ahead for now.
            self._seconds_a_run = max(self._seconds_a_run or 0.0, _LONG)
            return
        seconds = attempt.duration.total_seconds()
        before = seconds if self._seconds_a_run is None else self._seconds_a_run
        self._seconds_a_run = before + (seconds - before) / 16
        self._reporter.settled(run, after, attempt)

    def _room(self) -> int:
        """Return how many runs to claim: for the idle workers, and what they will have started very soon."""
        if self.is_stopping:
            return 0
        workers = self._workers.size
        seconds = _LONG if self._seconds_a_run is None else max(self._seconds_a_run, 1e-6)
        ahead = min(_MOST_AHEAD, int(workers * _AHEAD_SECONDS / seconds))
        return max(workers + ahead - len(self._workers.in_flight), 0)

    def _interrupt(self, run: Run, interrupt: Interrupt) -> None:
        if run.execution not in self._told:
            self._told.add(run.execution)
            self._workers.interrupt(run, interrupt)
