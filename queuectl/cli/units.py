"""Units that keep a runner alive, for systemd and launchd; pure but for `Installation.here`."""

import math
import os
import plistlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from queuectl.errors import UsageError
from queuectl.settings import Settings
from queuectl.spec import JobSpec

_MARGIN: Final = 15
"""Seconds for what a runner does beyond waiting for its attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What a unit has to know; ``stop_seconds`` is how long a runner may take to stop."""

    command: tuple[str, ...]
    db: str
    folder: str
    path: str
    home: str
    stop_seconds: int

    @classmethod
    def here(cls, settings: Settings, *, workers: int | None) -> Self:
        """Return what holds for this program, here; raises UsageError for a path that no unit can hold."""
        called = Path(sys.argv[0]).absolute()
        program = (str(called),) if called.name == "queuectl" else (sys.executable, "-m", "queuectl")
        size = () if workers is None else ("--workers", str(workers))
        grace = settings.defaults.get("grace_period", JobSpec(command="").grace_period)
        found = cls(
            command=(*program, "run", *size, "--db", str(settings.db)),
            db=str(settings.db),
            folder=str(settings.file.parent if settings.file else Path.cwd()),
            path=os.environ.get("PATH", os.defpath),
            home=str(Path.home()),
            stop_seconds=math.ceil(settings.drain_timeout + grace) + _MARGIN,
        )
        for text in (*found.command, found.folder, found.path, found.home):
            if not text.isprintable() or text.endswith("\\"):
                raise UsageError(f"no unit can hold this path: {text!r}")
        return found


def systemd_unit(installation: Installation, *, user: str | None) -> str:
    """Return a service: of the system, run as ``user``, or without one for `systemctl --user`."""
    after = "\nAfter=local-fs.target network.target time-sync.target" if user else ""
    return f"""\
[Unit]
Description=queuectl runner of {_specifiers(installation.db)}{after}
RequiresMountsFor={_quoted(installation.db)}

[Service]
Type=exec{f"{chr(10)}User={user}" if user else ""}
ExecStart={" ".join(_quoted(word).replace("$", "$$") for word in installation.command)}
WorkingDirectory={_specifiers(installation.folder)}
Environment={_quoted(f"PATH={installation.path}")}
# A runner that ended because it was stopped stays so; settings that are wrong stay wrong.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=64
# SIGTERM goes to the runner alone, which lets attempts finish for its drain_timeout, then ends them. Whoever is
# left after drain_timeout, grace_period and {_MARGIN} s is killed; a job with a longer grace_period needs more here.
KillMode=mixed
TimeoutStopSec={installation.stop_seconds}
# A job that the kernel kills for its memory is a failed attempt, and no reason to end the others.
OOMPolicy=continue

[Install]
WantedBy={"multi-user.target" if user else "default.target"}
"""


def launchd_plist(installation: Installation) -> str:
    """Return an agent, for `~/Library/LaunchAgents`."""
    log = f"{installation.home}/Library/Logs/queuectl.log"
    agent = {
        "Label": "local.queuectl",
        "ProgramArguments": list(installation.command),
        "WorkingDirectory": installation.folder,
        "EnvironmentVariables": {"PATH": installation.path},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": installation.stop_seconds,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(agent, sort_keys=False).decode()


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    escaped = _specifiers(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if " " in text or escaped != text or "'" in text else text
