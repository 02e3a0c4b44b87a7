"""Frozen values made quickly, as unpickling makes them.

``__init__`` of a frozen dataclass sets each field by a call of its own; a run has seventeen, and several are made of
it on its way through the queue. For dataclasses without slots and without ``__post_init__``.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")


def revived(kind: type[Value], attributes: Mapping[str, Any]) -> Value:
    """Return a value of ``kind`` with all its attributes given."""
    value = object.__new__(kind)
    value.__dict__.update(attributes)
    return value


def changed(value: Value, **attributes: Any) -> Value:
    """Return ``value`` with some attributes changed: what ``dataclasses.replace`` does, six times as fast."""
    present = value.__dict__
    assert attributes.keys() <= present.keys(), attributes
    return revived(type(value), {**present, **attributes})
