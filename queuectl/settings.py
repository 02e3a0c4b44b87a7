"""What holds for a whole queue: `queuectl.toml`, over it `QUEUECTL_*` variables, over them flags.

Commands must start fast, so nothing here imports pydantic: what is written is checked in ``settings_model``, which is
imported only when there is something to check that was not checked before.
"""

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from queuectl import failpoint
from queuectl.errors import UsageError
from queuectl.settings_table import BY_KEY, PREFIX, SETTINGS, Setting
from queuectl.visible import visible

FILE_NAME: Final = "queuectl.toml"
LARGEST_FILE: Final = 1 << 20

DB_VARIABLE: Final = "QUEUECTL_DB"
GIVEN_TO_JOBS: Final = frozenset(
    f"{PREFIX}{name}"
    for name in ("RUN_ID", "JOB", "MANIFEST", "ATTEMPT", "MAX_ATTEMPTS", "SCHEDULED_AT", "EXECUTION",
                 "HOOK", "HOOK_ID", "STATE", "OUTCOME", "EXIT_CODE", "SIGNAL", "REASON", "SECONDS", "STARTED_AT",
                 "FINISHED_AT")
)  # fmt: skip
"""The variables that tell a job and its hooks about themselves; a `queuectl` that they call passes them over."""


class Source(StrEnum):
    """Where a value comes from, the weakest first."""

    DEFAULT = "default"
    FILE = "file"
    VARIABLE = "variable"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings that hold; durations are in seconds, paths absolute.

    ``defaults`` are the job keys that the file or a variable gives, under their manifest names; ``retention`` has all
    the keys of its table. ``sources`` tells where
    values come from; what is not in it is built in.
    """

    db: Path
    file: Path | None
    workers: int
    drain_timeout: float
    busy_timeout: float
    durability: str
    output_limit: int
    defaults: Mapping[str, Any]
    retention: Mapping[str, Any]
    sources: Mapping[str, Source]

    def value(self, setting: Setting) -> Any:
        """Return what holds for a setting, its default if nobody said anything."""
        if setting.is_job_default:
            return self.defaults.get(setting.path[-1], setting.default)
        if len(setting.path) > 1:
            return self.retention[setting.path[-1]]
        return getattr(self, setting.key)

    def source(self, setting: Setting) -> Source:
        """Return where its value comes from."""
        return self.sources.get(setting.key, Source.DEFAULT)


def load(*, cwd: Path, environ: Mapping[str, str], db: str | None = None) -> Settings:
    """Return the settings that hold in the folder ``cwd``; ``db`` is what `--db` says.

    An empty variable counts as not set. Raises InvalidSettings with every problem of the file and the variables.
    """
    file = find_file(cwd)
    source = read_file(file) if file else b""
    variables = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value and name not in {DB_VARIABLE, failpoint.VARIABLE, *GIVEN_TO_JOBS}
    }
    values = _checked(shown_path(file, cwd), source, variables, environ) if source or variables else {}
    sources = {key: Source.VARIABLE if BY_KEY[key].variable in variables else Source.FILE for key in values}
    path, sources["db"] = _find_db(db, file, values.pop("db", None), cwd, environ)
    return Settings(
        db=Path(os.path.realpath(path)),
        file=file,
        defaults={key.removeprefix("defaults."): value for key, value in values.items() if key.startswith("defaults.")},
        retention={s.path[-1]: values.get(s.key, s.default) for s in SETTINGS if s.path[0] == "retention"},
        sources=sources,
        **{s.key: values.get(s.key, s.default) for s in SETTINGS if len(s.path) == 1 and s.key != "db"},
    )


def find_file(folder: Path) -> Path | None:
    """Return the `queuectl.toml` in the folder or the nearest one above."""
    files = (each / FILE_NAME for each in (folder, *folder.parents))
    return next((file for file in files if os.path.lexists(file)), None)  # if it cannot be read, that is said


def shown_path(file: Path | None, cwd: Path) -> str:
    """Return a settings file's name as messages say it: short in its own folder, else absolute."""
    return FILE_NAME if file is None or file.parent == cwd else str(file)


def read_file(file: Path) -> bytes:
    """Return what stands in a settings file."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UsageError(f"`{visible(str(file))}` is not a regular file")
        with file.open("rb") as opened:
            source = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"`{visible(str(file))}` cannot be read: {error.strerror}") from error
    if len(source) > LARGEST_FILE:
        raise UsageError(f"`{visible(str(file))}` is larger than {LARGEST_FILE >> 20} MiB")
    return source


def _checked(name: str, source: bytes, variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Any]:
    from queuectl.settings_cache import SettingsCache

    cache = SettingsCache(_cache_folder(environ), source, variables)
    values = cache.read()
    if values is None:
        from queuectl.document import Document
        from queuectl.settings_model import check

        values = check(Document(name, source), variables)
        cache.write(values)
    return values


def _find_db(
    flag: str | None, file: Path | None, written: str | None, cwd: Path, environ: Mapping[str, str]
) -> tuple[Path, Source]:
    """Return the database's path and who says so."""
    if flag is not None:
        return cwd / flag, Source.FLAG
    if variable := environ.get(DB_VARIABLE):
        return cwd / variable, Source.VARIABLE
    if file and written:
        return file.parent / _with_home(written, environ), Source.FILE
    if file:
        return file.parent / ".queuectl" / "queue.db", Source.DEFAULT
    return _state_folder(environ) / "queuectl" / "queue.db", Source.DEFAULT


def _with_home(path: str, environ: Mapping[str, str]) -> Path:
    return _home(environ) / path[2:] if path.startswith("~/") else Path(path)


def _state_folder(environ: Mapping[str, str]) -> Path:
    if folder := _xdg("XDG_STATE_HOME", environ):
        return folder
    return _home(environ) / ("Library/Application Support" if sys.platform == "darwin" else ".local/state")


def _cache_folder(environ: Mapping[str, str]) -> Path | None:
    try:
        return (_xdg("XDG_CACHE_HOME", environ) or _home(environ) / ".cache") / "queuectl"
    except UsageError:
        return None


def _xdg(variable: str, environ: Mapping[str, str]) -> Path | None:
    """Return the folder that a variable of the XDG specification names, which says to ignore relative ones."""
    folder = Path(environ.get(variable, ""))
    return folder if folder.is_absolute() else None


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError as error:
        raise UsageError("no home folder: `HOME` is not set", hint="name the database with `--db`") from error
