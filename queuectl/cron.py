"""Cron expressions: what their five fields allow, and which local times they name.

As Debian's cron reads them, but what it lets pass in silence is refused. The days are found by the library cronsim,
which is imported for the first search. No time zone matters here: local times are datetimes that bear the label UTC.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from queuectl.rules import Refused, shown

MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_ITEM = re.compile(r"(\*|[0-9]+|[a-z]{3})(?:-([0-9]+|[a-z]{3}))?(?:/([0-9]+))?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"([a-z]{3})[a-z]+", re.ASCII | re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MOST_CHARACTERS = 500
_TEST_THE_DATE = "name more days than needed, and let the command test the date"
_EVERY_DAY = "* * *"
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """What one of the five fields may hold; ``size`` is after how many its values come again, if that is always so."""

    name: str
    wanted: str
    first: int
    last: int
    size: int | None
    names: tuple[str, ...] = ()

    def number(self, written: str) -> int | None:
        """Return the number of a value as written, None if it is none of this field's."""
        if not written.isdigit():
            names = self.names
            return names.index(written.lower()) + self.first if written.lower() in names else None
        value = int(written)
        return value if self.first <= value <= self.last else None


KINDS: Final = (
    Kind("minute", "a minute from 0 to 59", 0, 59, 60),
    Kind("hour", "an hour from 0 to 23", 0, 23, 24),
    Kind("day of month", "a day of month from 1 to 31", 1, 31, None),
    Kind("month", "a month from 1 to 12 or `jan` to `dec`", 1, 12, 12, _MONTHS),
    Kind("day of week", "a day of week from 0 to 7 or `sun` to `sat`", 0, 7, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its text, and the values that match it. A Sunday is 0."""

    kind: Kind
    text: str
    values: frozenset[int]

    @property
    def is_starred(self) -> bool:
        """Whether cron takes it for unrestricted: by its first character, whatever follows."""
        return self.text.startswith("*")

    def steps(self) -> Iterator[tuple[str, int]]:
        """Yield each item that goes through all values of the field by a step of 2 or more, with that step."""
        for item in self.text.split(","):
            first, last, step = _item(self.kind, item)
            if (first, last) == (self.kind.first, self.kind.last) and step > 1:
                yield item, step


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """One field and a local time: what it is compared with, and whether it matches."""

    name: str
    text: str
    value: int
    is_matched: bool


@dataclass(frozen=True, slots=True)
class Cron:
    """The five fields of an expression; the times of day that minute and hour name, in order; the rest for cronsim."""

    fields: tuple[Field, ...]
    times: tuple[timedelta, ...]
    days: str

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether minute or hour is starred: such times are not made up for, and come twice, when clocks change."""
        minute, hour, *_ = self.fields
        return minute.is_starred or hour.is_starred

    @property
    def is_either_day(self) -> bool:
        """Whether one of the two day fields is enough: if neither is starred. Otherwise a day must match both."""
        return not (self.fields[2].is_starred or self.fields[4].is_starred)

    def local_times(self, low: datetime, high: datetime, *, minus: timedelta = timedelta()) -> Iterator[datetime]:
        """Yield the local times from ``low`` to before ``high``, each ``minus`` the offset of its zone."""
        for midnight, begin, end in self._days(low, high):
            base = midnight - minus
            for since_midnight in self.times[begin:end]:
                yield base + since_midnight

    def count(self, low: datetime, high: datetime) -> int:
        """Return how many local times there are from ``low`` to before ``high``."""
        return sum(end - begin for _, begin, end in self._days(low, high))

    def compare(self, local: datetime) -> tuple[FieldMatch, ...]:
        """Return each field with what it is compared with at a local time."""
        values = (local.minute, local.hour, local.day, local.month, local.isoweekday() % 7)
        return tuple(
            FieldMatch(field.kind.name, field.text, value, value in field.values)
            for field, value in zip(self.fields, values, strict=True)
        )

    def names(self, local: datetime) -> bool:
        """Return whether the expression names a minute of local time."""
        minute, hour, day, month, weekday = (match.is_matched for match in self.compare(local))
        return minute and hour and month and (day or weekday if self.is_either_day else day and weekday)

    def is_even_after(self, shift: timedelta) -> bool:
        """Return whether clocks that are put on or back by ``shift`` show the same times of day as before."""
        return {(time + shift) % _DAY for time in self.times} == {*self.times}

    def remarks(self) -> list[str]:
        """Return what an expression does that people are often surprised by, a sentence each."""
        return [*self._uneven_steps(), *self._two_days()]

    def _days(self, low: datetime, high: datetime) -> Iterator[tuple[datetime, int, int]]:
        """Yield each midnight of a day that matches, and which of the times of this day lie in the range."""
        for midnight in self._midnights(datetime.combine(low, time(), UTC)):
            if midnight >= high:
                return
            yield midnight, bisect_left(self.times, low - midnight), bisect_left(self.times, high - midnight)

    def _midnights(self, first: datetime) -> Iterator[datetime]:
        """Yield the midnights from the first on, without end, of the days that match."""
        if self.days == _EVERY_DAY:  # most schedules: no search
            while True:
                yield first
                first += _DAY
        from cronsim import CronSim

        yield from CronSim(f"0 0 {self.days}", first - _SECOND)

    def _uneven_steps(self) -> Iterator[str]:
        for place, field in enumerate(self.fields):
            kind = field.kind
            for item, step in field.steps():
                last = kind.first + (kind.last - kind.first) // step * step
                follows_all = place < 2 and all(other.text == "*" for other in self.fields[place + 1 :])
                even = f"; `@every {step}{'mh'[place]}` goes on evenly" if follows_all else ""
                if last == kind.first:
                    yield f"the {kind.name} `{item}` means {last} only: the last of all is {kind.last}{even}"
                elif kind.size is None:
                    yield f"the {kind.name} `{item}` begins again with every month: after {last} comes {kind.first}"
                elif kind.size % step:
                    yield f"the {kind.name} `{item}` does not go on evenly: after {last} comes {kind.first}{even}"

    def _two_days(self) -> Iterator[str]:
        day, weekday = self.fields[2], self.fields[4]
        if "*" in (day.text, weekday.text):
            return
        if self.is_either_day:
            yield (
                f"both day fields are set, and either is enough: it runs on days of month `{day.text}`, "
                f"and on days of week `{weekday.text}`"
            )
        else:
            starred = day if day.is_starred else weekday
            yield (
                f"the {starred.kind.name} `{starred.text}` begins with `*`, so a day must match both day fields: "
                f"`{day.text}` and `{weekday.text}`"
            )


def parse_cron(written: str) -> Cron:
    """Return the meaning of five fields or a macro; raises ValueError with a sentence that can be shown."""
    if len(written) > _MOST_CHARACTERS:
        raise ValueError(f"must have at most {_MOST_CHARACTERS} characters: {shown(written)}")
    texts = MACROS.get(written, written).split()
    if written.startswith("@") and written not in MACROS:
        known = [*MACROS, "@every"]
        if written == "@reboot":
            hint = "let the machine's cron or systemd call `queuectl enqueue` when it starts"
            raise Refused("must be a time, and `@reboot` is none", hint=hint)
        raise Refused(
            f"must be one of {', '.join(known)} or five fields: {shown(written)}", word=written.lower(), known=known
        )
    if len(texts) != len(KINDS):
        raise _wrong_number(written, texts)
    fields = tuple(_field(kind, text) for kind, text in zip(KINDS, texts, strict=True))
    minute, hour, *_ = fields
    times = [timedelta(minutes=60 * h + m) for h in sorted(hour.values) for m in sorted(minute.values)]
    cron = Cron(fields, tuple(times), " ".join(map(_for_cronsim, fields[2:])))
    _check_that_it_comes(cron)
    return cron


def _field(kind: Kind, text: str) -> Field:
    values: set[int] = set()
    for item in text.split(","):
        first, last, step = _item(kind, item)
        values.update(range(first, last + 1, step))
    if kind.names is _WEEKDAYS:
        values = {value % 7 for value in values}
    return Field(kind, text, frozenset(values))


def _item(kind: Kind, item: str) -> tuple[int, int, int]:
    """Return first, last and step of one item of a list."""
    found = _ITEM.fullmatch(item)
    if not found:
        raise _unknown(kind, item)
    begin, end, by = found.groups()
    step = 1 if by is None else int(by)
    if not step:
        raise ValueError(f"must have steps of 1 or more in the {kind.name}: {shown(item)}")
    if begin == "*":
        if end:
            raise ValueError(f"must have `*` alone or with a step in the {kind.name}: {shown(item)}")
        return kind.first, kind.last, step
    first = kind.number(begin)
    last = kind.number(end) if end else first
    if first is None or last is None:
        raise _unknown(kind, item)
    if by and not end:
        hint = f"`{begin}-{kind.last}/{by}`"
        raise Refused(f"must have steps after `*` or a range in the {kind.name}: {shown(item)}", hint=hint)
    if last < first:
        both = f"`{_around(kind, first, last)}`" if step == 1 else None
        raise Refused(f"must have ranges that go up in the {kind.name}: {shown(item)}", hint=both)
    return first, last, step


def _for_cronsim(field: Field) -> str:
    """Return the text of a field for cronsim, which reads `5-5/2` as `5-31/2`."""
    items = ((item, *_item(field.kind, item)) for item in field.text.split(","))
    return ",".join(str(first) if first == last else item for item, first, last, _ in items)


def _around(kind: Kind, first: int, last: int) -> str:
    """Return a range that goes on at the beginning of its field, as one range or two."""
    if kind.names is _WEEKDAYS and last == 0:
        return f"{first}-7"
    top = kind.first + kind.size - 1 if kind.size else kind.last
    return ",".join(f"{low}-{high}" if low < high else f"{low}" for low, high in ((first, top), (kind.first, last)))


def _unknown(kind: Kind, item: str) -> ValueError:
    """Return what is wrong with an item that is none, and what to write instead where there is something."""
    if not item:
        return ValueError(f"must have a value on both sides of each comma in the {kind.name}")
    shown_item, upper = shown(item), item.upper()
    if "?" in item:
        return Refused(f"must not have `?` in the {kind.name}: {shown_item}", hint="`*` means the same")
    if upper == "H" or upper.startswith(("H/", "H(")):
        number = "write a number of your choice, another one for each job"
        return Refused(f"must not have `H` in the {kind.name}: {shown_item}", hint=number)
    if "#" in item or re.fullmatch(r"L(W|-?[0-9]+)?|[0-9]+[LW]|W|[A-Z]{3}L", upper, re.ASCII):
        sign = next(sign for sign in "#WL" if sign in upper)
        return Refused(f"must not have `{sign}` in the {kind.name}: {shown_item}", hint=_TEST_THE_DATE)
    hint = None
    if (name := _NAME.fullmatch(item)) and name[1].lower() in kind.names:
        hint = f"`{name[1].lower()}`"
    return Refused(f"must have {kind.wanted}: {shown_item}", hint=hint)


def _wrong_number(written: str, texts: list[str]) -> ValueError:
    if not texts:
        return Refused("must not be empty", hint="for example `30 2 * * *` or `@daily`")
    names = ", ".join(kind.name for kind in KINDS)
    hint = f"the fields are: {names}"
    if len(texts) == len(KINDS) + 1:
        step = re.fullmatch(r"\*/([1-9][0-9]*)", texts[0], re.ASCII)
        if {*texts[1:]} == {"*"} and (step or texts[0] == "*"):
            hint = f"for seconds: `@every {step[1] if step else 1}s`"
        else:
            hint = f"there are no seconds and no years: {shown(' '.join(texts[1:]))} or {shown(' '.join(texts[:-1]))}"
    return Refused(f"must have 5 fields, not {len(texts)}: {shown(written)}", hint=hint)


def _check_that_it_comes(cron: Cron) -> None:
    day, month = cron.fields[2], cron.fields[3]
    longest = max(_LONGEST_MONTHS[number - 1] for number in month.values)
    if not cron.is_either_day and min(day.values) > longest:
        raise ValueError(f"never comes: day of month `{day.text}`, but month `{month.text}` has {longest} at most")
