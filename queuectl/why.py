"""Dated sentences: what an answer to "why" is made of, and what is said of runners, pauses and applies.

Pure: ``why_run`` answers for runs and ``why_job`` for jobs, from what is on record (``evidence``).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from queuectl.durations import format_duration
from queuectl.evidence import Declaration, RunnerLife, unattended
from queuectl.instants import format_instant
from queuectl.pause import Pause

_LATE: Final = timedelta(seconds=60)


class Kind(StrEnum):
    """What a fact is about."""

    DECLARED = "declared"
    PAUSE = "pause"
    SCHEDULE = "schedule"
    SLOT = "slot"
    QUEUE = "queue"
    PERSON = "person"
    RUNNER = "runner"
    ATTEMPT = "attempt"
    RETRY = "retry"
    END = "end"
    NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened, or will, at a time; the sentence has no full stop."""

    kind: Kind
    at: datetime
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The conclusion in one sentence, and the facts that lead to it in the order of their times."""

    conclusion: str
    facts: tuple[Fact, ...]


def absences(
    runners: Sequence[RunnerLife], begin: datetime, end: datetime, now: datetime, *, for_slot: bool = False
) -> Iterator[Fact]:
    """Yield the times without a runner that touch a time, and what ended and began them.

    With ``for_slot`` only runners count that account for slots.
    """
    if begin > end:
        return
    for who, since, until in _gaps(runners, begin, end, now, for_slot=for_slot):
        if since is None:
            continue  # before the first runner there is nothing to tell but its start
        words = f"to {shown(until)}" if until else "on"
        yield Fact(kind=Kind.RUNNER, at=since, sentence=f"{who} was alive from {shown(since)} {words}")
        for runner in runners:
            if runner.last_sign == since:
                yield Fact(kind=Kind.RUNNER, at=since, sentence=f"{named(runner)} {_how_it_ended(runner)}")
            if runner.started_at == until:
                yield Fact(kind=Kind.RUNNER, at=runner.started_at, sentence=f"{named(runner)} started")
    for runner in runners:
        for since, until in runner.silences:
            if since < until and since < end and until > begin:
                lasted = format_duration((until - since).total_seconds())
                sentence = f"{named(runner)} gave no sign for {lasted}: the machine slept, or its clock was set forward"
                yield Fact(kind=Kind.RUNNER, at=since, sentence=sentence)
            if until <= since and begin <= since and until <= end:
                sentence = f"the clock was set back from {shown(since)}, as {named(runner)} saw it"
                yield Fact(kind=Kind.RUNNER, at=until, sentence=sentence)


def pause_fact(pause: Pause) -> Fact:
    """Return a pause as a fact."""
    words = [f"{pause.scope or 'everything'} was paused by {pause.by}"]
    if pause.until:
        words.append(f"until {shown(pause.until)}")
    if pause.ended_at:
        words.append(f"resumed {on(pause.ended_at)}{f' by {pause.ended_by}' if pause.ended_by else ''}")
    return Fact(kind=Kind.PAUSE, at=pause.begins_at, sentence=f"{', '.join(words)}{_because(pause)}")


def declaration_fact(declaration: Declaration) -> Fact:
    """Return what an apply did to a job as a fact."""
    verb = {"create": "declared", "update": "changed", "rename": "renamed", "remove": "removed"}[declaration.action]
    keys = (
        f": {', '.join(f'`{key}`' for key in declaration.fields)}" if declaration.action in ("update", "rename") else ""
    )
    return Fact(kind=Kind.DECLARED, at=declaration.at, sentence=f"{verb} by {applied(declaration)}{keys}")


def applied(declaration: Declaration) -> str:
    """Return which apply it was, by whom and from which commit."""
    dirty = " (the files differed from it)" if declaration.is_dirty else ""
    commit = f", commit {declaration.commit[:10]}{dirty}" if declaration.commit else ""
    return f"apply {declaration.apply} of {declaration.by}{commit}"


def ordered(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return facts by their times, each once."""
    return tuple(sorted(dict.fromkeys(facts), key=lambda fact: fact.at))


def absence_text(
    runners: Sequence[RunnerLife], begin: datetime, end: datetime, now: datetime, *, for_slot: bool = False
) -> str:
    """Return in words that no runner was alive when a time began; nothing if one was.

    With ``for_slot`` only runners count that account for slots.
    """
    for who, since, until in _gaps(runners, begin, end, now, for_slot=for_slot):
        if since is not None and since > begin + _LATE:
            continue
        if since is None:
            return f"{who} was alive before {shown(until)}" if until else f"{who} was ever started"
        if until is None:
            return f"{who} is alive since {shown(since)}"
        return f"{who} was alive from {shown(since)} to {shown(until)}"
    return ""


def _gaps(
    runners: Sequence[RunnerLife], begin: datetime, end: datetime, now: datetime, *, for_slot: bool
) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    """Yield the times without a runner that counts, each with who was not there."""
    without_any = unattended(runners, begin, end, now=now)
    counting = [runner for runner in runners if runner.has_schedule or not for_slot]
    for gap in unattended(counting, begin, end, now=now):
        who = "no runner" if gap in without_any else "no runner that looks at schedules"
        yield who, *gap


def pause_words(pause: Pause) -> str:
    """Return what is paused since when, until when, by whom and why."""
    until = f" until {shown(pause.until)}" if pause.until else ""
    return (
        f"{pause.scope or 'everything'} was paused since {shown(pause.begins_at)}{until} by {pause.by}{_because(pause)}"
    )


def _because(pause: Pause) -> str:
    return f": {pause.reason}" if pause.reason else ""


def named(runner: RunnerLife) -> str:
    """Return what a person knows a runner by."""
    return f"runner {runner.id} (pid {runner.pid} on {runner.host})"


def _how_it_ended(runner: RunnerLife) -> str:
    if runner.died and runner.stopped_at:
        return f"was last heard of; it was found dead {on(runner.stopped_at)}"
    return "stopped" if runner.stopped_at else "was last heard of: it is dead"


def on(instant: datetime | None) -> str:
    """Return when something happened."""
    return f"at {shown(instant)}"


def shown(instant: datetime | None) -> str:
    """Return an instant that may be unknown."""
    return format_instant(instant) if instant else "an unknown time"
