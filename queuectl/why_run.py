"""Why a run is where it is, or was at a time that is asked about.

Pure: evidence and the time come in, an answer goes out.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from queuectl.durations import format_duration
from queuectl.evidence import MOST_AHEAD, Declaration, RunEvidence, RunnerLife
from queuectl.instants import format_in_zone, format_instant
from queuectl.job import Attempt, Overlap, Recurrence, Run, State
from queuectl.lifecycle import WITHDRAWN
from queuectl.pause import Pause
from queuectl.schedule import spread_delay
from queuectl.why import (
    Answer,
    Fact,
    Kind,
    absence_text,
    absences,
    declaration_fact,
    named,
    on,
    ordered,
    pause_fact,
    pause_words,
    shown,
)
from queuectl.wording import counted

_MOST_ATTEMPTS: Final = 20
_SECOND: Final = timedelta(seconds=1)


def why_run(known: RunEvidence, *, now: datetime, at: datetime | None = None) -> Answer:
    """Return why a run is where it is, or with ``at`` where it was at that time."""
    fate = fate_of(known, now) if at is None else fate_at(known, at, now)
    return Answer(conclusion=f"{known.run.id} {fate}", facts=ordered(run_facts(known, now)))


def fate_of(known: RunEvidence, now: datetime) -> str:
    """Return in words, without a subject, what became of a run or what it waits for."""
    run = known.run
    match run.state:
        case State.COMPLETED:
            return f"ran: completed {on(run.finished_at)}, attempt {run.attempts} of {run.max_attempts}"
        case State.DEAD:
            return f"is dead since {shown(run.finished_at)}: {run.reason}; {_attempts(run)}"
        case State.CANCELLED:
            return f"is cancelled since {shown(run.finished_at)}{_by_whom(known)}: {run.reason}"
        case State.SKIPPED:
            return _why_skipped(known, now)
        case State.PROCESSING:
            return _why_processing(known, now)
        case State.FAILED if run.run_at > now:
            due = f"attempt {run.attempts + 1} of {run.max_attempts} is due {_due(run, now)}"
            return f"waits for its retry: {due}; the last: {run.reason}"
        case _:
            return _why_waiting(known, now)


def fate_at(known: RunEvidence, at: datetime, now: datetime) -> str:
    """Return in words, without a subject, where a run was at a time."""
    run, when = known.run, f"at {format_instant(at)}"
    if at > now:
        return f"has not come to {format_instant(at)}; now it {fate_of(known, now)}"
    if at < run.created_at and (run.slot is None or at < run.slot):
        return f"was not in the queue {when}: it was queued {on(run.created_at)}"
    if run.state is State.SKIPPED:
        return fate_of(known, now)
    for attempt in known.attempts:
        if attempt.started_at <= at <= attempt.finished_at:
            return f"ran {when}: {_attempt(attempt)} from {shown(attempt.started_at)} to {shown(attempt.finished_at)}"
    if run.started_at and run.state is State.PROCESSING and at >= run.started_at:
        return f"ran {when}: attempt {run.attempts}, which began {on(run.started_at)}"
    if run.finished_at and at >= run.finished_at:
        return f"was over {when}: {run.state} since {shown(run.finished_at)}"
    ended = [attempt for attempt in known.attempts if attempt.finished_at <= at]
    if ended:
        return f"waited {when}, after {_attempt(ended[-1])}: {ended[-1].outcome}"
    if at < run.scheduled_at:
        return f"waited {when} for its time, {format_instant(run.scheduled_at)}"
    absence = absence_text(known.runners, at, at, now)
    return f"waited {when}: {absence or _crowd(known.runners, at, now)}"


def run_facts(known: RunEvidence, now: datetime) -> Iterator[Fact]:
    """Yield what is known of a run, in no order."""
    run = known.run
    yield from _declared(known.declarations, run)
    yield from _queued(known)
    waited_until = run.finished_at or now
    if known.attempts or run.started_at:
        waited_until = min([each.started_at for each in known.attempts] or [run.started_at or now])
    if run.slot:
        yield from absences(known.runners, run.slot, run.created_at, now, for_slot=True)
    if run.state is not State.SKIPPED:
        yield from absences(known.runners, max(run.scheduled_at, run.created_at), waited_until, now)
    yield from _attempted(known)
    for intervention in known.interventions:
        verb = {"cancel": "cancelled", "retry": "given back to the queue", "trigger": "triggered"}[intervention.act]
        yield Fact(kind=Kind.PERSON, at=intervention.at, sentence=f"{verb} by {intervention.by}")
    for pause in _pauses_of(known):
        yield pause_fact(pause)
    if known.ahead and (known.ahead.higher or known.ahead.earlier):
        yield Fact(kind=Kind.QUEUE, at=now, sentence=_ahead(known))
    if run.finished_at:
        why = f": {run.reason}" if run.reason else ""
        yield Fact(kind=Kind.END, at=run.finished_at, sentence=f"{run.state}{why}")
    elif run.state.is_waiting and not run.is_held and run.run_at > run.created_at:
        what = f"attempt {run.attempts + 1} of {run.max_attempts} is due" if run.attempts else "due"
        yield Fact(kind=Kind.RETRY if run.attempts else Kind.QUEUE, at=run.run_at, sentence=what)


def _why_skipped(known: RunEvidence, now: datetime) -> str:
    run, recurrence = known.run, known.job.recurrence if known.job else None
    if run.slot is None:  # a one-shot that was declared too late
        lateness = format_duration((run.created_at - run.run_at).total_seconds())
        return f"did not run: it was declared {lateness} after its time, {format_instant(run.run_at)}"
    lateness = format_duration((run.created_at - run.slot).total_seconds())
    absence = absence_text(known.runners, run.slot, run.created_at, now, for_slot=True)
    late = absence or f"its slot was looked at {on(run.created_at)}, {lateness} late"
    match run.reason:
        case "paused":
            pause = next(_pauses_of(known), None)
            return f"did not run: {pause_words(pause)}" if pause else "did not run: it was paused"
        case "overlap":
            rule = f' (overlap = "{recurrence.overlap}")' if recurrence else ""
            return f"did not run: {_other(known.other, 'a run before it')} was not over{rule}"
        case "coalesced":
            instead = known.other
            newer = f"{format_instant(instead.slot)} with run {instead.id}" if instead and instead.slot else "one"
            return f"did not run: {late}; of the slots since then only the newest counts, {newer}"
        case _:
            rule = f' (catchup = "{recurrence.catchup}")' if recurrence else ""
            return f"did not run: {late}; then it was missed{rule}"


def _why_processing(known: RunEvidence, now: datetime) -> str:
    run = known.run
    took = format_duration(max((now - (run.started_at or now)).total_seconds(), 0))
    runner = _runner(known, run.runner)
    if runner and not runner.is_alive:
        return (
            f"ran on {named(runner)}, which died after {shown(runner.heartbeat_at)}: "
            "the next runner finds out what became of it"
        )
    stop = f"; it is to stop: {run.stop}" if run.stop else ""
    which = f"attempt {run.attempts} of {run.max_attempts}{_where(known, run.runner)}"
    return f"runs for {took}: {which}, since {shown(run.started_at)}{stop}"


def _why_waiting(known: RunEvidence, now: datetime) -> str:
    run = known.run
    if run.is_held:
        return f"waits until {_other(known.other, 'the run before it')} is over"
    if run.run_at > now:
        return f"waits for its time: due {_due(run, now)}"
    alive = [runner for runner in known.runners if runner.is_alive]
    since = f"is due since {format_instant(run.run_at)}"
    if not alive:
        return f"{since}, but {absence_text(known.runners, now, now, now) or 'no runner is alive'}"
    return f"{since}: {_ahead(known)}; {_crowd(known.runners, now, now)}"


def _crowd(runners: Sequence[RunnerLife], at: datetime, now: datetime) -> str:
    """Return who was there to run something."""
    there = [each for each in runners if any(begin <= at <= end for begin, end in each.awake(now))]
    words = [f"{named(runner)} with {_workers(runner, is_now=at == now)}" for runner in there]
    return f"there {'is' if at == now else 'was'} {', '.join(words) or 'no runner'}"


def _workers(runner: RunnerLife, *, is_now: bool) -> str:
    count = counted(runner.workers, "worker")
    return f"{min(runner.busy, runner.workers)} of {count} busy" if is_now else count


def _ahead(known: RunEvidence) -> str:
    ahead = known.ahead
    if ahead is None or not (ahead.higher or ahead.earlier):
        return "nothing is claimed before it"
    parts = [
        f"{_capped(count)} {words}"
        for count, words in ((ahead.higher, "of a larger priority"), (ahead.earlier, "of its own that came earlier"))
        if count
    ]
    return f"what is claimed before it: {' and '.join(parts)}"


def _capped(count: int) -> str:
    return f"more than {counted(MOST_AHEAD, 'run')}" if count > MOST_AHEAD else counted(count, "run")


def _declared(declarations: Sequence[Declaration], run: Run) -> Iterator[Fact]:
    """Yield the apply by which a run was queued, and those that came while it was not over."""
    before = [each for each in declarations if each.at <= run.created_at]
    end = run.finished_at or datetime.max.replace(tzinfo=run.created_at.tzinfo)
    during = [each for each in declarations if run.created_at < each.at <= end]
    for declaration in before[-1:] + during:
        yield declaration_fact(declaration)


def _queued(known: RunEvidence) -> Iterator[Fact]:
    run, recurrence = known.run, known.job.recurrence if known.job else None
    if run.slot is None:
        triggered = any(each.act == "trigger" for each in known.interventions)
        if not triggered:
            yield Fact(
                kind=Kind.QUEUE, at=run.created_at, sentence="queued" if run.job else f"enqueued: {run.spec.line}"
            )
        return
    yield Fact(kind=Kind.SLOT, at=run.slot, sentence=_slot_sentence(run, recurrence))
    late = run.created_at - run.slot
    words = "recorded as skipped" if run.state is State.SKIPPED else "queued"
    after = f", {format_duration(late.total_seconds())} after the slot" if late >= _SECOND else ""
    held = f": waits until {known.other.id} is over" if run.is_held and known.other else ""
    yield Fact(kind=Kind.QUEUE, at=run.created_at, sentence=f"{words}{after}{held}")


def _slot_sentence(run: Run, recurrence: Recurrence | None) -> str:
    if recurrence is None or run.slot is None:
        return "the slot of this run"
    delay = spread_delay(run.job or "", recurrence.spread) if recurrence.spread else None
    spread = f"; it begins {format_duration(delay.total_seconds())} later by its spread" if delay else ""
    return f"slot {format_in_zone(run.slot, recurrence.timezone)}{spread}"


def _attempted(known: RunEvidence) -> Iterator[Fact]:
    run = known.run
    for attempt in known.attempts[-_MOST_ATTEMPTS:]:
        took = format_duration(attempt.duration.total_seconds())
        wrote = _wrote(known, attempt.lease)
        sentence = f"{_attempt(attempt)} ended after {took}{_where(known, attempt.runner)}: {attempt.outcome}{wrote}"
        yield Fact(kind=Kind.ATTEMPT, at=attempt.finished_at, sentence=sentence)
    if run.state is State.PROCESSING and run.started_at:
        which = f"attempt {run.attempts} of {run.max_attempts}"
        sentence = f"{which} was claimed{_where(known, run.runner)}{_wrote(known, run.lease)}"
        yield Fact(kind=Kind.ATTEMPT, at=run.started_at, sentence=sentence)


def _runner(known: RunEvidence, id: int | None) -> RunnerLife | None:
    return next((runner for runner in known.runners if runner.id == id), None)


def _where(known: RunEvidence, runner: int | None) -> str:
    found = _runner(known, runner)
    return f" on {named(found)}" if found else ""


def _wrote(known: RunEvidence, lease: int | None) -> str:
    words = known.last_words.get(lease or 0)
    return f"; it last wrote: {words}" if words else ""


def _other(other: Run | None, unknown: str) -> str:
    if other is None:
        return unknown
    what = {State.PROCESSING: "runs", State.PENDING: "waits", State.FAILED: "waits for its retry"}.get(other.state)
    end = f"ended {on(other.finished_at)}" if other.finished_at else what
    began = f"began {on(other.started_at)}, " if other.started_at else ""
    return f"{other.id} ({began}{end})"


def _pauses_of(known: RunEvidence) -> Iterator[Pause]:
    """Yield the pauses that held at the slot of a run, or when it was looked at."""
    run = known.run
    for pause in known.pauses:
        if run.job and run.slot and (pause.covers(run.job, run.slot) or pause.covers(run.job, run.created_at)):
            yield pause


def _by_whom(known: RunEvidence) -> str:
    """Return who cancelled a run: a person, or the next slot of a job that replaces its runs."""
    person = next((each.by for each in reversed(known.interventions) if each.act == "cancel"), None)
    if person:
        return f" by {person}"
    recurrence = known.job.recurrence if known.job else None
    is_replaced = (
        recurrence and recurrence.overlap is Overlap.REPLACE and not str(known.run.reason).startswith(WITHDRAWN)
    )
    return ' by the next slot (overlap = "replace")' if is_replaced else ""


def _due(run: Run, now: datetime) -> str:
    return f"{on(run.run_at)}, in {format_duration((run.run_at - now).total_seconds())}"


def _attempts(run: Run) -> str:
    return f"{run.attempts} of {run.max_attempts} attempts were made"


def _attempt(attempt: Attempt) -> str:
    return f"attempt {attempt.number}"
