"""Runs that belong to no manifest, as JSON: `{"id": "job1", "command": "sleep 2", "max_retries": 3}`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from pydantic import TypeAdapter, ValidationError

from queuectl.errors import UsageError
from queuectl.faults import Fault, faults, named
from queuectl.fields import Retries, RunId, SpecFields, WrittenTime, clashing_exit_codes, merge, to_spec
from queuectl.instants import to_instant
from queuectl.rules import shown
from queuectl.spec import JobSpec

LONGEST_TEXT: Final = 1_048_576
"""Characters in the JSON of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adhoc:
    """A run that a person describes; ``id`` and ``run_at`` are None where queuectl is to choose."""

    spec: JobSpec
    id: str | None = None
    run_at: datetime | None = None


class AdhocFields(SpecFields, total=False):
    """The keys of an ad-hoc run."""

    id: RunId
    max_retries: Retries
    run_at: WrittenTime


ADHOC_KEYS: Final = tuple(AdhocFields.__annotations__)

_MOST_DIGITS: Final = 20

_ADAPTER: Final = TypeAdapter(AdhocFields)


def parse_adhoc(
    source: str | Mapping[str, object], *, folder: Path | str, defaults: Mapping[str, object] | None = None
) -> Adhoc:
    """Return the run that a JSON object, or a mapping like one, describes.

    Relative paths start in ``folder``, which is absolute; ``defaults`` are validated job keys, weaker than those of
    ``source``. Raises UsageError with every mistake.
    """
    written = _object(source) if isinstance(source, str) else dict(source)
    try:
        values: dict[str, Any] = dict(_ADAPTER.validate_python(written))
    except ValidationError as error:
        _refuse(faults(error, known=lambda at: () if at else ADHOC_KEYS))
    if "command" not in values:
        _refuse([Fault(at=(), sentence=named(("command",), "is missing"))])
    if "max_retries" in values:
        if "retries" in values:
            _refuse([Fault(at=(), sentence="`retries` and `max_retries` are one key: give one of them")])
        values["retries"] = values.pop("max_retries")
    weaker = defaults or {}
    merged = merge(weaker, values)
    if clashing := clashing_exit_codes(merged):
        _refuse([Fault(at=(), sentence=f"`fail_on_exit_codes` has {clashing[0]}, which `success_exit_codes` has too")])
    return Adhoc(spec=to_spec(merged, folder=folder), id=values.get("id"), run_at=_run_at(values, weaker))


def _run_at(values: Mapping[str, Any], defaults: Mapping[str, object]) -> datetime | None:
    if "run_at" not in values:
        return None
    zone = defaults.get("timezone")
    try:
        return to_instant(values["run_at"], zone=zone if isinstance(zone, str) else None)
    except ValueError as error:
        raise UsageError(named(("run_at",), str(error)), hint=getattr(error, "hint", None)) from None


def _object(text: str) -> dict[str, object]:
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"the JSON of a run must have at most {LONGEST_TEXT:,} characters; it has {len(text):,}")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        raise UsageError(f"not valid JSON at character {error.pos + 1}: {problem}: {shown(text)}") from None
    except RecursionError:
        raise UsageError(f"not valid JSON: nested too deeply: {shown(text)}") from None
    except ValueError as error:
        raise UsageError(f"not valid JSON: {error}: {shown(text)}") from None
    if not isinstance(value, dict):
        raise UsageError(f'a run in JSON is an object like `{{"command": "sleep 2"}}`: {shown(text)}')
    return value


def _without_repetition(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key)} comes twice")
            seen.add(key)
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(digits):,} digits is too large")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a value of JSON")


# Made once: json.loads makes one for each text, and a batch has many.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_repetition, parse_int=_integer, parse_constant=_no_constant
)


def _refuse(found: Sequence[Fault]) -> NoReturn:
    hints = {fault.hint for fault in found if fault.hint}
    hint = hints.pop() if len(hints) == 1 else None
    if len(found) == 1:
        raise UsageError(found[0].sentence, hint=hint)
    lines = [f"  {fault.sentence}" + (f" ({fault.hint})" if fault.hint and not hint else "") for fault in found]
    raise UsageError("\n".join([f"the run has {len(found)} problems", *lines]), hint=hint)
