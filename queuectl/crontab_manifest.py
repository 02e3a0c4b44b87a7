"""A manifest whose jobs do what the entries of a crontab did, and why they do.

Pure: the caller knows the zone and the home folders of the machine whose cron it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from queuectl.crontab import Crontab, Entry, fed
from queuectl.crontab_names import distinct_names
from queuectl.toml_text import toml_string
from queuectl.visible import visible

CRON_SHELL: Final = "/bin/sh"
CRON_PATH: Final = "/usr/bin:/bin"

_LIKE_SH: Final = frozenset({"ash", "bash", "dash", "ksh", "mksh", "sh", "zsh"})

_HEAD: Final = """\
# Imported from {path} by `queuectl import crontab`.
#
# The defaults below make the jobs do what they did under cron:
#   timezone    cron reads times in the zone of its machine
#   retries     cron tries nothing again
#   overlap     cron starts a job even while its last run goes on
#   catchup     cron makes nothing up that passed while the machine was off
#   shell, cwd  cron runs commands with SHELL, in the home folder
#   env         PATH and SHELL as cron sets them; what else the runner's environment has, its jobs have too
# There is no time-out, unless `queuectl.toml` has one. Priorities are equal, and `queuectl run --workers N` bounds how
# many run at once, which cron does not. Better for most jobs: `retries = 2`, `overlap = "skip"`,
# `catchup = "latest"` and a `timeout`.
# `queuectl simulate MANIFEST --compare-crontab CRONTAB` proves that the times are the same.

version = 1
manifest = {name}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob:
    """An entry as a job: what its manifest says, ``cwd`` only if the home folder is known."""

    name: str
    entry: Entry
    command: str | tuple[str, ...]
    shell: tuple[str, ...]
    env: Mapping[str, str]
    timezone: str
    cwd: str | None


def cron_jobs(crontab: Crontab, *, zone: str, home: Callable[[str | None], str | None]) -> list[CronJob]:
    """Return the jobs of a crontab of a machine in ``zone``; ``home`` knows the folder of a user, of ours for None."""
    names = distinct_names(entry.command for entry in crontab.entries)
    return [_job(name, entry, zone, home) for name, entry in zip(names, crontab.entries, strict=True)]


def manifest_text(crontab: Crontab, jobs: Sequence[CronJob], *, name: str) -> str:
    """Return a manifest of this name that declares the jobs of a crontab, its comments beside them."""
    lines = [_HEAD.format(path=visible(crontab.path), name=toml_string(name))]
    shared = _shared(jobs)
    if jobs:
        lines += ["[defaults]", *_pairs(shared), "retries = 0", 'overlap = "allow"', 'catchup = "none"', ""]
    for job in jobs:
        lines += _comments(job.entry.before)
        lines.append(f"[jobs.{job.name}]")
        if job.entry.user is not None:
            lines.append(
                f"# cron ran it as the user {visible(job.entry.user)}; queuectl runs it as the user of the runner"
            )
        lines += [f"command = {_value(job.command)}", f"schedule = {toml_string(job.entry.schedule)}"]
        lines += [*_pairs(_without(_keys(job), shared)), ""]
    return "\n".join([*lines, *_comments(crontab.after)]).rstrip("\n") + "\n"


def _job(name: str, entry: Entry, zone: str, home: Callable[[str | None], str | None]) -> CronJob:
    shell = entry.variables.get("SHELL", "").strip() or CRON_SHELL
    command: str | tuple[str, ...] = entry.script
    if entry.stdin is not None and PurePosixPath(shell).name not in _LIKE_SH:
        # Only a shell of POSIX knows how to read from the text itself; it then becomes the other one.
        command = (CRON_SHELL, "-c", fed('exec "$0" -c "$1"', entry.stdin), shell, entry.command)
    return CronJob(  # noqa: S604 - a shell is what cron runs commands with
        name=name,
        entry=entry,
        command=command,
        shell=(shell, "-c"),
        env={"PATH": CRON_PATH, **entry.variables, "SHELL": shell},
        timezone=entry.zone or zone,
        cwd=entry.variables.get("HOME") or home(entry.user),
    )


def _keys(job: CronJob) -> dict[str, object]:
    keys: dict[str, object] = {"timezone": job.timezone, "shell": job.shell, "env": dict(job.env)}
    return keys if job.cwd is None else keys | {"cwd": job.cwd}


def _shared(jobs: Sequence[CronJob]) -> dict[str, object]:
    """Return the keys that all jobs have with the same value, of `env` the variables."""
    if not jobs:
        return {}
    first, *others = map(_keys, jobs)
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    env = {name: value for name, value in jobs[0].env.items() if all(job.env.get(name) == value for job in jobs)}
    return shared | {"env": env}


def _without(keys: Mapping[str, object], shared: Mapping[str, object]) -> dict[str, object]:
    """Return the keys of a job that are not in the defaults."""
    own = {key: value for key, value in keys.items() if key != "env" and key not in shared}
    env, common = keys["env"], shared["env"]
    assert isinstance(env, dict)
    assert isinstance(common, dict)
    left = {name: value for name, value in env.items() if name not in common}
    return own | ({"env": left} if left else {})


def _pairs(keys: Mapping[str, object]) -> Iterator[str]:
    for key, value in keys.items():
        if value != {}:
            yield f"{key} = {_value(value)}"


def _comments(lines: Sequence[str]) -> list[str]:
    """Return lines that were none of the crontab's entries, as comments, without the empty ones around them."""
    found = [visible(line, keep="\t") for line in lines]
    while found and not found[0]:
        del found[0]
    return found


def _value(value: object) -> str:
    match value:
        case str():
            return toml_string(value)
        case tuple():
            return f"[{', '.join(map(toml_string, value))}]"
        case dict():
            return f"{{ {', '.join(f'{name} = {toml_string(text)}' for name, text in value.items())} }}"
    raise TypeError(f"not for a manifest: {value!r}")
