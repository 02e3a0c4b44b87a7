"""What is wrong with the files that people write: where, in which words, and how that is shown.

The parser that knows the position of every key is imported when there is something to show.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tomli

from queuectl.errors import QueuectlError
from queuectl.visible import visible
from queuectl.wording import counted

if TYPE_CHECKING:
    from tree_sitter import Node

_EXCERPT_WIDTH: Final = 100
_MARGIN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a file; ``line`` and ``column``, in characters, count from 1.

    ``source_line`` is the line of the file, as it stands there; None if there is none to show.
    """

    path: str
    line: int = 1
    column: int = 1
    message: str
    hint: str | None = None
    source_line: str | None = None

    @property
    def place(self) -> str:
        """Return ``path:line:column``, which editors and terminals turn into a link."""
        return f"{visible(self.path)}:{self.line}:{self.column}"


class InvalidManifest(QueuectlError):
    """Files that are not valid manifests, with every problem of each."""

    exit_code = 65

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Final = tuple(problems)
        hints = list(dict.fromkeys(problem.hint for problem in self.problems if problem.hint))
        # A hint says to which problem it belongs, unless there is only one.
        self._shows_hints = len(hints) > 1
        super().__init__(self._text(excerpts=False), hint=hints[0] if len(hints) == 1 else None)

    def detailed(self) -> str:
        """Return the message with the line of each problem and a caret below it: for terminals."""
        return self._text(excerpts=True)

    def _text(self, *, excerpts: bool) -> str:
        return "\n".join([_head(self.problems), *self._lines(excerpts=excerpts)])

    def _lines(self, *, excerpts: bool) -> Iterator[str]:
        width = max((len(problem.place) for problem in self.problems), default=0)
        for problem in self.problems:
            hint = f" ({problem.hint})" if problem.hint and self._shows_hints else ""
            yield f"  {problem.place:<{width}}  {problem.message}{hint}"
            if excerpts and problem.source_line is not None:
                yield from excerpt(problem.source_line, problem.line, problem.column)


def excerpt(source_line: str, line: int, column: int) -> Iterator[str]:
    """Yield a line of a file with its number, and a caret below the column.

    Controls are shown as escapes, a tab as a space; of a long line, the part around the column.
    """
    start = 0 if column <= _EXCERPT_WIDTH - _MARGIN else column - 1 - _MARGIN
    before = _inert(source_line[start : column - 1])
    after = _inert(source_line[column - 1 : start + _EXCERPT_WIDTH])
    ellipsis = "…" if start else ""
    rest = "…" if len(source_line) > start + _EXCERPT_WIDTH else ""
    gutter = f"    {line:>6} | "
    yield f"{gutter}{ellipsis}{before}{after}{rest}".rstrip()
    yield f"    {'':>6} | {' ' * _columns(ellipsis + before)}^"


class Positions:
    """Where each key of a TOML document stands; parsed once, and each table read when it is first asked for."""

    def __init__(self, source: bytes) -> None:
        import tree_sitter_toml
        from tree_sitter import Language, Parser

        self._lines = source.split(b"\n")
        self._inner_bytes: dict[int, list[int]] = {}
        self._arrays: dict[int, list[Node]] = {}
        self._keys: dict[tuple[str, ...], Node] = {}
        self._values: dict[tuple[str, ...], Node] = {}
        root = Parser(Language(tree_sitter_toml.language())).parse(source).root_node
        self._unread: dict[tuple[str, ...], list[Node]] = {(): [root]}

    def of(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column of the value at a path of keys and list indexes.

        A table stands where its name does. What is not there stands where its nearest parent does.
        """
        return self._position(path, self._values)

    def of_key(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column of the key at a path."""
        return self._position(path, self._keys)

    def _position(self, path: Sequence[str | int], nodes: dict[tuple[str, ...], "Node"]) -> tuple[int, int]:
        keys = tuple(part for part in path if isinstance(part, str))
        for length in range(len(keys) + 1):
            self._read(keys[:length])
        node = nodes.get(keys)
        while node is None and keys:
            keys = keys[:-1]
            node = self._keys.get(keys)
        if node is None:
            return 1, 1
        for index in path[len(keys) :]:
            items = self._items(node)
            if isinstance(index, int) and index < len(items):
                node = items[index]
        row, column = node.start_point
        return row + 1, column - bisect_left(self._continuations(row), column) + 1

    def _items(self, node: "Node") -> list["Node"]:
        """Return the items of an array; none of anything else."""
        if node.type != "array":
            return []
        if node.id not in self._arrays:
            self._arrays[node.id] = [child for child in node.named_children if child.type != "comment"]
        return self._arrays[node.id]

    def _continuations(self, row: int) -> list[int]:
        """Return which bytes of a line do not begin a character."""
        if row not in self._inner_bytes:
            line = self._lines[row]
            inner = [] if line.isascii() else [place for place, byte in enumerate(line) if byte & 0xC0 == 0x80]
            self._inner_bytes[row] = inner
        return self._inner_bytes[row]

    def _read(self, table: tuple[str, ...]) -> None:
        """Note where the keys of one table stand, in all the parts of the document that add to it."""
        for node in self._unread.pop(table, ()):
            for child in node.named_children:
                if child.type in ("table", "table_array_element") and (name := child.named_child(0)):
                    self._unread.setdefault(self._name(table, name), []).append(child)
                elif child.type == "pair":
                    key, value, *_ = child.named_children  # a comment may follow
                    path = self._name(table, key)
                    self._values[path] = value
                    if value.type == "inline_table":
                        self._unread.setdefault(path, []).append(value)

    def _name(self, above: tuple[str, ...], key: "Node") -> tuple[str, ...]:
        """Note where each part of a key stands, its last part being what it is about; return the path of that."""
        path = above
        *parents, last = reversed(list(_parts(key)))
        for part in parents:
            path = (*path, _word(part))
            self._keys.setdefault(path, part)
            self._values.setdefault(path, part)
        path = (*path, _word(last))
        self._keys[path] = self._values[path] = last
        return path


def _parts(key: "Node") -> Iterator["Node"]:
    """Yield the parts of a key, the last first: a dotted key is a dotted key and one more."""
    while key.type == "dotted_key":
        key, last = key.named_children[0], key.named_children[-1]
        yield last
    yield key


def _word(part: "Node") -> str:
    written = (part.text or b"").decode(errors="replace")
    if part.type != "quoted_key":
        return written
    try:
        return next(iter(tomli.loads(f"{written} = 0")))
    except tomli.TOMLDecodeError:
        return written


def _head(problems: Sequence[Problem]) -> str:
    paths = {problem.path for problem in problems}
    subject = f"`{visible(problems[0].path)}` is" if len(paths) == 1 else f"{len(paths)} files are"
    return f"{subject} not valid: {counted(len(problems), 'problem')}"


def _inert(text: str) -> str:
    return visible(text.replace("\t", " "))


def _columns(text: str) -> int:
    """Return the columns that inert text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
