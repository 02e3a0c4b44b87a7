"""The keys that people write about a job, as pydantic types, for manifests, settings and JSON.

What a value must be like stands in ``rules``; how a mistake reads, in ``faults``. A key that is not written is
not there after validation either, so that defaults can be merged below what is.
"""

import os
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, Strict
from typing_extensions import TypedDict

from queuectl import hook_rules, rules
from queuectl.frozen import changed
from queuectl.hook import Hook
from queuectl.instants import time_zone
from queuectl.job import Catchup, Overlap
from queuectl.retry import RetryPolicy
from queuectl.spec import RETRY_KEYS, JobSpec, Limits, OnInterrupt

Flag = Annotated[bool, Strict()]
Text = Annotated[str, PlainValidator(rules.text)]
Name = Annotated[str, PlainValidator(rules.name)]
RunId = Annotated[str, PlainValidator(rules.run_id)]
FilePath = Annotated[str, PlainValidator(rules.path)]
TimeZone = Annotated[str, PlainValidator(time_zone)]
Command = Annotated[str | tuple[str, ...], PlainValidator(rules.command)]
Program = Annotated[tuple[str, ...], PlainValidator(rules.program)]
EnvName = Annotated[str, PlainValidator(rules.env_name)]
Environment = Annotated[dict[EnvName, Text], Field(max_length=1000), AfterValidator(rules.environment)]
Tag = Annotated[str, PlainValidator(rules.tag)]
Tags = Annotated[tuple[Tag, ...], Strict(False), Field(max_length=64), AfterValidator(rules.distinct)]

Duration = Annotated[float, PlainValidator(rules.duration)]
TimeLimit = Annotated[float, PlainValidator(rules.time_limit)]

Priority = Annotated[int, Strict(), Field(ge=-1000, le=1000)]
Retries = Annotated[int, Strict(), Field(ge=0, le=1000)]
Revision = Annotated[int, Strict(), Field(ge=1, le=1_000_000_000)]
BackoffBase = Annotated[float, Strict(), Field(ge=1, le=1000, allow_inf_nan=False)]
Jitter = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
ExitCode = Annotated[int, Strict(), Field(ge=0, le=255)]
ExitCodes = Annotated[tuple[ExitCode, ...], Strict(False), Field(max_length=256), AfterValidator(rules.exit_codes)]
SomeExitCodes = Annotated[ExitCodes, Field(min_length=1)]

Memory = Annotated[int, PlainValidator(rules.memory)]
CpuSeconds = Annotated[int, PlainValidator(rules.cpu_seconds)]
OpenFiles = Annotated[int, Strict(), Field(ge=16, le=1 << 20)]
Nice = Annotated[int, Strict(), Field(ge=0, le=19)]


class LimitFields(TypedDict, total=False):
    """The keys of `limits`."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    memory: Memory
    cpu: CpuSeconds
    open_files: OpenFiles
    nice: Nice


CatchupWord = Annotated[Catchup, PlainValidator(rules.choice(Catchup))]
OverlapWord = Annotated[Overlap, PlainValidator(rules.choice(Overlap))]
HookValue = Annotated[Hook, PlainValidator(hook_rules.hook)]
Interruption = Annotated[OnInterrupt, PlainValidator(rules.choice(OnInterrupt))]

# A time may need the time zone that stands beside it: it is read when both are known.
WrittenTime = Annotated[str | date | datetime, PlainValidator(lambda value: value)]


class SpecFields(TypedDict, total=False):
    """The keys that become a ``JobSpec``."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    description: Text
    command: Command
    priority: Priority
    timeout: TimeLimit
    grace_period: Duration
    retries: Retries
    retry_delay: Duration
    backoff_base: BackoffBase
    backoff_max: Duration
    jitter: Jitter
    cwd: FilePath
    shell: Program
    env: Environment
    env_file: FilePath
    success_exit_codes: SomeExitCodes
    fail_on_exit_codes: ExitCodes
    on_interrupt: Interruption
    limits: LimitFields
    tags: Tags
    on_success: HookValue
    on_failure: HookValue
    on_dead: HookValue


class JobDefaults(SpecFields, total=False):
    """The keys of `[defaults]`: all that can be true of more than one job."""

    run_at: WrittenTime
    schedule: Text
    timezone: TimeZone
    catchup: CatchupWord
    catchup_window: TimeLimit
    overlap: OverlapWord
    spread: Duration
    max_wait: TimeLimit
    expect_success_within: TimeLimit
    enabled: Flag
    revision: Revision


class JobFields(JobDefaults, total=False):
    """The keys of one job in a manifest."""

    renamed_from: Name


JOB_KEYS: Final = tuple(JobFields.__annotations__)
DEFAULT_KEYS: Final = tuple(JobDefaults.__annotations__)
SPEC_KEYS: Final = tuple(SpecFields.__annotations__)

_PATH_KEYS = ("cwd", "env_file")


def merge(weaker: Mapping[str, object], stronger: Mapping[str, object]) -> dict[str, Any]:
    """Return the validated keys of both; of a key in both the stronger, but ``env`` variable by variable."""
    merged = {**weaker, **stronger}
    if "env" in weaker and "env" in stronger:
        merged["env"] = {**_variables(weaker), **_variables(stronger)}
    return merged


def to_spec(values: Mapping[str, Any], *, folder: Path | str) -> JobSpec:
    """Return the spec of validated, merged keys, a ``command`` among them; keys of other things are passed over.

    ``folder`` is absolute: relative paths start there, and it is the ``cwd`` of a job that names none.
    """
    given = {key: value for key, value in values.items() if key in _SPEC_ONLY}
    given["cwd"] = absolute(values.get("cwd", "."), folder)
    if "env_file" in values:
        given["env_file"] = absolute(values["env_file"], folder)
    if "limits" in values:
        given["limits"] = Limits(**values["limits"])
    retry = {key: values[key] for key in RETRY_KEYS if key in values}
    if retry:
        given["retry"] = RetryPolicy(**retry)
    return changed(_USUAL, **given)


@lru_cache(maxsize=64)  # the jobs of one manifest, and the runs of one batch, have few folders
def absolute(written: str, folder: Path | str) -> str:
    """Return a written path, absolute and without `..`; symbolic links stay as they are."""
    return os.path.normpath(os.path.join(folder, written))  # noqa: PTH118 - pathlib keeps `..`


def clashing_exit_codes(values: Mapping[str, Any]) -> list[int]:
    """Return the exit codes that validated, merged keys call both a success and a failure."""
    if not (failures := values.get("fail_on_exit_codes")):
        return []
    return sorted({*values.get("success_exit_codes", _USUAL.success_exit_codes)} & {*failures})


def _variables(values: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = values["env"]
    return found


_USUAL = JobSpec(command="true")
_SPEC_ONLY = frozenset(SPEC_KEYS) - {*RETRY_KEYS, *_PATH_KEYS, "limits"}
