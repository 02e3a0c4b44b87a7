"""Asks the queue why: gathers the evidence of a job or a run, for ``why_run`` and ``why_job`` to explain.

It reads the store, and what only this machine knows: which runners live, and what attempts last wrote.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from queuectl import presence
from queuectl.evidence import JobEvidence, RunEvidence, RunnerLife, SlotEvidence
from queuectl.job import Run, State, StoredJob
from queuectl.output import last_line
from queuectl.spool import Spool
from queuectl.store.archive import Archive
from queuectl.why import Answer
from queuectl.why_job import moment, why_job, why_job_at
from queuectl.why_run import why_run

_WORDS: Final = 20  # attempts whose last words are read


def ask_run(store: Archive, run_id: str, *, now: datetime, at: datetime | None = None) -> Answer:
    """Return why a run is where it is, or was at a time; raises RunNotFound."""
    return why_run(_of_run(store, store.run(run_id), now), now=now, at=at)


def ask_job(store: Archive, name: str, *, now: datetime) -> Answer:
    """Return why a job did or did not run last, and when it is due next; raises JobNotFound."""
    known, stored = _of_job(store, name, now)
    run = store.latest_slot(stored.id, now) if stored.job.recurrence else None
    latest = run or stored.latest
    return why_job(replace(known, latest=_of_run(store, latest, now, stored)) if latest else known, now=now)


def ask_job_at(store: Archive, name: str, *, local: datetime, instant: datetime, now: datetime) -> Answer:
    """Return why a job did or did not run at a time; raises JobNotFound.

    ``local`` is the time on the clocks of the job's zone, ``instant`` the moment that it means.
    """
    known, stored = _of_job(store, name, now, instant)
    asked = moment(known, local, instant)
    if asked.schedule is None and (latest := store.newest_run_until(stored.id, instant)):
        known = replace(known, latest=_of_run(store, latest, now, stored))
    found = _of_slot(store, known, stored, asked.slot, now) if asked.slot else None
    return why_job_at(known, asked, found, now=now)


def _of_slot(store: Archive, known: JobEvidence, stored: StoredJob, slot: datetime, now: datetime) -> SlotEvidence:
    if run := store.run_of_slot(stored.id, slot):
        return SlotEvidence(slot=slot, run=_of_run(store, run, now, stored))
    anew = next((each for each in known.declarations if each.at >= slot and each.moves_slots), None)
    if anew and (last := store.latest_slot(stored.id, anew.at)) and last.slot and last.slot > slot:
        anew = None  # the slots went on after this one, which had a run then
    return SlotEvidence(slot=slot, folded=store.folded_with(stored.id, slot), anew=anew)


def _of_job(store: Archive, name: str, now: datetime, at: datetime | None = None) -> tuple[JobEvidence, StoredJob]:
    stored, removed_at = store.job_on_record(name)
    since = min(at or stored.next_slot or now, now)
    known = JobEvidence(
        job=stored.job,
        removed_at=removed_at,
        next_slot=stored.next_slot,
        declarations=store.declarations(stored.id),
        pauses=[pause for pause in store.pauses(since=since) if _concerns(pause.scope, name)],
        runners=_lives(store, store.runner_lives(since, since if at else now)),
    )
    return known, stored


def _of_run(store: Archive, run: Run, now: datetime, stored: StoredJob | None = None) -> RunEvidence:
    if run.job and stored is None:
        stored, _ = store.job_on_record(run.job)
    begin = run.slot or max(run.scheduled_at, run.created_at)
    attempts = store.attempts(run)
    claimed = attempts[0].started_at if attempts else run.started_at or run.finished_at or now
    known = RunEvidence(
        run=run,
        job=stored.job if stored else None,
        attempts=attempts,
        last_words=_last_words(store, run, [attempt.lease for attempt in attempts]),
        interventions=store.interventions(run),
        declarations=store.declarations(stored.id) if stored else (),
        pauses=store.pauses(since=run.slot) if run.slot else (),
        runners=_lives(store, store.runner_lives(min(begin, now), claimed, run=run)),
        ahead=store.ahead(run, now=now) if run.state.is_waiting and run.run_at <= now else None,
    )
    return replace(known, other=_other(store, run, stored.id)) if stored else known


def _other(store: Archive, run: Run, job: int) -> Run | None:
    """Return the run of the same job that a run has to do with."""
    if run.is_held:
        return next((each for each in store.unfinished_runs(job) if not each.is_held), None)
    if run.state is State.SKIPPED and run.reason == "overlap":
        return store.run_before(job, run)
    if run.state is State.SKIPPED and run.reason == "coalesced":
        return store.run_in_stead(job, run)
    return None


def _lives(store: Archive, runners: Iterable[RunnerLife]) -> list[RunnerLife]:
    """Return the runners with whether they live, which the kernel knows."""
    spool = Spool(str(store.path))
    return [
        replace(each, is_alive=True) if each.stopped_at is None and presence.is_alive(spool, each.id) else each
        for each in runners
    ]


def _last_words(store: Archive, run: Run, leases: list[int]) -> dict[int, str]:
    """Return the last line that each of the latest attempts wrote, to stderr if anything."""
    spool = Spool(str(store.path))
    found = {}
    for lease in [*leases[-_WORDS:], *([run.lease] if run.lease else [])]:
        execution = f"{run.number}.{lease}"
        words = last_line(spool.output(execution, "stderr")) or last_line(spool.output(execution, "stdout"))
        if words:
            found[lease] = words
    return found


def _concerns(scope: str, job: str) -> bool:
    return scope in ("", job, job.partition("/")[0])
