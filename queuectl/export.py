r"""Jobs and runs as the text of a manifest that, loaded, gives the same jobs.

Pure. What is written is what differs from the values of a job that says nothing; text is escaped where it would act on
a terminal instead of showing, so that the manifest can be looked at and sent through a pipe.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from queuectl.durations import parse_duration
from queuectl.hook import HOOK_KEYS
from queuectl.job import Job, Recurrence
from queuectl.sizes import format_size, parse_size
from queuectl.spec import DURATION_KEYS
from queuectl.toml_text import toml_key, toml_string
from queuectl.visible import visible

_UNITS: Final = (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_WIDEST: Final = 100
_LONGEST: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One job of an export, and what a person should know of it."""

    job: Job
    notes: tuple[str, ...] = ()


def manifest_text(
    name: str, exported: Sequence[Exported], *, defaults: Mapping[str, object], notes: Sequence[str] = ()
) -> str:
    """Return a manifest that declares the jobs, in their order.

    ``defaults`` are the keys that hold where it is loaded for jobs that do not say themselves.
    """
    lines = [*_comments(notes), "version = 1", f"manifest = {toml_string(name)}"]
    for each in exported:
        lines += ["", *_comments(each.notes), *_job(each.job, defaults)]
    return "\n".join(lines) + "\n"


def _job(job: Job, defaults: Mapping[str, object]) -> Iterator[str]:
    table = f"jobs.{toml_key(job.name)}"
    values = _values(job, defaults)
    variables = values.pop("env", {})
    yield f"[{table}]"
    for key, value in values.items():
        if value is None:
            yield f"# no `{key}`: loaded here, it gets that of the settings, which a manifest cannot take away"
        else:
            yield f"{key} = {_value(key, value)}"
    if variables:
        inline = f"env = {_table(variables)}"
        if len(inline) <= _WIDEST:
            yield inline
        else:
            yield from (
                "",
                f"[{table}.env]",
                *(f"{toml_key(name)} = {toml_string(text)}" for name, text in variables.items()),
            )


def _values(job: Job, defaults: Mapping[str, object]) -> dict[str, Any]:
    """Return what has to be written of a job; None stands for what cannot be."""
    spec, every = job.spec.to_dict(), job.spec.to_values()
    spec |= {key: every[key] for key in defaults if key in every}  # usual values are not, where this is loaded
    first = {key: spec.pop(key) for key in ("description", "command") if key in spec}
    when: dict[str, Any] = {
        "run_at": job.run_at,
        "max_wait": job.max_wait,
        "expect_success_within": job.expect_success_within,
    }
    if job.recurrence:
        usual = Recurrence(schedule="")
        when = {key: value for key, value in job.recurrence.to_dict().items() if value != getattr(usual, key)} | when
    if not job.enabled:
        when["enabled"] = False
    if job.revision != 1:
        when["revision"] = job.revision
    return first | {key: value for key, value in when.items() if value is not None} | spec


def _value(key: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float() if key in DURATION_KEYS:
            return _duration(value)
        case int() | float():
            return repr(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case str():
            return toml_string(value)
        case tuple():
            return _list([_value(key, item) for item in value])
        case _ if key == "limits":
            return _limits(value)
        case _ if key in HOOK_KEYS:
            return "{ " + ", ".join(f"{name} = {_value(name, part)}" for name, part in value.items()) + " }"
    return _table(value)


def _list(items: Sequence[str]) -> str:
    line = ", ".join(items)
    return f"[{line}]" if len(line) <= _WIDEST else "[\n" + "".join(f"  {item},\n" for item in items) + "]"


def _limits(limits: Mapping[str, int]) -> str:
    words = {"memory": _size, "cpu": _duration}
    return "{ " + ", ".join(f"{key} = {words.get(key, repr)(value)}" for key, value in limits.items()) + " }"


def _table(variables: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{toml_key(name)} = {toml_string(text)}" for name, text in variables.items()) + " }"


def _duration(seconds: float) -> str:
    """Return a duration as people write it, or as a number of seconds if that does not give the same one."""
    written, left = "", int(seconds)
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        written += f"{count}{unit}" if count else ""
    milliseconds = f"{seconds * 1000:.0f}ms"
    for text in (written or "0s", milliseconds):
        if len(text) <= _LONGEST and parse_duration(text) == seconds:
            return f'"{text}"'
    return repr(float(seconds))


def _size(size: int) -> str:
    written = format_size(size)
    return f'"{written}"' if len(written) <= _LONGEST and parse_size(written) == size else repr(size)


def _comments(notes: Sequence[str]) -> list[str]:
    return [f"# {visible(note)}" for note in notes]
