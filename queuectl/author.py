"""Who applies or acts, on which machine, from which commit."""

import getpass
import socket
import subprocess
from pathlib import Path

from queuectl.store import Author

_GIT_TIMEOUT = 5.0


def author_of(files: list[str]) -> Author:
    """Return the present user, and the git commit of the first file's repository; ``git_dirty`` is about ``files``."""
    folder = str(Path(files[0]).parent)
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--", *files) if commit else None
    return Author(
        user=_user(),
        host=socket.gethostname(),
        git_commit=commit or None,
        git_dirty=None if changed is None else bool(changed),
    )


def person(channel: str = "cli") -> Author:
    """Return the present user, who asks by this way."""
    return Author(user=_user(), host=socket.gethostname(), channel=channel)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return "unknown"


def _git(folder: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=_GIT_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
