"""Runs in a dictionary: what a store must do with them, told a second time and in the plainest way.

It follows docs/reference/states.md, shares no rule with the code that it checks, and knows no SQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from queuectl.job import HELD, NewRun
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released
from queuectl.spec import JobSpec

WAITING = ("pending", "failed")
_UNFINISHED = (*WAITING, "processing")


@dataclass(kw_only=True)
class ModelRun:
    """A run; ``most`` is the largest number of attempts that any of its specs allowed since it was last given back."""

    number: int
    id: str
    job: int | None
    state: str
    spec: JobSpec
    scheduled_at: datetime
    run_at: datetime
    created_at: datetime
    updated_at: datetime
    attempts: int = 0
    interruptions: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease: int | None = None
    runner: int | None = None
    stop: str | None = None
    slot: datetime | None = None
    skipped: str | None = None
    most: int = 0
    running: JobSpec | None = None  # what the present attempt was claimed with
    ended: list[tuple[int, int, Outcome, JobSpec | None]] = field(default_factory=list)

    @property
    def is_held(self) -> bool:
        return self.run_at == HELD


class QueueModel:
    """The runs, by their numbers."""

    def __init__(self) -> None:
        self.runs: dict[int, ModelRun] = {}
        self.purged: set[str] = set()
        self._latest_lease = 0
        self._latest_number = 0

    # what is asked

    def unfinished(self, job: int) -> list[ModelRun]:
        return [run for run in self.runs.values() if run.job == job and run.state in _UNFINISHED]

    def waiting(self) -> list[ModelRun]:
        return [run for run in self.runs.values() if run.state in WAITING]

    def ids(self) -> set[str]:
        return {run.id for run in self.runs.values()}

    # what happens

    def enqueue(self, news: Sequence[NewRun], now: datetime) -> list[str] | None:
        given = [new.given_id for new in news if new.given_id]
        if len(set(given)) < len(given) or self.ids() & set(given):
            return None
        return [self._insert(new, None, now).id for new in news]

    def claim(self, limit: int, runner: int, now: datetime) -> list[ModelRun]:
        due = [run for run in self.waiting() if run.run_at <= now]
        taken = sorted(due, key=lambda run: (-run.spec.priority, run.run_at, run.number))[:limit]
        self._latest_lease += bool(taken)
        for run in taken:
            run.state, run.runner, run.lease = "processing", runner, self._latest_lease
            run.attempts += 1
            run.running = run.spec
            run.started_at = run.updated_at = now
        return taken

    def settle(self, number: int, lease: int | None, outcome: Outcome, spec: JobSpec, now: datetime) -> bool:
        run = self.runs.get(number)
        if run is None or run.state != "processing" or run.lease != lease:
            return False
        if outcome != Released(began=False):
            run.ended.append((run.attempts, lease or 0, outcome, run.running))
        never_twice = spec.retry.retries == 0 or spec.on_interrupt == "fail"
        match outcome:
            case Exited(code=0, error=None):
                self._end(run, "completed", now)
            case Cancelled():
                self._end(run, "cancelled", now)
            case _ if run.stop:
                self._end(run, "cancelled", now)
            case Lost() | Released(began=True) if never_twice:
                self._end(run, "dead", now)
            case Lost():
                run.attempts -= 1
                run.interruptions += 1
                if run.interruptions == 5:
                    self._end(run, "dead", now)
                else:
                    self._wait(run, "failed", now)
                    run.run_at = now + _delay(spec, run.interruptions)
            case Released():
                run.attempts -= 1
                self._wait(run, "pending", now)
            case Exited(code=code, error=None) if code in spec.fail_on_exit_codes:
                self._end(run, "dead", now)
            case _ if run.attempts > spec.retry.retries:
                self._end(run, "dead", now)
            case _:
                self._wait(run, "failed", now)
                run.run_at = now + _delay(spec, run.attempts)
        return True

    def cancel(self, run: ModelRun, now: datetime) -> None:
        if run.state == "processing":
            run.stop, run.updated_at = "now", now
        elif run.state in WAITING:
            self._end(run, "cancelled", now)

    def requeue(self, run: ModelRun, spec: JobSpec, now: datetime) -> None:
        self._wait(run, "pending", now)
        run.spec, run.attempts, run.interruptions, run.most = spec, 0, 0, spec.retry.retries + 1
        run.run_at, run.started_at, run.skipped = now, None, None

    def purge(self, run: ModelRun) -> None:
        self.purged.add(run.id)
        del self.runs[run.number]

    # what runs become

    def _insert(self, new: NewRun, job: int | None, now: datetime) -> ModelRun:
        self._latest_number += 1
        number, is_skipped = self._latest_number, new.state == "skipped"
        self.runs[number] = ModelRun(
            number=number,
            id=new.given_id or f"r{number}",
            job=job,
            state=str(new.state),
            spec=new.spec,
            scheduled_at=new.scheduled_at or new.slot or (now if new.run_at == HELD else new.run_at),
            run_at=new.run_at,
            created_at=now,
            updated_at=now,
            finished_at=now if is_skipped else None,
            slot=new.slot,
            skipped=new.reason,
            most=new.spec.retry.retries + 1,
        )
        return self.runs[number]

    def _wait(self, run: ModelRun, state: str, now: datetime) -> None:
        run.state, run.updated_at, run.finished_at = state, now, None
        run.lease = run.runner = run.stop = None

    def _end(self, run: ModelRun, state: str, now: datetime) -> None:
        self._wait(run, state, now)
        run.finished_at = now
        left = self.unfinished(run.job) if run.job else []
        if left and all(each.is_held for each in left):
            left[0].run_at = max(left[0].scheduled_at, now)


def _delay(spec: JobSpec, times: int) -> timedelta:
    return timedelta(seconds=min(spec.retry.backoff_max, spec.retry.retry_delay * spec.retry.backoff_base**times))
