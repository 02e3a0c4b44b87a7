"""The applies: who changed what, when, from which commit, and whether more failed after it than before."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from queuectl.job import State
from queuectl.store import Apply
from queuectl.store.archive import ApplyLine, Archive

MOST: Final = 100
_NUMBER: Final = re.compile("[0-9]{1,15}")
_AROUND: Final = timedelta(hours=1)
_STEP: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ApplyList:
    """The latest applies, newest first."""

    now: datetime
    applies: tuple[ApplyLine, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """How many attempts failed in the hour before an apply and in the hour after it."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class OneApply:
    """An apply with its changes, None if there is none of this number, and what failed around it, if that is known."""

    now: datetime
    apply: Apply | None
    around: Around | None


def apply_list(store: Archive, now: datetime) -> ApplyList:
    """Return the latest applies."""
    return ApplyList(now, tuple(store.apply_lines(limit=MOST)))


def one_apply(store: Archive, now: datetime, number: str) -> OneApply:
    """Return one apply, and what failed around it, if that is known by the minute."""
    found = store.apply_numbered(int(number)) if _NUMBER.fullmatch(number) else None
    return OneApply(now, found, around(store, now, found) if found else None)


def around(store: Archive, now: datetime, apply: Apply) -> Around | None:
    """Return what failed around an apply; None if that is too long ago to be known by the minute."""
    if now - apply.applied_at > timedelta(hours=24):
        return None
    found = {True: 0, False: 0}
    for each in store.metric_series(since=apply.applied_at - _AROUND, step=_STEP):
        is_failure = each.event.is_attempt and each.state in (State.FAILED, State.DEAD)
        if is_failure and each.start is not None and each.start < apply.applied_at + _AROUND:
            found[each.start + _STEP > apply.applied_at] += each.measure.count
    return Around(before=found[False], after=found[True])


def diff_lines(change: dict[str, Any]) -> list[str]:
    """Return one change as the lines of a diff: what was, what is."""
    sign = {"create": "+", "remove": "-"}.get(str(change.get("action")), "~")
    renamed = f" (was {change['from']})" if "from" in change else ""
    lines = [f"{sign} {change.get('job')}{renamed}"]
    for key, (old, new) in dict(change.get("fields", {})).items():
        lines += [f"-     {key} = {old!r}", f"+     {key} = {new!r}"]
    return lines
