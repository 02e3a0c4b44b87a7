"""From manifest files to the jobs they declare: all of them, or every problem of every file."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from queuectl.diagnostics import InvalidManifest, Problem
from queuectl.document import Document, Unparsable
from queuectl.faults import Fault
from queuectl.fields import absolute
from queuectl.job import Manifest
from queuectl.manifest_files import Unreadable, find, read
from queuectl.manifest_jobs import declared_jobs
from queuectl.manifest_keys import validated
from queuectl.rules import shown
from queuectl.visible import visible


def load(paths: Sequence[Path], *, defaults: Mapping[str, object] | None = None) -> list[Manifest]:
    """Return the manifests in files and in the `*.toml` of folders, in the order of ``paths``.

    ``defaults`` are validated job keys, weaker than a manifest's own `[defaults]`. Raises InvalidManifest with
    everything that is wrong with any of the files.
    """
    with _garbage_collector_off():
        readings = [_read(path, trouble, defaults or {}) for path, trouble in find(paths)]
        _compare_names(readings)
    problems = [problem for reading in readings for problem in sorted(reading.problems, key=_place)]
    if problems:
        raise InvalidManifest(problems)
    return [reading.manifest for reading in readings if reading.manifest]


@dataclass(kw_only=True)
class _Reading:
    """What came of one file; its name is known even if the rest is wrong."""

    document: Document
    name: str | None = None
    manifest: Manifest | None = None
    problems: list[Problem] = field(default_factory=list)


def _read(path: Path, trouble: Unreadable | None, defaults: Mapping[str, object]) -> _Reading:
    reading = _Reading(document=Document(str(path), b""))
    try:
        if trouble:
            raise trouble
        source = read(path)
        reading.document = Document(str(path), source)
        written = reading.document.parse()
    except Unreadable as error:
        reading.problems.append(Problem(path=str(path), message=str(error)))
        return reading
    except Unparsable as error:
        reading.problems.append(error.problem)
        return reading
    place = Path(absolute(str(path), Path.cwd()))
    fields, found = validated(written)
    jobs, more = declared_jobs(fields, found, folder=str(place.parent), defaults=defaults)
    reading.problems += map(reading.document.problem, [*found, *more])
    reading.name = fields.get("manifest")
    if not reading.problems:
        reading.manifest = Manifest(name=fields["manifest"], path=str(place), jobs=tuple(jobs), source=source)
    return reading


def _compare_names(readings: Sequence[_Reading]) -> None:
    first: dict[str, _Reading] = {}
    for reading in readings:
        if reading.name is None:
            continue
        other = first.setdefault(reading.name, reading)
        if other is not reading:
            sentence = f"manifest {shown(reading.name)} is declared in `{visible(other.document.path)}` too"
            fault = Fault(at=("manifest",), sentence=sentence, hint="a name is for one file only")
            reading.problems.append(reading.document.problem(fault))


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
