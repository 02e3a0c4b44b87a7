"""What a hook must be like, wherever people write it: a command, or a table with a command or an address."""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from queuectl import rules
from queuectl.hook import RETRIES, TIMEOUT, Hook
from queuectl.rules import Refused, not_as, shown

_KEYS: Final = ("command", "url", "timeout", "retries")
_LONGEST_TIMEOUT: Final = 600.0
_MOST_RETRIES: Final = 100
_VARIABLE: Final = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\}|\$)", re.ASCII)


def hook(value: object) -> Hook:
    """Return a hook: a command as a string or a list, or a table with the keys of one."""
    if isinstance(value, Hook):
        return value
    if not isinstance(value, dict):
        if not isinstance(value, str | list | tuple):
            raise Refused(f"must be a command or a table, {not_as(value)}", hint='for example `{ url = "https://…" }`')
        return Hook(command=rules.command(value), retries=RETRIES["command"])
    for key in value:
        if key not in _KEYS:
            raise Refused(f"has an unknown key {shown(key)}", word=str(key), known=_KEYS)
    if ("command" in value) == ("url" in value):
        raise ValueError("must have either a `command` or a `url`")
    kind = "url" if "url" in value else "command"
    check = url if kind == "url" else rules.command
    return Hook(
        **{kind: _checked(kind, check, value[kind])},
        timeout=_checked("timeout", _timeout, value.get("timeout", TIMEOUT)),
        retries=_checked("retries", _retries, value.get("retries", RETRIES[kind])),
    )


def url(value: object) -> str:
    """Return an address of the web; `${NAME}` in it stands for a variable that the job has."""
    written = rules.text(value)
    if any(character.isspace() or not character.isprintable() for character in written):
        raise ValueError(f"must not have blanks or control characters: {shown(written)}")
    if "$" in _VARIABLE.sub("", written):
        raise ValueError(f"must write a `$` as `$$` where it stands for no variable: {shown(written)}")
    if written.startswith("$") and not written.startswith("$$"):
        return written
    try:
        parts = urlsplit(written)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"must be an address like `https://example.org/hook`: {shown(written)}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"must be an address like `https://example.org/hook`: {shown(written)}")
    return written


def _timeout(value: object) -> float:
    seconds = rules.time_limit(value)
    if seconds > _LONGEST_TIMEOUT:
        raise ValueError(f"must be at most 10m: {shown(value)}")
    return seconds


def _retries(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, {not_as(value)}")
    if not 0 <= value <= _MOST_RETRIES:
        raise ValueError(f"must be from 0 to {_MOST_RETRIES}: {shown(value)}")
    return value


def _checked(key: str, rule: Callable[[object], Any], value: object) -> Any:
    """Return what the rule makes of the value of one key of the table; the sentence names the key."""
    try:
        return rule(value)
    except ValueError as error:
        raise Refused(f"has a `{key}` that {error}", hint=getattr(error, "hint", None)) from None
