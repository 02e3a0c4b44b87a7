"""A TOML text that a person wrote: read safely, and asked where in it something is wrong."""

from functools import cached_property
from typing import Any, Final

import tomli

from queuectl.diagnostics import Positions, Problem
from queuectl.faults import Fault
from queuectl.limits import breach, why_unparsed
from queuectl.visible import visible

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Unparsable(Exception):
    """A text is no TOML, or breaks a limit; ``problem`` says where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Document:
    """The text of the file at ``path``."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self._source = source
        self._decoded: dict[int, str] = {}

    def parse(self) -> dict[str, Any]:
        """Return the values in it; raises Unparsable."""
        if self._source.startswith(_BYTE_ORDER_MARK):
            raise self._unparsable("begins with a byte order mark: save it as UTF-8 without one", 0)
        if passed := breach(self._source):
            raise self._unparsable(*passed)
        try:
            return tomli.loads(self._source.decode())
        except UnicodeDecodeError as error:
            raise self._unparsable("not UTF-8 text", error.start) from None
        except tomli.TOMLDecodeError as error:
            message = f"not valid TOML: {_in_our_words(error.msg)}"
            raise Unparsable(self._problem(message, error.lineno, error.colno)) from None
        except (RecursionError, ValueError):
            raise self._unparsable(*why_unparsed(self._source)) from None

    def problem(self, fault: Fault) -> Problem:
        """Return a fault with its place."""
        line, column = self._positions.of_key(fault.at) if fault.is_key else self._positions.of(fault.at)
        return self._problem(fault.sentence, line, column, fault.hint)

    def _unparsable(self, message: str, offset: int) -> Unparsable:
        before = self._source[:offset]
        start = before.rfind(b"\n") + 1
        return Unparsable(
            self._problem(message, before.count(b"\n") + 1, len(before[start:].decode(errors="replace")) + 1)
        )

    def _problem(self, message: str, line: int, column: int, hint: str | None = None) -> Problem:
        return Problem(
            path=self.path, line=line, column=column, message=message, hint=hint, source_line=self._line(line)
        )

    def _line(self, number: int) -> str:
        # Kept, so that many problems of one long line share it.
        if number not in self._decoded:
            self._decoded[number] = self._lines[number - 1].removesuffix(b"\r").decode(errors="replace")
        return self._decoded[number]

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self._source)

    @cached_property
    def _lines(self) -> list[bytes]:
        return self._source.split(b"\n")


def _in_our_words(message: str) -> str:
    if message == r"Illegal character '\n'":
        return "the string does not end on its line"
    return visible(message[:1].lower() + message[1:])
