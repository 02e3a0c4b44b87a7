"""What an attempt needs to know of a job: its command and everything around it.

Frozen; what an absent key means never changes, so that specs are stored without the keys that have their default.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from queuectl.frozen import revived
from queuectl.hook import HOOK_KEYS, Hook
from queuectl.retry import RetryPolicy

DEFAULT_SHELL = ("/bin/sh", "-c")


class OnInterrupt(StrEnum):
    """What follows when an attempt is lost: its worker, its runner or the machine died."""

    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the kernel allows each process of an attempt; None where nothing is limited.

    ``memory`` is address space in bytes, ``cpu`` processor time in whole seconds, ``nice`` is added to the niceness.
    """

    memory: int | None = None
    cpu: int | None = None
    open_files: int | None = None
    nice: int | None = None

    def __bool__(self) -> bool:
        return self != _NO_LIMITS

    def to_dict(self) -> dict[str, int]:
        """Return the limits that are set."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


_NO_LIMITS = Limits()
_NO_RETRY_KEYS = RetryPolicy()


@dataclass(frozen=True, kw_only=True)  # no slots: see frozen.py
class JobSpec:
    """Everything an attempt needs to know; durations are in seconds.

    ``command`` is a line for ``shell``, or a tuple: the program and its arguments, without a shell.
    ``cwd`` and ``env_file`` are absolute. What an absent key means never changes: specs are
    stored without the keys that have their default.
    """

    command: str | tuple[str, ...]
    description: str = ""
    priority: int = 0
    timeout: float | None = None
    grace_period: float = 10.0
    retry: RetryPolicy = _NO_RETRY_KEYS
    cwd: str | None = None
    shell: tuple[str, ...] = DEFAULT_SHELL
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: str | None = None
    success_exit_codes: tuple[int, ...] = (0,)
    fail_on_exit_codes: tuple[int, ...] = ()
    on_interrupt: OnInterrupt = OnInterrupt.RETRY
    limits: Limits = _NO_LIMITS
    tags: tuple[str, ...] = ()
    on_success: Hook | None = None
    on_failure: Hook | None = None
    on_dead: Hook | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """The program to start and its arguments, the shell included."""
        return (*self.shell, self.command) if isinstance(self.command, str) else self.command

    @property
    def line(self) -> str:
        """The command as people read it, in one piece."""
        return self.command if isinstance(self.command, str) else " ".join(self.command)

    def to_dict(self) -> dict[str, Any]:
        """Return the keys that differ from their default, flat and under their manifest names."""
        retry = {} if self.retry is _NO_RETRY_KEYS else _differing(self.retry, _RETRY_DEFAULTS)
        return _differing(self, _SPEC_DEFAULTS) | retry

    def to_values(self) -> dict[str, Any]:
        """Return all keys, those with their default too, flat and under their manifest names."""
        values = {**self.__dict__, **self.retry.__dict__, "limits": self.limits.to_dict()}
        del values["retry"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the spec that ``to_dict`` gave ``values`` for; JSON's lists become tuples again."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        if "on_interrupt" in given:
            given["on_interrupt"] = OnInterrupt(given["on_interrupt"])
        if "limits" in given:
            given["limits"] = Limits(**given["limits"])
        for key in HOOK_KEYS:
            if key in given:
                given[key] = Hook.from_dict(given[key])
        retry: dict[str, Any] = {key: given.pop(key) for key in RETRY_KEYS if key in given}
        return revived(cls, {**_SPEC_DEFAULTS, **given, "retry": RetryPolicy(**retry) if retry else _NO_RETRY_KEYS})


DURATION_KEYS = frozenset(
    {
        "timeout",
        "grace_period",
        "retry_delay",
        "backoff_max",
        "catchup_window",
        "spread",
        "max_wait",
        "expect_success_within",
    }
)

RETRY_KEYS = tuple(f.name for f in fields(RetryPolicy))


def _differing(value: JobSpec | RetryPolicy, defaults: Mapping[str, object]) -> dict[str, Any]:
    present = vars(value)
    return {
        key: _plain(present[key])
        for key, default in defaults.items()
        if present[key] is not default and present[key] != default
    }


def _defaults(kind: type[JobSpec | RetryPolicy]) -> dict[str, object]:
    return {
        f.name: f.default_factory() if f.default_factory is not MISSING else f.default
        for f in fields(kind)
        if f.name != "retry"
    }


def _plain(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Limits | Hook):
        return value.to_dict()
    if isinstance(value, StrEnum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value


_PLAIN = frozenset({str, int, float, tuple})

# Made once: every run that comes in is compared with them.
_SPEC_DEFAULTS = _defaults(JobSpec)

_RETRY_DEFAULTS = _defaults(RetryPolicy)
