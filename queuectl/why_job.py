"""Why a job ran or did not: now, or at a time that is asked about.

Pure: evidence and the time come in, an answer goes out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from queuectl.durations import format_duration
from queuectl.evidence import JobEvidence, SlotEvidence, Times, times_at
from queuectl.instants import format_in_zone, format_instant
from queuectl.pause import Pause
from queuectl.schedule import LAST, Explanation, Schedule
from queuectl.slots import stored_schedule
from queuectl.why import (
    Answer,
    Fact,
    Kind,
    absence_text,
    absences,
    applied,
    declaration_fact,
    on,
    ordered,
    pause_fact,
    pause_words,
)
from queuectl.why_run import fate_at, fate_of, run_facts

_MOST_SLOTS: Final = 10_000
_MINUTE, _INSTANT = timedelta(minutes=1), timedelta.resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A minute of local time that a person asks about, and what decided then when the job was due.

    ``slot`` is the slot that is meant, if there is one, and ``at`` its instant or else that of the time itself. Without
    a ``schedule`` nothing recurred.
    """

    at: datetime
    local: datetime
    times: Times
    schedule: Schedule | None = None
    explanation: Explanation | None = None
    slot: datetime | None = None


def moment(known: JobEvidence, local: datetime, instant: datetime) -> Moment:
    """Return what decided at a local time, and which slot is meant: the first of its minute from ``instant`` on."""
    times = times_at(known, instant)
    if times.schedule is None:
        return Moment(at=instant, local=local, times=times)
    schedule = stored_schedule(times.schedule, times.timezone)
    explanation = schedule.explain(local)
    slots = explanation.slots if times.is_declared and times.is_enabled else ()
    slot = next((each for each in slots if each >= instant), slots[-1] if slots else None)
    return Moment(at=slot or instant, local=local, times=times, schedule=schedule, explanation=explanation, slot=slot)


def why_job(known: JobEvidence, *, now: datetime) -> Answer:
    """Return what became of the latest slot or run of a job, and when it is due next; raises UnreadableSchedule."""
    if known.job.recurrence is not None:
        stored_schedule(*known.job.recurrence.times)  # where it means nothing, that is why
    name = known.job.full_name
    conclusion = "; ".join(filter(None, (_latest(known, now), _next(known, now))))
    return Answer(conclusion=f"{name}: {conclusion}", facts=ordered(_job_facts(known, now)))


def why_job_at(known: JobEvidence, asked: Moment, found: SlotEvidence | None, *, now: datetime) -> Answer:
    """Return why a job ran at a time, or why it did not; ``found`` is what is known of the slot that is meant."""
    conclusion = _at(known, asked, now) if found is None else _fate_of_slot(known, asked, found, now)
    return Answer(conclusion=f"{known.job.full_name}: {conclusion}", facts=ordered(_facts_at(known, asked, found, now)))


def _latest(known: JobEvidence, now: datetime) -> str:
    """Return what became of the latest slot, or of the run of a one-shot."""
    last = known.latest
    due = known.next_slot
    if due is not None and due <= now:
        absence = absence_text(known.runners, due, now, now, for_slot=True) or "a runner is about to look at it"
        return f"slot {_in_zone(known, due)} has not run yet: {absence}"
    if last is None:
        declared = known.declarations[0] if known.declarations else None
        return f"has not run yet{f': it was declared by {applied(declared)} {on(declared.at)}' if declared else ''}"
    run = last.run
    of = f" of slot {_in_zone(known, run.slot)}" if run.slot else ""
    return f"run {run.id}{of} {fate_of(last, now)}"


def _next(known: JobEvidence, now: datetime) -> str:
    """Return when the job is due next, or why it never is."""
    if known.removed_at is not None:
        return f"it is not declared any more{_by_apply(known, 'remove')}"
    if not known.job.enabled:
        return f"it is disabled{_disabled_by(known)}"
    if known.job.recurrence is None:
        is_over = known.latest is None or known.latest.run.state.is_final
        return "it runs again once its `revision` or `run_at` changes" if is_over else ""
    coming = _coming(known, now)
    if coming is None:
        return "it has no slot any more"
    pause = _covering(known, coming)
    first = _first_unpaused(known, coming)
    if pause and first is None:
        return f"its slots pass without a run: {pause_words(pause)}"
    due = first or coming
    paused = f", when the pause of {pause.scope or 'everything'} is over" if pause else ""
    return f"next at {_in_zone(known, due)}, in {_wait(due, now)}{paused}"


def _job_facts(known: JobEvidence, now: datetime) -> Iterator[Fact]:
    if known.declarations:
        yield declaration_fact(known.declarations[-1])
    if known.latest:
        yield from run_facts(known.latest, now)
    for pause in known.pauses:
        if pause.covers(known.job.full_name, now):
            yield pause_fact(pause)
    if known.next_slot is not None and known.next_slot <= now:
        slot = f"slot {_in_zone(known, known.next_slot)}, which nobody has looked at yet"
        yield Fact(kind=Kind.SLOT, at=known.next_slot, sentence=slot)
        yield from absences(known.runners, known.next_slot, now, now, for_slot=True)
    if coming := _coming(known, now):
        paused = ", which is paused" if _covering(known, coming) else ""
        yield Fact(kind=Kind.NEXT, at=coming, sentence=f"slot {_in_zone(known, coming)}{paused}")


def _at(known: JobEvidence, asked: Moment, now: datetime) -> str:
    """Return why there is no slot at a time."""
    was = "is" if asked.at > now else "was"
    local = f"at {asked.local:%Y-%m-%d %H:%M} {asked.times.timezone}"
    later = next((each for each in known.declarations if each.at > asked.at), None)
    if not asked.times.is_declared and later:
        return f"{was} not declared {local}: {applied(later)} declared it {on(later.at)}"
    if not asked.times.is_declared:
        return f"{was} not declared any more {local}{_by_apply(known, 'remove')}"
    if not asked.times.is_enabled:
        return f"{was} disabled {local}"
    if asked.schedule is None or asked.explanation is None:
        last = known.latest
        return f"run {last.run.id} {fate_at(last, asked.at, now)}" if last else f"{was} not queued {local}"
    return f"{was} not due {local}: {_why_not_due(asked.schedule, asked.explanation)}; {_around(asked)}"


def _fate_of_slot(known: JobEvidence, asked: Moment, found: SlotEvidence, now: datetime) -> str:
    slot = found.slot
    which = f"slot {format_in_zone(slot, asked.times.timezone)}"
    if found.run:
        return f"run {found.run.run.id} of {which} {fate_of(found.run, now)}"
    if slot > now:
        pause = _covering(known, slot)
        why = f", and will not run: {pause_words(pause)}" if pause else f", in {_wait(slot, now)}"
        return f"{which} is due{why}"
    if known.next_slot is not None and slot >= known.next_slot:
        absence = absence_text(known.runners, slot, now, now, for_slot=True)
        return f"{which} has not run yet: {absence or 'a runner is about to look at it'}"
    if found.folded:
        many = found.folded
        between = f"from {format_instant(many.first)} to {format_instant(many.last)}"
        return f"{which} did not run: it is one of {many.count:,} slots {between} that were too many to run or record"
    if found.anew:
        return f"{which} did not run: {applied(found.anew)} began the slots anew {on(found.anew.at)}"
    return f"{which} has no run on record: it was purged"


def _facts_at(known: JobEvidence, asked: Moment, found: SlotEvidence | None, now: datetime) -> Iterator[Fact]:
    before = [each for each in known.declarations if each.at <= asked.at]
    after = [each for each in known.declarations if each.at > asked.at and each.moves_slots]
    for declaration in before[-1:] + after:
        yield declaration_fact(declaration)
    for pause in known.pauses:
        if pause.covers(known.job.full_name, asked.at):
            yield pause_fact(pause)
    if asked.schedule and asked.explanation and asked.times.is_declared:
        yield from _compared(asked, asked.schedule, asked.explanation)
    if asked.schedule is None and known.latest:
        yield from run_facts(known.latest, now)
    if found and found.run:
        yield from run_facts(found.run, now)
    if asked.at <= now and asked.times.is_declared:
        yield from absences(known.runners, asked.at, asked.at, now, for_slot=asked.schedule is not None)


def _compared(asked: Moment, schedule: Schedule, explained: Explanation) -> Iterator[Fact]:
    """Yield how the minute compares with the schedule, field by field, and what the clocks did."""

    def fact(sentence: str) -> Fact:
        return Fact(kind=Kind.SCHEDULE, at=asked.at, sentence=sentence)

    shown = f"{asked.local:%a %Y-%m-%d %H:%M} {schedule.zone}"
    verdict = "names" if explained.is_named else "does not name"
    yield fact(f"`{schedule.expression}` {verdict} {shown}")
    for field in explained.fields:
        yield fact(f"{field.name} `{field.text}` {'matches' if field.is_matched else 'does not match'} {field.value}")
    if explained.is_either_day:
        yield fact("both day fields are set: one that matches is enough")
    if explained.irregular == "gap":
        yield fact(f"the clocks of {schedule.zone} skipped this minute")
    if explained.irregular == "overlap":
        yield fact(f"the clocks of {schedule.zone} showed this minute twice")


def _why_not_due(schedule: Schedule, explained: Explanation) -> str:
    if explained.is_named:
        return (
            f"`{schedule.expression}` names it, but the clocks of {schedule.zone} skipped it, "
            "and what follows elapsed time is not made up for"
            if explained.irregular == "gap"
            else f"`{schedule.expression}` names it, but this time came before, when the clocks showed it first"
        )
    wrong = [field for field in explained.fields if not field.is_matched]
    days = [field for field in wrong if field.name.startswith("day")]
    if explained.is_either_day and len(days) == 1:  # the other one is enough
        wrong.remove(days[0])
    words = [f"{field.name} `{field.text}` is not {field.value}" for field in wrong]
    return " and ".join(words) or f"`{schedule.expression}` has no slot in this minute"


def _around(asked: Moment) -> str:
    """Return the slots before and after a minute that has none."""
    assert asked.schedule is not None
    zone = asked.schedule.zone
    after = asked.schedule.after(asked.at)
    before = _before(asked.schedule, asked.at)
    words = [f"the slot before is {format_in_zone(before, zone)}" if before else ""]
    words.append(f"the one after {format_in_zone(after, zone)}" if after else "none comes after")
    return ", ".join(filter(None, words))


def _before(schedule: Schedule, at: datetime) -> datetime | None:
    """Return the last slot before a time; None if there is none within some years."""
    span = _MINUTE
    for _ in range(23):
        if schedule.count(at - span, at - _INSTANT):
            return max(schedule.slots(at - span, at - _INSTANT))
        span *= 2
    return None


def _covering(known: JobEvidence, slot: datetime) -> Pause | None:
    return next((pause for pause in known.pauses if pause.covers(known.job.full_name, slot)), None)


def _coming(known: JobEvidence, now: datetime) -> datetime | None:
    """Return the first slot that is not due yet."""
    if known.next_slot is None or known.next_slot > now or known.job.recurrence is None:
        return known.next_slot
    return stored_schedule(*known.job.recurrence.times).after(now)


def _first_unpaused(known: JobEvidence, slot: datetime) -> datetime | None:
    """Return the first slot from this one on that no pause covers; None if there is none among many."""
    recurrence = known.job.recurrence
    assert recurrence is not None
    if not _covering(known, slot):
        return slot
    pauses = [pause for pause in known.pauses if pause.covers(known.job.full_name, slot)]
    ends = [min(filter(None, (pause.until, pause.ended_at)), default=None) for pause in pauses]
    if None in ends:
        return None
    schedule = stored_schedule(*recurrence.times)
    begin = max(end for end in ends if end) - _INSTANT
    return next((each for each in islice(schedule.slots(begin, LAST), _MOST_SLOTS) if not _covering(known, each)), None)


def _in_zone(known: JobEvidence, slot: datetime) -> str:
    return format_in_zone(slot, known.job.recurrence.timezone if known.job.recurrence else "UTC")


def _by_apply(known: JobEvidence, action: str) -> str:
    found = next((each for each in reversed(known.declarations) if each.action == action), None)
    return f": {applied(found)} removed it {on(found.at)}" if found else ""


def _disabled_by(known: JobEvidence) -> str:
    found = next((each for each in reversed(known.declarations) if each.fields.get("enabled") == (True, False)), None)
    return f" by {applied(found)} {on(found.at)}" if found else ""


def _wait(slot: datetime, now: datetime) -> str:
    return format_duration((slot - now).total_seconds())
