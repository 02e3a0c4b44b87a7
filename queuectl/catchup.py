"""Which of the slots that have come due run, and why the others do not.

Restart, suspend, downtime and a clock that jumps are one case: due is what the stored next slot says.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from queuectl.job import Catchup
from queuectl.schedule import Schedule

ON_TIME: Final = timedelta(seconds=60)
"""A slot that is not older is not late: a runner may have been busy, restarted or asleep for moments."""

MOST_CAUGHT_UP: Final = 100
"""How many slots, the newest, run after a downtime if all shall."""

MOST_RECORDED: Final = 10_000
"""How many due slots, the newest, are returned one by one."""

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A slot whose time has come: it runs if there is no reason why it does not."""

    slot: datetime
    reason: Literal["missed", "coalesced", "paused"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """The slots that are due, in order, and the first one that is not.

    Of more than ``MOST_RECORDED`` the older are not among them: how many, is ``folded``; none of those runs.
    """

    due: tuple[Due, ...] = ()
    next_slot: datetime | None
    folded: int = 0
    first_folded: datetime | None = None
    last_folded: datetime | None = None


def catch_up(
    schedule: Schedule,
    next_slot: datetime,
    now: datetime,
    *,
    catchup: Catchup,
    window: float | None = None,
    is_paused: Callable[[datetime], bool] = lambda _: False,
) -> CaughtUp:
    """Return what becomes of the slots from ``next_slot``, the first that was not looked at before, up to now.

    Slots that are older than ``window``, in seconds, do not run; one that is on time always counts. Those in a pause
    never do.
    """
    if next_slot > now:
        return CaughtUp(next_slot=next_slot)
    slots, count, last_folded = _newest(schedule, next_slot, now)
    wanted: list[datetime] = []
    paused: list[Due] = []
    for slot in slots:
        if is_paused(slot):
            paused.append(Due(slot, "paused"))
        else:
            wanted.append(slot)
    return CaughtUp(
        due=tuple(sorted([*_judged(wanted, now, catchup, window), *paused], key=_slot)),
        next_slot=schedule.after(now),
        folded=count - len(slots),
        first_folded=next_slot if last_folded else None,
        last_folded=last_folded,
    )


def _newest(schedule: Schedule, first: datetime, now: datetime) -> tuple[list[datetime], int, datetime | None]:
    """Return the newest slots from ``first`` to now, how many there are in all, and the last that is not returned."""
    count = 1 + schedule.count(first, now)
    if count <= MOST_RECORDED:
        return [first, *schedule.slots(first, now)], count, None
    span = _MINUTE
    while schedule.count(now - span, now) <= MOST_RECORDED and now - span > first:
        span *= 2
    slots = list(schedule.slots(max(now - span, first), now))
    return slots[-MOST_RECORDED:], count, slots[-MOST_RECORDED - 1] if len(slots) > MOST_RECORDED else first


def _judged(slots: list[datetime], now: datetime, catchup: Catchup, window: float | None) -> Iterator[Due]:
    """Yield each slot with what becomes of it."""
    if not slots:
        return
    oldest = slots[0] if window is None else now - max(timedelta(seconds=window), ON_TIME)
    if catchup is Catchup.NONE:
        oldest = now - ON_TIME
    elif catchup is Catchup.ALL:
        oldest = max(oldest, slots[-MOST_CAUGHT_UP:][0])
    for slot in slots:
        if slot < oldest:
            yield Due(slot, "missed")
        elif catchup is Catchup.LATEST and slot is not slots[-1]:
            yield Due(slot, "coalesced")
        else:
            yield Due(slot)


def _slot(due: Due) -> datetime:
    return due.slot
