"""Everything that can go wrong in front of a person.

QueuectlError                1   the operation failed (OwnedElsewhere, RemovalRefused, RunIdTaken,
                                 RunnersAlive, UnreadableSchedule)
├── NotFound                 3   no such run, job or attempt (RunNotFound, RunPurged,
│                                JobNotFound, ManifestNotFound)
├── UsageError              64   an option, an argument or a setting is wrong
├── InvalidSettings         64   every problem of the settings file and the variables
├── InvalidManifest         65   every problem of every manifest
├── InvalidCrontab          65   every problem of a crontab
├── DatabaseUnavailable     69   it cannot be opened, is damaged, or is newer than this program (DatabaseTooNew)
├── DatabaseBusy            75   another program holds it; try again
└── NotInTime              124   what was waited for did not come in time (StillRunning)

Each class takes facts, writes its sentence once and says what to do in ``hint``.
"""

import difflib
from collections.abc import Iterable, Sequence

from queuectl.visible import visible


class QueuectlError(Exception):
    """The operation failed; the base of all errors that are shown without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def detailed(self) -> str:
        """Return the message as a terminal has room for it."""
        return str(self)


class NotFound(QueuectlError):
    """What a person named does not exist."""

    exit_code = 3


class RunNotFound(NotFound):
    """No run of one of these ids is in the queue."""

    def __init__(self, ids: Sequence[str], similar: Iterable[str] = ()) -> None:
        hint = did_you_mean(ids[0], similar) if len(ids) == 1 else None
        super().__init__(
            f"no run {', '.join(f'`{visible(each)}`' for each in ids)}", hint=hint or "`queuectl list` shows the runs"
        )


class RunPurged(NotFound):
    """A run went while somebody watched it."""

    def __init__(self, id: str) -> None:
        super().__init__(f"run `{id}` was purged meanwhile")


class JobNotFound(NotFound):
    """No job of this name is declared in the queue."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(
            f"no job `{visible(name)}`", hint=did_you_mean(name, known) or "`queuectl jobs` shows the jobs"
        )


class ManifestNotFound(NotFound):
    """No job of a manifest of this name is or was declared in the queue."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(
            f"no manifest `{visible(name)}`", hint=did_you_mean(name, known) or "`queuectl jobs` shows the jobs"
        )


class OwnedElsewhere(QueuectlError):
    """A manifest has the name of another file's manifest."""

    def __init__(self, manifest: str, owner: str, path: str) -> None:
        super().__init__(
            f"manifest `{manifest}` of `{path}` belongs to `{owner}`",
            hint="rename one of them, or take it over with `--adopt`",
        )


class RemovalRefused(QueuectlError):
    """A manifest lost so many jobs that a mistake is likely."""

    def __init__(self, manifest: str, removed: int, stored: int) -> None:
        super().__init__(
            f"manifest `{manifest}` would lose {removed} of its {stored} jobs",
            hint=f"if that is meant: `--allow-remove {removed}`",
        )


class UsageError(QueuectlError):
    """An option, an argument or a setting is wrong."""

    exit_code = 64


class DatabaseUnavailable(QueuectlError):
    """The queue's database cannot be used as it is."""

    exit_code = 69


class DatabaseTooNew(DatabaseUnavailable):
    """A newer program wrote it."""

    def __init__(self, path: str, version: int, known: int) -> None:
        super().__init__(
            f"`{path}` has schema version {version}; this queuectl knows {known}",
            hint="it was written by a newer queuectl: upgrade this one",
        )


class DatabaseBusy(QueuectlError):
    """Another program holds the database for longer than we wait."""

    exit_code = 75

    def __init__(self, path: str) -> None:
        super().__init__(f"`{path}` is busy: another program holds it", hint="try again")


class NotInTime(QueuectlError):
    """What was waited for did not come in time."""

    exit_code = 124


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known words most like ``word``; None if none is alike."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(f'`{match}`' for match in close)}?" if close else None
