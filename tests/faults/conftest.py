"""What every row of the fault matrix needs: jobs that bear witness, and proof afterwards that nothing is left."""

import contextlib
import os
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, Popen

import apsw
import pytest

from queuectl import fence
from queuectl.store import Store
from tests.acceptance.conftest import COMMAND, Queuectl, queuectl
from tests.support.waiting import eventually

__all__ = ["queuectl"]

OVERLAP = "overlap"


def state_of(pid: int) -> str | None:
    """Return the kernel's letter for a process; None if it has ended."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if letter in "ZX" else letter


def children_of(pid: int) -> list[int]:
    """Return the living children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if parent_of(int(path.name)) == pid and state_of(int(path.name)):
                found.append(int(path.name))
    return found


def parent_of(pid: int) -> int:
    """Return the parent of a living process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@dataclass
class Scene:
    """A queue, its runners, and jobs that write down when they begin, end and meet another attempt of their run."""

    queuectl: Queuectl
    folder: Path
    frozen: list[int] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """The queue's file."""
        return Path(self.queuectl.environ["QUEUECTL_DB"])

    def job(self, id: str, body: str, *options: str) -> None:
        """Enqueue a run of a shell script, which an attempt of the same run must never meet."""
        self.queuectl("enqueue", "--id", id, *options, self.script(id, body))

    def script(self, id: str, body: str) -> str:
        """Return a shell script that bears witness of a run."""
        log = shlex.quote(str(self._log(id)))
        meet = f"exec 8>>{log}.alone; flock -n 8 || echo {OVERLAP} >> {log}"
        return f'{meet}; echo "began $PPID $$" >> {log}; {body}; echo ended >> {log}'

    def log(self, id: str) -> list[str]:
        """Return what the attempts of a run have written down so far."""
        try:
            return self._log(id).read_text().splitlines()
        except FileNotFoundError:
            return []

    def began(self, id: str, attempt: int = 1) -> tuple[int, int]:
        """Wait until so many attempts have begun; return the pids of the last one's worker and job."""

        def last() -> str | None:
            found = [line for line in self.log(id) if line.startswith("began")]
            return found[attempt - 1] if len(found) >= attempt else None

        _, worker, job = str(eventually(last)).split()
        return int(worker), int(job)

    def times(self, id: str, word: str) -> int:
        """Return how often the attempts of a run have written a word."""
        return sum(line.split()[0] == word for line in self.log(id))

    def runner(self, *options: str, **environ: str) -> Popen[bytes]:
        """Start a runner and wait until it is registered, or has refused."""
        process = self.start_runner(*options, **environ)
        eventually(lambda: process.poll() is not None or process.pid in self.registered())
        return process

    def start_runner(self, *options: str, **environ: str) -> Popen[bytes]:
        """Start a runner without waiting for anything."""
        with self._words.open("ab") as words:
            process = Popen(
                [COMMAND, "run", *options],
                cwd=self.queuectl.folder,
                env={**self.queuectl.environ, **environ},
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=words,
                start_new_session=True,
            )
        self.queuectl.started.append(process)
        return process

    def kill_with_workers(self, runner: Popen[bytes]) -> None:
        """Kill a runner with its forkserver and its workers, as the kernel does without memory; their jobs live on."""
        os.kill(runner.pid, signal.SIGSTOP)  # it would replace them
        helpers = children_of(runner.pid)
        for pid in [*(worker for helper in helpers for worker in children_of(helper)), *helpers, runner.pid]:
            os.kill(pid, signal.SIGKILL)
        runner.wait()

    def ended_unheard(self, id: str) -> Popen[bytes]:
        """Let a run's command end while its runner stands still; return the runner."""
        go = self.folder / "go"
        self.job(id, f"while [ ! -e {go} ]; do sleep 0.02; done")
        runner = self.runner()
        self.began(id)
        self.freeze(runner.pid)
        go.touch()
        eventually(lambda: self.times(id, "ended"))
        eventually(lambda: not self.left())
        return runner

    def registered(self) -> list[int]:
        """Return the process numbers of the runners that have put themselves into the queue and not left it."""
        with Store(self.database, create=False) as store:
            return [runner.pid for runner in store.running_runners()]

    def heartbeat(self, pid: int) -> datetime:
        """Return when a runner last said that it lives."""
        with Store(self.database, create=False) as store:
            return next(runner.heartbeat_at for runner in store.running_runners() if runner.pid == pid)

    def said(self) -> str:
        """Return what the runners have written to stderr so far."""
        return self._words.read_text() if self._words.exists() else ""

    @property
    def _words(self) -> Path:
        return self.folder / "stderr"

    def show(self, id: str) -> tuple[str, int]:
        """Return a run's state and how many attempts were charged."""
        with Store(self.database, create=False) as store:
            run = store.run(id)
        return str(run.state), run.attempts

    def counts(self) -> dict[str, int]:
        """Return how many runs are in each state that any run is in."""
        with Store(self.database, create=False) as store:
            return {str(state): count for state, count in store.counts().items() if count}

    def becomes(self, id: str, state: str, *, within: float = 30.0) -> None:
        """Wait until a run is in a state."""
        eventually(lambda: self.show(id)[0] == state, within=within)

    def outcomes(self, id: str) -> list[str]:
        """Return how each attempt of a run ended, oldest first."""
        return [attempt["outcome"] for attempt in self.queuectl.json("show", id)["attempts_made"]]

    def record_pid(self, before: int, after: int) -> None:
        """Let the queue believe that a runner had another process number, as when that number was given again."""
        with contextlib.closing(apsw.Connection(str(self.database))) as connection:
            connection.execute("UPDATE runners SET pid = ? WHERE pid = ?", (after, before))

    def freeze(self, pid: int) -> None:
        """Stop a process, as a debugger or a suspended machine does."""
        os.kill(pid, signal.SIGSTOP)
        self.frozen.append(pid)
        eventually(lambda: state_of(pid) in ("T", None))

    def left(self) -> list[str]:
        """Return what is left of attempts: processes that carry the queue's mark, and locks that are held."""
        mark = f"QUEUECTL_EXECUTION={self.database}:".encode()
        running = Path(f"{self.database}.d/running")
        held = [str(path) for path in running.glob("*") if fence.is_held(str(path))]
        return [f"process {pid}: {_words(pid)}" for pid in _processes_with(mark)] + held

    def processes(self) -> list[int]:
        """Return all living processes of this queue: runners, forkservers, workers, jobs and what those started."""
        return _processes_with(f"QUEUECTL_DB={self.database}\0".encode())

    def _log(self, id: str) -> Path:
        return self.folder / f"{id}.log"


def _processes_with(mark: bytes) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if mark in _read(pid, "environ") and state_of(pid)]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _words(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


@pytest.fixture
def scene(queuectl: Queuectl, tmp_path: Path) -> Iterator[Scene]:
    """A queue with quick retries; when the test is over, nothing overlapped and nothing is left."""
    queuectl.environ = {
        **queuectl.environ,
        "QUEUECTL_RETRY_DELAY": "0.05s",
        "QUEUECTL_GRACE_PERIOD": "1s",
        "QUEUECTL_JITTER": "0",
    }
    with witnessed(queuectl, tmp_path) as found:
        yield found


@contextlib.contextmanager
def witnessed(queuectl: Queuectl, place: Path) -> Iterator[Scene]:
    """A scene; when it is over, nothing overlapped and nothing is left."""
    folder = place / "witness"
    folder.mkdir()
    found = Scene(queuectl, folder)
    try:
        yield found
        _stop(found)
        assert "Traceback" not in found.said()
        assert [path.name for path in folder.glob("*.log") if OVERLAP in path.read_text().split()] == []
        eventually(lambda: not found.left() and not found.processes(), within=10)
    finally:
        for pid in found.processes():
            _send(pid, signal.SIGKILL)


def _stop(scene: Scene) -> None:
    for pid in scene.frozen:
        _send(pid, signal.SIGCONT)
    for process in scene.queuectl.started:
        if process.poll() is None:
            process.terminate()
    for process in scene.queuectl.started:
        process.wait(30)


def _send(pid: int, sig: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)
