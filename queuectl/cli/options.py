"""Values of options, checked by the same rules as those of manifests, without pydantic: commands start fast."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from queuectl import rules
from queuectl.errors import UsageError

Value = TypeVar("Value")


def checked(option: str, rule: Callable[[Any], Value], written: object) -> Value:
    """Return what ``rule`` makes of what was written for an option; raises UsageError, which names the option."""
    try:
        return rule(written)
    except ValueError as error:
        raise UsageError(f"`{option}` {error}", hint=getattr(error, "hint", None)) from None


def rate(written: str) -> timedelta:
    """Return the time between two of so many in a time: `10/m`, `1/30s`, at least one a day; raises ValueError."""
    count, _, unit = written.partition("/")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", count, re.ASCII) or not unit:
        raise ValueError(f"must be a number and a time like `10/m` or `1/30s`: {rules.shown(written)}")
    apart = timedelta(seconds=rules.time_limit(unit if unit[0].isdigit() else f"1{unit}") / int(count))
    if apart > timedelta(days=1):
        raise ValueError(f"must be at least one a day: {rules.shown(written)}")
    return apart
