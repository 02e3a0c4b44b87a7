"""Pydantic's errors in our own words, for everything that people write."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from queuectl.rules import Refused, not_as, shown, suggestion

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]

MOST_FAULTS: Final = 10_000
"""A hostile file may have millions: these are enough to show."""

_MOST_SUGGESTIONS: Final = 100  # each takes milliseconds

_WANTED: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "mapping_type": "a table",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with what was written.

    ``at`` is the path of keys and list indexes to it; ``is_key`` says that the key is wrong, not its value.
    """

    at: KeyPath
    sentence: str
    hint: str | None = None
    is_key: bool = False


def faults(
    error: "ValidationError",
    *,
    known: Callable[[KeyPath], Iterable[str]],
    place: Callable[[KeyPath], tuple[str, int]] = lambda _: ("", 0),
) -> list[Fault]:
    """Return the faults that pydantic found, in its order, not more than ``MOST_FAULTS``.

    ``known`` names the keys that a table may have, by the table's path. ``place`` returns the words that go before a
    sentence about a path ("job `sync`: "), and how many parts of the path they stand for.
    """
    hints = _Hints()
    return [_fault(each, known, place, hints) for each in error.errors(include_url=False)[:MOST_FAULTS]]


def named(at: KeyPath, sentence: str) -> str:
    """Return the sentence with the key it is about: `` `env.HOME` must be …``, `` `tags` item 2 must be …``."""
    keys = ".".join(part for part in at if isinstance(part, str))
    items = "".join(f" item {part + 1}" for part in at if isinstance(part, int))
    return f"{shown(keys)}{items} {sentence}" if keys else sentence


class _Hints:
    def __init__(self) -> None:
        self._found: dict[str, str | None] = {}

    def of(self, word: str, known: Iterable[str]) -> str | None:
        if word not in self._found and len(self._found) < _MOST_SUGGESTIONS:
            self._found[word] = suggestion(word, known)
        return self._found.get(word)


def _fault(
    error: "ErrorDetails",
    known: Callable[[KeyPath], Iterable[str]],
    place: Callable[[KeyPath], tuple[str, int]],
    hints: _Hints,
) -> Fault:
    at: KeyPath = error["loc"]
    is_key = at[-1:] == ("[key]",)
    if is_key:
        at = at[:-1]
    words, depth = place(at)
    cause = error.get("ctx", {}).get("error")
    if error["type"] == "extra_forbidden":
        key = str(at[-1])
        hint = hints.of(key, known(at[:-1]))
        return Fault(at=at, sentence=f"{words}unknown key {shown(key)}", hint=hint, is_key=True)
    hint = None
    if isinstance(cause, Refused):
        hint = hints.of(cause.word, cause.known) if cause.word else cause.hint
    sentence = str(cause) if isinstance(cause, ValueError) else _sentence(error)
    if is_key and len(at) == depth:
        sentence = f"the name {sentence}"
    return Fault(at=at, sentence=words + named(at[depth : -1 if is_key else None], sentence), hint=hint, is_key=is_key)


def _sentence(error: "ErrorDetails") -> str:
    value, limits = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing"
        case "greater_than_equal":
            return f"must be {limits['ge']:n} or more: {shown(value)}"
        case "less_than_equal":
            return f"must be {limits['le']:n} or less: {shown(value)}"
        case "finite_number":
            return f"must be a number: {shown(value)}"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"must have at most {limits['max_length']} items"
        case "literal_error" | "enum":
            return f"must be {limits['expected'].replace(chr(39), '`')}: {shown(value)}"
        case "float_type" if isinstance(value, int) and not isinstance(value, bool):
            return f"is too large: {shown(value)}"
        case type if type in _WANTED:
            return f"must be {_WANTED[type]}, {not_as(value)}"
        case _:
            return f"is not valid: {error['msg']}"
