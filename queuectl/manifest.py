"""From manifest files to the jobs they declare: all of them, or every problem of every file."""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import tomli

from queuectl.diagnostics import InvalidManifest, Positions, Problem
from queuectl.faults import Fault
from queuectl.fields import absolute
from queuectl.job import Manifest
from queuectl.limits import breach, why_unparsed
from queuectl.manifest_files import Unreadable, find, read
from queuectl.manifest_jobs import declared_jobs
from queuectl.manifest_keys import validated
from queuectl.rules import shown
from queuectl.visible import visible

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def load(paths: Sequence[Path], *, defaults: Mapping[str, object] | None = None) -> list[Manifest]:
    """Return the manifests in files and in the `*.toml` of folders, in the order of ``paths``.

    ``defaults`` are validated job keys, weaker than a manifest's own `[defaults]`. Raises InvalidManifest with
    everything that is wrong with any of the files.
    """
    with _garbage_collector_off():
        files = [_File(path, trouble) for path, trouble in find(paths)]
        for file in files:
            file.load(defaults or {})
        _compare_names(files)
    problems = [problem for file in files for problem in sorted(file.problems, key=_place)]
    if problems:
        raise InvalidManifest(problems)
    return [file.manifest for file in files if file.manifest]


class _Unparsable(Exception):
    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line, self.column = line, column


@dataclass
class _File:
    path: Path
    trouble: Unreadable | None
    source: bytes = b""
    written: dict[str, Any] = field(default_factory=dict)
    manifest: Manifest | None = None
    problems: list[Problem] = field(default_factory=list)
    _decoded: dict[int, str] = field(default_factory=dict)

    @cached_property
    def positions(self) -> Positions:
        return Positions(self.source)

    @property
    def name(self) -> str | None:
        """The manifest's name, if it has one, though the rest may be wrong."""
        name = self.written.get("manifest")
        return name if isinstance(name, str) else None

    def load(self, defaults: Mapping[str, object]) -> None:
        """Fill in either the manifest or the problems."""
        try:
            if self.trouble:
                raise self.trouble
            self.source = read(self.path)
            self.written = _parse(self.source)
        except Unreadable as error:
            self.problems.append(Problem(path=str(self.path), message=str(error)))
            return
        except _Unparsable as error:
            self._add(str(error), error.line, error.column)
            return
        path = Path(absolute(str(self.path), Path.cwd()))
        fields, found = validated(self.written)
        jobs, more = declared_jobs(fields, found, folder=str(path.parent), defaults=defaults)
        self.report([*found, *more])
        if not self.problems:
            self.manifest = Manifest(name=fields["manifest"], path=str(path), jobs=tuple(jobs), source=self.source)

    def report(self, found: Iterable[Fault]) -> None:
        """Turn faults into problems with their place."""
        for fault in found:
            positions = self.positions
            line, column = positions.of_key(fault.at) if fault.is_key else positions.of(fault.at)
            self._add(fault.sentence, line, column, fault.hint)

    def _add(self, message: str, line: int, column: int, hint: str | None = None) -> None:
        source_line = self._line(line)
        problem = Problem(
            path=str(self.path), line=line, column=column, message=message, hint=hint, source_line=source_line
        )
        self.problems.append(problem)

    def _line(self, number: int) -> str:
        # Kept, so that many problems of one long line share it.
        if number not in self._decoded:
            self._decoded[number] = self._lines[number - 1].removesuffix(b"\r").decode(errors="replace")
        return self._decoded[number]

    @cached_property
    def _lines(self) -> list[bytes]:
        return self.source.split(b"\n")


def _parse(source: bytes) -> dict[str, Any]:
    if source.startswith(_BYTE_ORDER_MARK):
        raise _Unparsable("begins with a byte order mark: save it as UTF-8 without one")
    if passed := breach(source):
        raise _Unparsable(passed.sentence, *_line_and_column(source, passed.offset))
    try:
        return tomli.loads(source.decode())
    except UnicodeDecodeError as error:
        raise _Unparsable("not UTF-8 text", *_line_and_column(source, error.start)) from None
    except tomli.TOMLDecodeError as error:
        raise _Unparsable(f"not valid TOML: {_in_our_words(error.msg)}", error.lineno, error.colno) from None
    except (RecursionError, ValueError):
        passed = why_unparsed(source)
        raise _Unparsable(passed.sentence, *_line_and_column(source, passed.offset)) from None


def _in_our_words(message: str) -> str:
    if message == r"Illegal character '\n'":
        return "the string does not end on its line"
    return visible(message[:1].lower() + message[1:])


def _compare_names(files: Sequence[_File]) -> None:
    first: dict[str, _File] = {}
    for file in files:
        if file.name is None:
            continue
        other = first.setdefault(file.name, file)
        if other is not file:
            sentence = f"manifest {shown(file.name)} is declared in `{visible(str(other.path))}` too"
            file.report([Fault(at=("manifest",), sentence=sentence, hint="a name is for one file only")])


def _line_and_column(source: bytes, offset: int) -> tuple[int, int]:
    before = source[:offset]
    start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[start:].decode(errors="replace")) + 1


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


@contextmanager
def _garbage_collector_off() -> Iterator[None]:
    # Nothing of what is built is garbage, and looking for some takes three times as long as the building.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
