"""Questions that people ask in SQL: answered from what is there, within a time, and unable to change anything."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apsw

from queuectl.errors import NotInTime, UsageError, did_you_mean
from queuectl.store.watching import Watching
from queuectl.visible import visible

_STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock: well below a millisecond
_LARGEST_VALUE: Final = 64 << 20
_READING: Final = frozenset((apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE))
# They describe tables, and none of them has a value that changes how the connection works.
_PRAGMAS: Final = frozenset(
    ("table_list", "table_info", "table_xinfo", "index_list", "index_info", "index_xinfo", "foreign_key_list")
)
_UNKNOWN: Final = re.compile(r"no such table: (\S+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """The names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class _SecondStatement(Exception):
    pass


class Asking(Watching):
    """The side of the store that answers what nobody has foreseen."""

    def ask(self, sql: str, *, seconds: float) -> Answer:
        """Return the answer to one SELECT; raises UsageError if it is none, NotInTime if it takes longer.

        SQLite itself refuses whatever is not reading, also where the connection might write.
        """
        columns: list[str] = []

        def before_each(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
            if columns:
                raise _SecondStatement
            columns.extend(str(name) for name, *_ in cursor.get_description())
            return True

        cursor = self._connection.cursor()
        cursor.exec_trace = before_each
        try:
            with self._only_reading(seconds):
                answer = Answer(tuple(columns), cursor.execute(sql).fetchall())
        except apsw.InterruptError:
            hint = "ask for less, or wait longer with `--timeout`"
            raise NotInTime(f"no answer within {seconds:g} s", hint=hint) from None
        except _SecondStatement:
            raise UsageError("one question at a time: there is a second statement") from None
        except apsw.AuthError:
            raise UsageError("only reading is possible: `SELECT …`") from None
        except apsw.BindingsError:
            raise UsageError("a question has no parameters: write their values into it") from None
        except UnicodeDecodeError:
            hint = "`hex(…)` shows its bytes"
            raise UsageError("not to be shown: a text in the answer is not UTF-8", hint=hint) from None
        except (apsw.SQLError, apsw.TooBigError, apsw.MismatchError, apsw.RangeError) as error:
            raise UsageError(f"not to be answered: {visible(str(error))}", hint=self._similar(str(error))) from None
        except apsw.Error as error:
            raise self._explained(error) from error
        if not columns:
            raise UsageError("there is no question: `SELECT …`")
        return Answer(tuple(columns), answer.rows)

    @contextlib.contextmanager
    def _only_reading(self, seconds: float) -> Iterator[None]:
        """Let nothing inside write, take longer, or make values that do not fit into memory."""
        deadline = time.monotonic() + seconds
        largest = self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        self._connection.set_progress_handler(lambda: time.monotonic() >= deadline, _STEPS)
        self._connection.authorizer = _authorized
        try:
            yield
        finally:
            self._connection.authorizer = None
            self._connection.set_progress_handler(None)
            self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, largest)

    def _similar(self, message: str) -> str | None:
        """Return a hint if a table was named that is like one that there is."""
        unknown = _UNKNOWN.search(message)
        names = [str(name) for (name,) in self._all("names_of_tables")]
        return (unknown and did_you_mean(unknown[1], names)) or "docs/reference/sql.md has the views and their columns"


def _authorized(action: int, name: str | None, value: str | None, _database: str | None, _trigger: str | None) -> int:
    """Return SQLite's word for whether a step of a statement is reading."""
    is_reading = action in _READING or (action == apsw.SQLITE_PRAGMA and name in _PRAGMAS)
    if action == apsw.SQLITE_FUNCTION and value == "load_extension":
        is_reading = False
    return apsw.SQLITE_OK if is_reading else apsw.SQLITE_DENY
