"""Every setting there is: commands, variables, docs and checks follow this table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from queuectl.errors import UsageError
from queuectl.job import State
from queuectl.rules import shown, suggestion
from queuectl.spec import JobSpec

PREFIX: Final = "QUEUECTL_"


class Kind(StrEnum):
    """How the value of a setting is written."""

    PATH = "path"
    WHOLE = "whole number"
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    PROGRAM = "program and arguments"
    WORD = "word"


class Durability(StrEnum):
    """What a power cut may cost."""

    FULL = "full"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set; durations are in seconds, sizes in bytes."""

    key: str
    kind: Kind
    default: Any
    description: str

    @property
    def path(self) -> tuple[str, ...]:
        """The keys that lead to it in the file."""
        return tuple(self.key.split("."))

    @property
    def is_job_default(self) -> bool:
        """Whether it is a job's key, for jobs that do not say themselves."""
        return self.path[0] == "defaults"

    @property
    def variable(self) -> str:
        """The environment variable that says it over the file."""
        words = self.path[1:] if self.is_job_default else self.path
        return PREFIX + "_".join(words).upper()


_SPEC = JobSpec(command="")

SETTINGS: Final = (
    Setting("db", Kind.PATH, None, "the queue's database; a relative path starts at the file's folder"),
    Setting("workers", Kind.WHOLE, 4, "how many attempts run at a time, 1 to 256"),
    Setting("drain_timeout", Kind.DURATION, 30.0, "how long running attempts may go on after SIGTERM or SIGINT"),
    Setting("busy_timeout", Kind.DURATION, 5.0, "how long to wait for another program's write, at most 1h"),
    Setting("durability", Kind.WORD, Durability.FULL, "`full`: no commit is lost in a power cut; `normal`: some may"),
    Setting("output_limit", Kind.SIZE, 10 << 20, "how much is kept of each stream of an attempt, 1 KiB to 1 TiB"),
    Setting("defaults.priority", Kind.WHOLE, _SPEC.priority, "larger runs sooner, -1000 to 1000"),
    Setting("defaults.timeout", Kind.DURATION, _SPEC.timeout, "how long an attempt may take"),
    Setting("defaults.grace_period", Kind.DURATION, _SPEC.grace_period, "from SIGTERM to SIGKILL"),
    Setting("defaults.retries", Kind.WHOLE, _SPEC.retry.retries, "attempts after the first, 0 to 1000"),
    Setting("defaults.retry_delay", Kind.DURATION, _SPEC.retry.retry_delay, "the wait that the base multiplies"),
    Setting("defaults.backoff_base", Kind.NUMBER, _SPEC.retry.backoff_base, "multiplies the wait, 1 to 1000"),
    Setting("defaults.backoff_max", Kind.DURATION, _SPEC.retry.backoff_max, "the longest wait before a retry"),
    Setting("defaults.jitter", Kind.NUMBER, _SPEC.retry.jitter, "the part of a wait chance may take off, 0 to 1"),
    Setting("defaults.shell", Kind.PROGRAM, _SPEC.shell, "what runs a command that is one line"),
    *(
        Setting(f"retention.{state}", Kind.DURATION, None, f"how long {state} runs are kept; for ever if not set")
        for state in State
        if state.is_final
    ),
    Setting("retention.keep", Kind.WHOLE, 1, "the newest runs of each job that are kept whatever their age, 0 to 1000"),
)

BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
BY_VARIABLE: Final = {setting.variable: setting for setting in SETTINGS}


def find_setting(name: str) -> Setting:
    """Return the setting of a name as people say it: `workers`, `backoff-base`, `max-retries`, `defaults.retries`.

    Raises UsageError, with the names that are like it, if there is none.
    """
    key = name.replace("-", "_").replace("max_retries", "retries")
    for found in (BY_KEY.get(key), BY_KEY.get(f"defaults.{key}")):
        if found:
            return found
    known = [*BY_KEY, *(setting.path[-1] for setting in SETTINGS if setting.is_job_default)]
    hint = suggestion(key, known) or "`queuectl config list` shows all settings"
    raise UsageError(f"no setting {shown(name)}", hint=hint)
