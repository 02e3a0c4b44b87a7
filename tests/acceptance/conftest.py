"""The installed `queuectl` command, in a folder and with settings of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).parent / "queuectl"
_MINUTE = 60.0

# What a user's shell has, without what would reach into the test. Taken once, by the thread that imports: pytest sets a
# variable for each test, which another thread must not meet while it goes through all of them.
_VARIABLES = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "QUEUECTL_", "XDG_"))}


@dataclass
class Queuectl:
    """Runs the command in ``folder``; the queue is in there too."""

    folder: Path
    environ: Mapping[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __call__(
        self, *arguments: str, input: str | bytes | None = None, code: int | None = 0, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; fails unless the exit code is ``code`` (None: any)."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            input=input.encode() if isinstance(input, str) else input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=_MINUTE,
            check=False,
        )
        found = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        assert "Traceback" not in found.stderr, found.stderr
        if code is not None:
            assert found.returncode == code, f"exit {found.returncode}\n{found.stdout}\n{found.stderr}"
        return found

    def json(self, *arguments: str) -> Any:
        """Run a reading verb with --json and return its document."""
        return json.loads(self(*arguments, "--json").stdout)

    def start(self, *arguments: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start the command in a session of its own and return its process; it is ended with the test."""
        process = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def manifest(self, text: str, name: str = "nightly.toml") -> Path:
        """Write a manifest; the head is added unless it is there."""
        path = self.folder / name
        head = "" if "version" in text else f'version = 1\nmanifest = "{Path(name).stem}"\n'
        path.write_text(head + text)
        return path

    def states(self) -> list[tuple[str, str]]:
        """Return what each run is known by and its state, oldest first."""
        return [(run["job"] or run["id"], run["state"]) for run in reversed(self.json("list"))]


def queuectl_in(place: Path) -> Queuectl:
    """Return the command with a folder, a home and a queue of its own in ``place``."""
    folder = place / "project"
    folder.mkdir()
    path = f"{COMMAND.parent}{os.pathsep}{_VARIABLES.get('PATH', '')}"
    environ = {**_VARIABLES, "HOME": str(place / "home"), "QUEUECTL_DB": str(place / "queue.db"), "PATH": path}
    return Queuectl(folder, environ)


@pytest.fixture
def queuectl(tmp_path: Path) -> Iterator[Queuectl]:
    """The command, with an empty folder, home and queue."""
    command = queuectl_in(tmp_path)
    yield command
    for process in command.started:
        if process.poll() is None:
            process.kill()
            process.wait()
