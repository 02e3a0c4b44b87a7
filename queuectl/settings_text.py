"""The values of settings as words on a command line and in variables."""

import json
import re
import shlex
from typing import Any, Final

from queuectl.settings_table import Kind
from queuectl.sizes import format_size

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?")
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}


def from_text(kind: Kind, text: str) -> Any:
    """Return the value that TOML would have for ``text``.

    What cannot be read as such a value comes back as it is, for the rules to refuse.
    """
    number = _NUMBER.fullmatch(text)
    match kind:
        case Kind.WHOLE | Kind.NUMBER | Kind.DURATION | Kind.SIZE if number:
            return float(text) if number[1] else int(text)
        case Kind.PROGRAM:
            return _words(text)
    return text


def to_text(kind: Kind, value: Any) -> str:
    """Return a value as ``from_text`` takes it; `none` for no value."""
    if value is None:
        return "none"
    match kind:
        case Kind.DURATION:
            return _exact_duration(value)
        case Kind.SIZE:
            return format_size(value)
        case Kind.PROGRAM:
            return shlex.join(value)
        case Kind.NUMBER:
            return f"{value:g}"
    return str(value)


def _words(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith("[") else shlex.split(text)
    except (ValueError, RecursionError):
        return text


def _exact_duration(seconds: float) -> str:
    """Return `1h30m`, `30s`, `0.25s`: nothing is rounded, as it is in what only people read."""
    parts = []
    for unit, size in _UNITS.items():
        count, seconds = (divmod(seconds, size)) if unit != "s" else (seconds, 0.0)
        if count:
            parts.append(f"{count!r}".removesuffix(".0") + unit)
    return "".join(parts) or "0s"
