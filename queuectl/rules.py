"""What the values that people write must be like, wherever they write them.

Each rule takes a value and returns it as it is kept; it raises ValueError with a sentence that goes on after the
name of the key or option: "must not be empty". Standard library only: the command line checks its options with these.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from difflib import get_close_matches
from enum import StrEnum
from math import ceil
from typing import TypeVar

from queuectl.durations import LONGEST, format_duration, parse_duration
from queuectl.errors import did_you_mean
from queuectl.sizes import format_size, parse_size
from queuectl.visible import visible
from queuectl.wording import counted

Word = TypeVar("Word", bound=StrEnum)

LONGEST_ARGUMENT = 131_071
"""Bytes in one argument of a program or one `NAME=value`: Linux starts no program with a longer one."""

_LEAST_MEMORY = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@=+-]{0,62}")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OUR_RUN_ID = re.compile(r"r[0-9]+")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = "QUEUECTL_"
_SHOWN = 60
_ALMOST = 0.85

# In words that hold for TOML and for JSON; bool before int and datetime before date, which they are kinds of.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    (int, "a whole number"),
    (float, "a number with a fraction"),
    (str, "a string"),
    (dict, "a table"),
    ((list, tuple), "a list"),
    (datetime, "a date and time"),
    (date, "a date"),
    (time, "a time of day"),
)


class Refused(ValueError):
    """A value breaks a rule, and there is something to say about how to keep it.

    Instead of a ``hint``, the ``word`` that is not one of the ``known``.
    """

    def __init__(self, sentence: str, *, hint: str | None = None, word: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(sentence)
        self._hint = hint
        self.word, self.known = word, known

    @property
    def hint(self) -> str | None:
        """What to do about it; looking for the nearest of many words takes milliseconds, so only when asked."""
        return self._hint or suggestion(self.word, self.known)


def name(value: object) -> str:
    """Return the name of a manifest or a job."""
    written = text(value)
    if not _NAME.fullmatch(written):
        raise ValueError(f"must be 1 to 63 of a-z, 0-9, `.`, `_` and `-`, a letter or digit first: {shown(written)}")
    return written


def tag(value: object) -> str:
    """Return a tag."""
    written = text(value)
    if not _TAG.fullmatch(written):
        raise ValueError(f"must be 1 to 63 letters, digits or `._:/@=+-`, a letter or digit first: {shown(written)}")
    return written


def run_id(value: object) -> str:
    """Return an id that a person gives a run."""
    written = text(value)
    if not _RUN_ID.fullmatch(written):
        raise ValueError(f"must be 1 to 64 letters, digits or `._-`, a letter or digit first: {shown(written)}")
    if _OUR_RUN_ID.fullmatch(written):
        raise ValueError(f"must not be `r` and a number, which is how queuectl names runs: {shown(written)}")
    return written


def text(value: object) -> str:
    """Return a string without NUL and lone surrogates, which no program and no file takes."""
    if not isinstance(value, str):
        raise ValueError(f"must be a string, {not_as(value)}")
    _bytes_in(value)
    return value


def path(value: object) -> str:
    """Return the path of a file or a folder."""
    written = text(value)
    if not written:
        raise ValueError("must not be empty")
    return written


def command(value: object) -> str | tuple[str, ...]:
    """Return a line for the shell, or the program and its arguments as a tuple."""
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("must not be empty")
        _fit([value])
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a string or a list of strings, {not_as(value)}")
    return program(value)


def program(value: object) -> tuple[str, ...]:
    """Return a program and its arguments."""
    if not isinstance(value, list | tuple):
        raise Refused(f"must be a list of strings, {not_as(value)}", hint='for example `["bash", "-c"]`')
    if not value:
        raise ValueError("must not be empty: it needs a program")
    for number, item in enumerate(value, start=1):
        if not isinstance(item, str):
            raise ValueError(f"must have strings only; item {number} is {_kind(item)}: {shown(item)}")
    if not value[0].strip():
        raise ValueError("must begin with a program: item 1 is empty")
    _fit(value)
    return tuple(value)


def env_name(value: object) -> str:
    """Return the name of an environment variable that a job may have."""
    written = text(value)
    if not _ENV_NAME.fullmatch(written):
        raise ValueError(f"must have names of letters, digits and `_`, no digit first: {shown(written)}")
    if written.startswith(_RESERVED):
        raise ValueError(f"must not have names with `{_RESERVED}`, which queuectl sets itself: {shown(written)}")
    return written


def environment(value: dict[str, str]) -> dict[str, str]:
    """Return environment variables, each of them short enough for a program to be started with it."""
    for variable, content in value.items():
        _fit([variable, "=", content], what=f"`{variable}`")
    return value


def memory(value: object) -> int:
    """Return an amount of memory in bytes, enough to start a program in; a bare number is bytes."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be a size like `512M` or `2 GiB`, {not_as(value)}")
    size = parse_size(value) if isinstance(value, str) else value
    if size < _LEAST_MEMORY:
        raise ValueError(f"must be at least {format_size(_LEAST_MEMORY)}: {shown(value)}")
    return size


def cpu_seconds(value: object) -> int:
    """Return processor time as the kernel limits it: in whole seconds, at least one."""
    return max(ceil(time_limit(value)), 1)


def choice(words: type[Word]) -> Callable[[object], Word]:
    """Return the rule that a value is one of the words of an enumeration."""

    def rule(value: object) -> Word:
        for word in words:
            if value == word.value:
                return word
        known = " or ".join(f"`{word.value}`" for word in words)
        raise ValueError(f"must be {known}: {shown(value)}")

    return rule


def duration(value: object) -> float:
    """Return the seconds of a duration; a bare number is seconds."""
    if isinstance(value, str):
        return _parse(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a duration like `90s`, `15m` or `1h30m`, {not_as(value)}")
    if not value >= 0:  # NaN is neither
        raise ValueError(f"must be a duration of 0 or more: {shown(value)}")
    if value > LONGEST:
        raise ValueError(f"must be at most {format_duration(LONGEST)}: {shown(value)}")
    return float(value)


def time_limit(value: object) -> float:
    """Return the seconds of a duration that cannot be 0."""
    seconds = duration(value)
    if not seconds:
        raise ValueError(f"must be more than 0: {shown(value)}")
    return seconds


def distinct(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags, each once, in their order."""
    return tuple(dict.fromkeys(tags))


def exit_codes(value: Iterable[int]) -> tuple[int, ...]:
    """Return exit codes in one order, each once: they are a set."""
    return tuple(sorted(set(value)))


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known words most like ``word``, one if it is hardly another; None if none is."""
    if not 0 < len(word) <= _SHOWN:
        return None
    words = list(known)
    return did_you_mean(word, get_close_matches(word, words, n=1, cutoff=_ALMOST) or words)


def not_as(value: object) -> str:
    """Return the words for a value of the wrong kind: "not a string: `3`"."""
    return "not null" if value is None else f"not {_kind(value)}: {shown(value)}"


def shown(value: object) -> str:
    """Return a value as a message shows it: short, on one line and inert."""
    match value:
        case bool():
            return str(value).lower()
        case int() if abs(value) >= 10**_SHOWN:
            return "a number of very many digits"
        case int() | float():
            return str(value)
        case str():
            return f"`{visible(value if len(value) <= _SHOWN else value[: _SHOWN - 1] + '…')}`"
        case dict():
            return counted(len(value), "key")
        case list() | tuple():
            return counted(len(value), "item")
        case None:
            return "null"
        case _:
            return f"`{value}`"


def _kind(value: object) -> str:
    for type_, words in _KINDS:
        if isinstance(value, type_):
            return words
    return "null"


def _parse(written: str) -> float:
    if len(written) > _SHOWN:
        raise ValueError(f"must be a duration like `90s`, `15m` or `1h30m`: {shown(written)}")
    try:
        return parse_duration(written)
    except ValueError as error:
        raise ValueError(visible(str(error))) from None


def _fit(arguments: Sequence[str], *, what: str = "it") -> None:
    size = sum(map(_bytes_in, arguments))
    if size > LONGEST_ARGUMENT:
        raise ValueError(f"must have at most {LONGEST_ARGUMENT:,} bytes; {what} has {size:,}")


def _bytes_in(written: str) -> int:
    if "\0" in written:
        raise ValueError(f"must not have a NUL character: {shown(written)}")
    try:
        return len(written.encode())
    except UnicodeEncodeError:
        raise ValueError(f"must be Unicode text, without lone surrogates: {shown(written)}") from None
