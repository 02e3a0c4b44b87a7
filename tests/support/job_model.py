"""Declared jobs and their slots in dictionaries, on top of the runs: what ``apply`` and schedules must do.

It follows docs/reference/states.md and schedules.md, as queue_model.py does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from queuectl.job import HELD, Job, NewRun
from queuectl.spec import JobSpec
from tests.support.queue_model import WAITING, ModelRun, QueueModel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ON_TIME = timedelta(seconds=60)
_DAY = timedelta(hours=24)


@dataclass(kw_only=True)
class ModelJob:
    """A job that is or was declared; ``owes_run`` if its occurrence had no run, since it is disabled.

    ``passed`` are the slots that were due, ``ran`` those that have or had a run.
    """

    id: int
    name: str
    job: Job
    is_declared: bool = True
    owes_run: bool = False
    next_slot: datetime | None = None
    passed: set[datetime] = field(default_factory=set)
    ran: set[datetime] = field(default_factory=set)
    folded: list[tuple[datetime, datetime, int]] = field(default_factory=list)


class Model(QueueModel):
    """The whole queue; ``most_recorded`` and ``most_caught_up`` are the bounds of a catch-up."""

    def __init__(self, *, most_recorded: int, most_caught_up: int) -> None:
        super().__init__()
        self.jobs: dict[int, ModelJob] = {}
        self.pauses: list[dict[str, Any]] = []
        self._most_recorded = most_recorded
        self._most_caught_up = most_caught_up

    def declared(self) -> dict[str, ModelJob]:
        return {job.name: job for job in sorted(self.jobs.values(), key=lambda job: job.name) if job.is_declared}

    def requeue(self, run: ModelRun, spec: JobSpec, now: datetime) -> None:
        """Give a run back; one that was over waits for the others of its job, unless they may overlap."""
        was_over, recurrence = run.finished_at is not None, self.jobs[run.job].job.recurrence if run.job else None
        super().requeue(run, spec, now)
        if (
            was_over
            and run.job
            and len(self.unfinished(run.job)) > 1
            and not (recurrence and recurrence.overlap == "allow")
        ):
            run.run_at = HELD

    # manifests

    def apply(self, declared: Sequence[Job], now: datetime) -> None:
        stored = self.declared()
        known: dict[str, ModelJob] = {}
        for job in declared:
            if job.renamed_from in stored and job.name not in stored:
                known[job.name] = stored.pop(job.renamed_from)
                known[job.name].name = ""
        known |= {job.name: stored.pop(job.name) for job in declared if job.name in stored}
        for gone in stored.values():
            gone.is_declared, gone.next_slot = False, None
            self._withdraw_all(gone, now)
        for job in declared:
            self._put(replace(job, renamed_from=None), known.get(job.name), now)

    def _put(self, job: Job, known: ModelJob | None, now: datetime) -> None:
        buried = next((each for each in self.jobs.values() if each.name == job.name and not each.is_declared), None)
        if known is None and buried:
            known, old = buried, None
            known.is_declared, known.job = True, job
        elif known is None:
            known, old = ModelJob(id=len(self.jobs) + 1, name=job.name, job=job), None
            self.jobs[known.id] = known
        else:
            if buried:
                buried.name += f"~{buried.id}"
            old = replace(known.job, name=job.name)
            known.job, known.name = job, job.name
        is_new = old is None or known.owes_run or _is_new(job, old)
        known.owes_run = is_new and not job.enabled and not job.recurrence
        if _times(job) != (_times(old) if old else None):
            known.next_slot = _after(_times(job), now)
        if old is None:
            self._occur(known, now)
        elif job != old:
            self._change(known, old, is_new, now)

    def _change(self, known: ModelJob, old: Job, is_new: bool, now: datetime) -> None:
        """Do to the runs of a job what a change of it does."""
        job, runs = known.job, [run for run in self.runs.values() if run.job == known.id]
        if not runs:
            self._occur(known, now)
        elif not job.enabled or (job.recurrence and not old.recurrence):
            self._withdraw_all(known, now)
        elif job.recurrence:
            for run in self.unfinished(known.id):
                self._refresh(run, job.spec, now)
        else:
            latest = runs[-1]
            if latest.state == "processing" and is_new:
                self._occur(known, now)
            elif latest.state == "processing":
                self._refresh(latest, job.spec, now)
            elif latest.state in WAITING and is_new:
                self._move(latest, job, now)
            elif latest.state in WAITING:
                self._refresh(latest, job.spec, now)
            elif is_new or (latest.state == "cancelled" and not old.enabled):
                self._occur(known, now)
            elif latest.state == "dead" and job.spec.command != old.spec.command:
                self.requeue(latest, job.spec, now)
            for run in self.unfinished(known.id):
                if run.number < latest.number and not old.recurrence:
                    self._refresh(run, job.spec, now)
            if old.recurrence:
                self._withdraw_all(known, now, before=latest.number)

    def _occur(self, known: ModelJob, now: datetime) -> None:
        job = known.job
        if not job.enabled or job.recurrence:
            return
        due = job.run_at or now
        if now - due >= _DAY:
            self._insert(NewRun(spec=job.spec, run_at=due, state="skipped", reason="missed"), known.id, now)
        else:
            waits = self.unfinished(known.id)
            self._insert(NewRun(spec=job.spec, run_at=HELD if waits else due, scheduled_at=due), known.id, now)

    def _move(self, run: ModelRun, job: Job, now: datetime) -> None:
        due = job.run_at or now
        run_at = HELD if run.is_held else due
        self.requeue(run, job.spec, now)
        run.scheduled_at, run.run_at = due, run_at
        if now - due >= _DAY:
            self._end(run, "skipped", now)
            run.skipped = "missed"

    def _refresh(self, run: ModelRun, spec: JobSpec, now: datetime) -> None:
        run.spec, run.updated_at, run.most = spec, now, max(run.most, spec.retry.retries + 1)
        if run.stop == "after attempt":
            run.stop = None

    def _withdraw_all(self, known: ModelJob, now: datetime, *, before: float = float("inf")) -> None:
        for run in self.unfinished(known.id):
            if run.number >= before:
                continue
            if run.state == "processing":
                run.stop, run.updated_at = run.stop or "after attempt", now
            else:
                self._end(run, "cancelled", now)

    # schedules

    def fire(self, now: datetime) -> None:
        due = [job for job in self.jobs.values() if job.next_slot and job.next_slot <= now]
        for known in sorted(due, key=lambda job: (job.next_slot, job.id)):
            self._fire(known, now)

    def trigger(self, known: ModelJob, now: datetime) -> ModelRun:
        recurrence = known.job.recurrence
        waits = self.unfinished(known.id) and not (recurrence and recurrence.overlap == "allow")
        return self._insert(NewRun(spec=known.job.spec, run_at=HELD if waits else now), known.id, now)

    def pause(self, scope: str, until: datetime | None, now: datetime) -> None:
        self.pauses.append({"scope": scope, "from": now, "until": until, "ended": None})

    def resume(self, scope: str, now: datetime) -> bool:
        open_ones = [
            each
            for each in self.pauses
            if each["scope"] == scope and not each["ended"] and (each["until"] is None or each["until"] > now)
        ]
        for each in open_ones:
            each["ended"] = now
        return bool(open_ones)

    def _fire(self, known: ModelJob, now: datetime) -> None:
        recurrence, earlier = known.job.recurrence, self.unfinished(known.id)
        assert recurrence
        slots = list(_slots(_times(known.job), known.next_slot, now))
        slots, folded = slots[-self._most_recorded :], slots[: -self._most_recorded]
        known.passed |= {*slots, *folded}
        if folded:
            known.folded.append((folded[0], folded[-1], len(folded)))
        known.next_slot = _after(_times(known.job), now)
        done = {run.slot for run in self.runs.values() if run.job == known.id}
        is_unfinished, replaces = bool(earlier), False
        for slot, why in self._judged(known, slots, now):
            reason = why or ("overlap" if is_unfinished and recurrence.overlap == "skip" else None)
            if reason:
                new = NewRun(spec=known.job.spec, run_at=slot, slot=slot, state="skipped", reason=reason)
            else:
                held = is_unfinished and recurrence.overlap != "allow"
                replaces |= is_unfinished and recurrence.overlap == "replace"
                is_unfinished = True
                new = NewRun(spec=known.job.spec, run_at=HELD if held else slot, slot=slot)
            if slot not in done:
                self._insert(new, known.id, now)
            known.ran.add(slot)
        for run in earlier if replaces else []:
            self.cancel(run, now)

    def _judged(self, known: ModelJob, slots: list[datetime], now: datetime) -> Iterator[tuple[datetime, str | None]]:
        recurrence = known.job.recurrence
        assert recurrence
        running = [slot for slot in slots if not self._is_paused(known, slot) and not self._is_paused(known, now)]
        for slot in slots:
            age = now - slot
            too_old = recurrence.catchup_window is not None and age > max(
                timedelta(seconds=recurrence.catchup_window), _ON_TIME
            )
            if slot not in running:
                yield slot, "paused"
            elif recurrence.catchup == "none":
                yield slot, "missed" if age > _ON_TIME else None
            elif too_old or (recurrence.catchup == "all" and slot not in running[-self._most_caught_up :]):
                yield slot, "missed"
            else:
                yield slot, "coalesced" if recurrence.catchup == "latest" and slot != running[-1] else None

    def _is_paused(self, known: ModelJob, slot: datetime) -> bool:
        return any(
            each["scope"] in ("", "nightly", f"nightly/{known.name}")
            and each["from"] <= slot
            and (each["until"] is None or slot < each["until"])
            and (each["ended"] is None or slot < each["ended"])
            for each in self.pauses
        )


def _is_new(job: Job, old: Job) -> bool:
    """Whether a one-shot is another occurrence than before."""
    return bool(old.recurrence) or (job.run_at, job.revision) != (old.run_at, old.revision)


def _times(job: Job) -> str | None:
    """Return the expression of a job that recurs now; only `@every Nm` is understood."""
    return job.recurrence.schedule if job.recurrence and job.enabled else None


def _after(expression: str | None, now: datetime) -> datetime | None:
    """Return the first multiple of the interval after now."""
    if expression is None:
        return None
    step = timedelta(minutes=int(expression.removeprefix("@every ").removesuffix("m")))
    return now - (now - _EPOCH) % step + step


def _slots(expression: str | None, first: datetime | None, until: datetime) -> Iterator[datetime]:
    while first and first <= until:
        yield first
        first = _after(expression, first)
