"""The pydantic model of the settings: what the file and the variables say is checked here, all of it at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, PlainValidator, Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from queuectl.diagnostics import InvalidManifest, Problem
from queuectl.document import Document, Unparsable
from queuectl.durations import format_duration
from queuectl.errors import UsageError
from queuectl.faults import Fault, KeyPath, faults
from queuectl.fields import BackoffBase, Duration, FilePath, Jitter, Priority, Program, Retries, TimeLimit
from queuectl.rules import choice, duration, not_as, shown, suggestion
from queuectl.settings_table import BY_VARIABLE, PREFIX, SETTINGS, Durability, Setting
from queuectl.settings_text import from_text
from queuectl.sizes import format_size, parse_size
from queuectl.visible import visible
from queuectl.wording import counted

_LONGEST_WAIT: Final = 3600.0
_SMALLEST_OUTPUT: Final = 1 << 10
_LARGEST_OUTPUT: Final = 1 << 40


class InvalidSettings(InvalidManifest):
    """Everything that is wrong with the settings file and the variables."""

    exit_code = 64

    def _text(self, *, excerpts: bool) -> str:
        head = f"the settings are not valid: {counted(len(self.problems), 'problem')}"
        return "\n".join([head, *self._lines(excerpts=excerpts)])


class _InVariable(Problem):
    """One thing that is wrong with the environment; ``path`` is the variable."""

    @property
    def place(self) -> str:
        return visible(self.path)


def _wait(value: object) -> float:
    seconds = duration(value)
    if seconds > _LONGEST_WAIT:
        raise ValueError(f"must be at most {format_duration(_LONGEST_WAIT)}: {shown(value)}")
    return seconds


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be a size like `64 KiB` or `10 MiB`, {not_as(value)}")
    size = parse_size(value) if isinstance(value, str) else value
    if not _SMALLEST_OUTPUT <= size <= _LARGEST_OUTPUT:
        limits = f"{format_size(_SMALLEST_OUTPUT)} to {format_size(_LARGEST_OUTPUT)}"
        raise ValueError(f"must be {limits}: {shown(value)}")
    return size


class DefaultsFields(TypedDict, total=False):
    """The job keys that hold for a whole queue."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    priority: Priority
    timeout: TimeLimit
    grace_period: Duration
    retries: Retries
    retry_delay: Duration
    backoff_base: BackoffBase
    backoff_max: Duration
    jitter: Jitter
    shell: Program


class RetentionFields(TypedDict, total=False):
    """How long runs are kept."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    completed: TimeLimit
    dead: TimeLimit
    cancelled: TimeLimit
    skipped: TimeLimit
    keep: Annotated[int, Strict(), Field(ge=0, le=1000)]


class SettingsFields(TypedDict, total=False):
    """The keys of `queuectl.toml`."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    db: FilePath
    workers: Annotated[int, Strict(), Field(ge=1, le=256)]
    drain_timeout: Duration
    busy_timeout: Annotated[float, PlainValidator(_wait)]
    durability: Annotated[Durability, PlainValidator(choice(Durability))]
    output_limit: Annotated[int, PlainValidator(_size)]
    defaults: DefaultsFields
    retention: RetentionFields


_ADAPTER: Final = TypeAdapter(SettingsFields)
_DEFAULT_KEYS: Final = tuple(DefaultsFields.__annotations__)
_TABLES: Final = {"defaults": _DEFAULT_KEYS, "retention": tuple(RetentionFields.__annotations__)}
_KEYS: Final = tuple(SettingsFields.__annotations__)


def check(document: Document, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the values, by the key of their setting, of a file's text with the variables over it.

    Raises InvalidSettings.
    """
    in_file: list[Problem] = []
    in_variables: list[Problem] = []
    written: dict[str, Any] = {}
    try:
        written = document.parse()
    except Unparsable as error:
        in_file.append(error.problem)
    said: dict[KeyPath, str] = {}
    for name, text in variables.items():
        if setting := BY_VARIABLE.get(name):
            _put(written, setting, from_text(setting.kind, text))
            said[setting.path] = name
        else:
            in_variables.append(_InVariable(path=name, message="unknown variable", hint=_similar_variable(name)))
    for fault in _faults(written, lambda at: ("", len(at)) if at in said else _place(at)):
        if fault.at in said:
            in_variables.append(_InVariable(path=said[fault.at], message=fault.sentence, hint=fault.hint))
        else:
            in_file.append(document.problem(fault))
    problems = sorted(in_file, key=lambda problem: (problem.line, problem.column)) + in_variables
    if problems:
        raise InvalidSettings(problems)
    return _flat(_ADAPTER.validate_python(written))


def check_value(setting: Setting, value: object) -> Any:
    """Return the checked value of one setting; raises UsageError if it may not have it."""
    written: dict[str, Any] = {}
    _put(written, setting, value)
    for fault in _faults(written, lambda _: ("", 0)):
        raise UsageError(fault.sentence, hint=fault.hint)
    return _flat(_ADAPTER.validate_python(written))[setting.key]


def _faults(written: Mapping[str, Any], place: Callable[[KeyPath], tuple[str, int]]) -> list[Fault]:
    try:
        _ADAPTER.validate_python(written)
    except ValidationError as error:
        return [_moved(fault) for fault in faults(error, known=_known_keys, place=place)]
    return []


def _moved(fault: Fault) -> Fault:
    """Return the fault of an unknown key, which might only stand in the wrong table, with a hint that says so."""
    if fault.is_key and len(fault.at) == 1 and fault.at[0] in _DEFAULT_KEYS:
        return replace(fault, hint=f"`{fault.at[0]}` belongs below `[defaults]`")
    return fault


def _known_keys(table: KeyPath) -> Sequence[str]:
    return _TABLES[str(table[0])] if table else _KEYS


def _place(at: KeyPath) -> tuple[str, int]:
    return (f"`[{at[0]}]`: ", 1) if len(at) > 1 else ("", 0)


def _put(written: dict[str, Any], setting: Setting, value: object) -> None:
    *tables, key = setting.path
    table = written
    for name in tables:
        table = table.setdefault(name, {})
    if isinstance(table, dict):  # if it is none, that is one of the faults
        table[key] = value


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    in_tables = {f"{name}.{key}": value for name in _TABLES for key, value in values.get(name, {}).items()}
    return {key: value for key, value in values.items() if key not in _TABLES} | in_tables


def _similar_variable(name: str) -> str | None:
    """Return a hint; what all names begin with does not make them alike."""
    known = [setting.variable.removeprefix(PREFIX) for setting in SETTINGS]
    hint = suggestion(name.removeprefix(PREFIX), known)
    return hint and re.sub("`(?=[A-Z])", f"`{PREFIX}", hint)
