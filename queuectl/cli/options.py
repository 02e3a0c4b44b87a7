"""Values of options, checked by the same rules as those of manifests, without pydantic: commands start fast."""

from collections.abc import Callable
from typing import Any, TypeVar

from queuectl.errors import UsageError

Value = TypeVar("Value")


def checked(option: str, rule: Callable[[Any], Value], written: object) -> Value:
    """Return what ``rule`` makes of what was written for an option; raises UsageError, which names the option."""
    try:
        return rule(written)
    except ValueError as error:
        raise UsageError(f"`{option}` {error}", hint=getattr(error, "hint", None)) from None
