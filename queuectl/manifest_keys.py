"""The keys of a manifest, validated in one go."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from queuectl.faults import MOST_FAULTS, Fault, KeyPath, faults
from queuectl.fields import DEFAULT_KEYS, JOB_KEYS, JobDefaults, JobFields, Name
from queuectl.limits import MOST_JOBS
from queuectl.rules import not_as, shown

VERSION: Final = 1


class ManifestFields(TypedDict, total=False):
    """The keys of a manifest; ``version`` is checked before the others are looked at."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    version: Any
    manifest: Name
    defaults: JobDefaults
    jobs: dict[Name, JobFields]


MANIFEST_KEYS: Final = tuple(ManifestFields.__annotations__)

_ADAPTER: Final = TypeAdapter(ManifestFields)


# How many parts a path has that leads to a key; what comes after is within its value.
_KEY_DEPTH: Final[Mapping[str | int, int]] = {"jobs": 3, "defaults": 2}


def validated(written: Mapping[str, Any]) -> tuple[ManifestFields, list[Fault]]:
    """Return the keys of a manifest that are right, and what is wrong with the others."""
    if (fault := _wrong_version(written)) is not None:
        return {}, [fault]
    found = []
    if "manifest" not in written:
        found.append(Fault(at=(), sentence="`manifest` is missing: the name that owns the jobs of this file"))
    try:
        return _ADAPTER.validate_python(written), found
    except ValidationError as error:
        found += faults(error, known=_known_keys, place=_place)
        if error.error_count() > MOST_FAULTS:
            sentence = f"{error.error_count():,} problems, of which {MOST_FAULTS:,} are shown"
            return {}, [*found, Fault(at=(), sentence=sentence)]
    return _ADAPTER.validate_python(_without(broken_keys(found), written)), found


def broken_keys(found: Iterable[Fault]) -> frozenset[KeyPath]:
    """Return the paths of the keys, of a job, of the defaults or at the top, that faults make useless."""
    return frozenset(fault.at[: _KEY_DEPTH.get(fault.at[0], 1)] for fault in found if fault.at)


def job_words(name: str) -> str:
    """Return the words that go before a sentence about a job."""
    return f"job {shown(name)}: "


DEFAULTS_WORDS: Final = "`[defaults]`: "


def _wrong_version(written: Mapping[str, Any]) -> Fault | None:
    if "version" not in written:
        return Fault(at=(), sentence="`version` is missing", hint=f"begin with `version = {VERSION}`")
    version = written["version"]
    if isinstance(version, bool) or not isinstance(version, int):
        return Fault(at=("version",), sentence=f"`version` must be {VERSION}, {not_as(version)}")
    if version != VERSION:
        sentence = f"`version` must be {VERSION}, the only one that this queuectl reads: {shown(version)}"
        return Fault(at=("version",), sentence=sentence)
    jobs = written.get("jobs")
    if isinstance(jobs, dict) and len(jobs) > MOST_JOBS:
        return Fault(at=("jobs",), sentence=f"a manifest must have at most {MOST_JOBS:,} jobs: {len(jobs):,}")
    return None


def _known_keys(table: KeyPath) -> Sequence[str]:
    match table:
        case ():
            return MANIFEST_KEYS
        case ("defaults",):
            return DEFAULT_KEYS
        case _:
            return JOB_KEYS


def _place(at: KeyPath) -> tuple[str, int]:
    match at:
        case ("jobs", str(name), *_):
            return job_words(name), 2
        case ("defaults", _, *_):
            return DEFAULTS_WORDS, 1
        case _:
            return "", 0


def _without(broken: AbstractSet[KeyPath], written: object, above: KeyPath = ()) -> Any:
    """Return what was written, without the keys at broken paths."""
    if not isinstance(written, dict) or len(above) == max(_KEY_DEPTH.values()):
        return written
    return {
        key: _without(broken, value, (*above, key)) for key, value in written.items() if (*above, key) not in broken
    }
