"""The overview: whether all is well, what is going on, and what comes next."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from statistics import median
from typing import Final

from queuectl import presence
from queuectl.dashboard.words import quoted
from queuectl.durations import ago, format_duration
from queuectl.job import HELD, Run, State
from queuectl.pause import Pause
from queuectl.selector import Selector
from queuectl.spool import Spool
from queuectl.store import Runner
from queuectl.store.archive import Archive, Result
from queuectl.views import run_title
from queuectl.wording import counted

MOST_DUE: Final = 10_000
"""Due runs are counted up to here."""

_SHOWN: Final = 20
_LATE: Final = timedelta(seconds=60)
_NEW: Final = timedelta(hours=24)
_SLOW: Final = 3  # times what is usual
_FEW: Final = 5
_LATELY: Final = timedelta(hours=1)
_STEP: Final = timedelta(minutes=5)


class Weight(IntEnum):
    """How much something matters, the worst first."""

    FAULT = 0
    WARNING = 1
    NOTE = 2


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a person should know, in Markdown that shows foreign text as text, and the page that has more."""

    weight: Weight
    sentence: str
    page: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that is being executed, how long its attempt has taken, and how long its job takes as a rule."""

    run: Run
    elapsed: float
    usual: float | None

    @property
    def is_slow(self) -> bool:
        """Whether it has taken much longer than is usual."""
        return self.usual is not None and self.elapsed > max(_SLOW * self.usual, 10.0)


@dataclass(frozen=True, slots=True)
class Coming:
    """A slot that is to come, and whether a pause lets it pass."""

    job: str
    at: datetime
    is_paused: bool


@dataclass(frozen=True, slots=True)
class LiveRunner:
    """A runner, and whether it lives."""

    runner: Runner
    is_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the page.

    ``due`` counts up to MOST_DUE; ``lately`` how often something came into each state within the last hour.
    """

    now: datetime
    counts: Mapping[State, int]
    lately: Mapping[State, int]
    has_jobs: bool
    due: int
    oldest_due: datetime | None
    runners: tuple[LiveRunner, ...]
    under_way: tuple[UnderWay, ...]
    coming: tuple[Coming, ...]
    dead: tuple[Run, ...]
    remarks: tuple[Remark, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever declared or queued."""
        return not self.has_jobs and not any(self.counts.values())

    @property
    def busy(self) -> int:
        """How many attempts are under way."""
        return self.counts[State.PROCESSING]

    @property
    def workers(self) -> int:
        """How many attempts the living runners can make at a time."""
        return sum(each.runner.workers for each in self.runners if each.is_alive)


def overview(store: Archive, now: datetime) -> Overview:
    """Return what the overview shows."""
    counts = store.counts()
    next_due = store.next_due()
    oldest_due = None if next_due in (None, HELD) or next_due > now else next_due
    runners = live_runners(store)
    under_way = tuple(UnderWay(run, elapsed(run, now), _usual_of(store, run)) for run in store.under_way(limit=_SHOWN))
    slots = store.next_slots(limit=_FEW)
    dead = tuple(store.search(Selector(states=(State.DEAD,)), limit=_FEW, seconds=0.05).runs)
    pauses = [pause for pause in store.pauses(since=now) if pause.begins_at <= now]
    due = store.due_count(now=now, limit=MOST_DUE + 1) if oldest_due else 0
    return Overview(
        now=now,
        counts=counts,
        lately=_lately(store, now),
        has_jobs=bool(slots) or bool(store.job_names()),
        due=due,
        oldest_due=oldest_due,
        runners=runners,
        under_way=under_way,
        coming=tuple(Coming(job, at, any(pause.covers(job, at) for pause in pauses)) for job, at in slots),
        dead=dead,
        remarks=tuple(
            sorted(
                (
                    *_about_runners(runners, due, oldest_due, slots[0][1] if slots else None, now),
                    *_about_runs(under_way),
                    *_about_dead(counts[State.DEAD], dead, now),
                    *_about_pauses(pauses),
                ),
                key=lambda remark: remark.weight,
            )
        ),
    )


def _lately(store: Archive, now: datetime) -> Mapping[State, int]:
    found: Counter[State] = Counter()
    for each in store.metric_series(since=now - _LATELY, step=_STEP):
        found[each.state] += each.measure.count
    return found


def live_runners(store: Archive) -> tuple[LiveRunner, ...]:
    """Return the runners that have not said that they stopped, and whether they live."""
    spool = Spool(str(store.path))
    return tuple(LiveRunner(runner, presence.is_alive(spool, runner.id)) for runner in store.running_runners())


def elapsed(run: Run, now: datetime) -> float:
    """Return for how many seconds the present attempt of a run has been going on."""
    return max((now - run.started_at).total_seconds(), 0.0) if run.started_at else 0.0


def _usual_of(store: Archive, run: Run) -> float | None:
    return usual(store.latest_results(each=_SHOWN, job=run.job).get(run.job, ())) if run.job else None


def usual(results: Iterable[Result]) -> float | None:
    """Return how many seconds a run takes as a rule: the median of those that completed lately."""
    taken = [seconds for each in results if each.state is State.COMPLETED and (seconds := each.seconds) is not None]
    return median(taken) if len(taken) >= _FEW else None


def _about_runners(
    runners: Iterable[LiveRunner], due: int, oldest_due: datetime | None, next_slot: datetime | None, now: datetime
) -> Iterable[Remark]:
    gone = [each.runner for each in runners if not each.is_alive]
    has_runner = any(each.is_alive for each in runners)
    for runner in gone:
        yield Remark(Weight.FAULT, f"Runner {runner.id} on {quoted(runner.host)} has died.", "Runs")
    if oldest_due is not None and now - oldest_due > _LATE:
        waited = format_duration(round((now - oldest_due).total_seconds()))
        many = counted(due, "run is", "runs are") if due <= MOST_DUE else f"More than {MOST_DUE:,} runs are"
        if has_runner:
            yield Remark(Weight.WARNING, f"{many} due, the oldest for {waited}.", "Runs")
        else:
            yield Remark(Weight.FAULT, f"No runner is alive. {many} due, the oldest for {waited}.", "Runs")
    if next_slot is not None and now - next_slot > _LATE:
        why = "though a runner is alive" if has_runner else "for no runner is alive"
        yield Remark(
            Weight.FAULT, f"A slot that was due {ago(next_slot, now)} has not been looked at, {why}.", "Schedule"
        )


def _about_runs(under_way: Iterable[UnderWay]) -> Iterable[Remark]:
    for each in under_way:
        limit, taken = each.run.spec.timeout, format_duration(round(each.elapsed))
        if limit is not None and each.elapsed > limit + each.run.spec.grace_period:
            yield Remark(Weight.FAULT, f"{_name(each.run)} runs for {taken}, past its time-out.", "Runs")
        elif each.is_slow:
            rule = format_duration(each.usual or 0.0)
            yield Remark(Weight.WARNING, f"{_name(each.run)} runs for {taken}; it takes {rule} as a rule.", "Runs")


def _about_dead(count: int, dead: tuple[Run, ...], now: datetime) -> Iterable[Remark]:
    if count and dead:
        newest = dead[0].updated_at
        weight = Weight.FAULT if now - newest < _NEW else Weight.WARNING
        many = counted(count, "run is", "runs are")
        yield Remark(weight, f"{many} dead, the newest since {format_duration(_seconds(newest, now))}.", "DLQ")


def _about_pauses(pauses: Iterable[Pause]) -> Iterable[Remark]:
    for pause in pauses:
        what = quoted(pause.scope) if pause.scope else "Everything"
        why = f": {quoted(pause.reason)}" if pause.reason else ""
        yield Remark(Weight.NOTE, f"{what} is paused by {quoted(pause.by)}{why}.", "Schedule")


def _seconds(instant: datetime, now: datetime) -> float:
    return float(max(round((now - instant).total_seconds()), 0))


def _name(run: Run) -> str:
    return f"{quoted(run_title(run))} ({quoted(run.id)})"
