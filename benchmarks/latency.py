"""How soon a run starts, what waiting costs, how fast a queue is filled: `python benchmarks/latency.py [ROUNDS]`.

A start is counted from just before the call that enqueues, or from the due time, to the first act of the job: its shell
writes to a pipe that is read here. So it has in it the commit to the disk (not for a due time), the waking, the claim
and its commit, and the start of the shell. To judge it by, the same shell is started without a queue, and one page is
written and synced. What an idle runner takes is that of all its processes, and is read from /proc, as is their memory.
Exits with 1 if a figure misses its goal; the goals are for a machine that does nothing else.
"""

import os
import random
import select
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sidebyside import QUEUECTL, interleaved, machine

from queuectl import clock
from queuectl.job import NewRun, State
from queuectl.spec import JobSpec
from queuectl.spool import Spool, wake_runners
from queuectl.store import Store

WORKERS = 4
WARMUPS = 5
IDLE_SECONDS = 12.0  # one beat of the runner
IDLE_SPANS = 5
BULK = 100_000
_PATIENCE = 30.0

# What a script of ten lines does that keeps command lines in a table: no checks, no states, no indexes.
BARE = """
import os, sqlite3, sys
queue = sqlite3.connect(os.environ["QUEUECTL_DB"], isolation_level=None)
queue.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE runs (command TEXT); BEGIN")
for line in sys.stdin:
    print(queue.execute("INSERT INTO runs VALUES (?)", (line.strip(),)).lastrowid)
queue.execute("COMMIT")
"""


class Table:
    """The figures, printed as they come, and whether all of them are as good as they are to be."""

    is_good = True

    def row(self, name: str, figure: float, unit: str, goal: float | None = None) -> None:
        within = goal is None or figure <= goal
        self.is_good &= within
        against = "" if goal is None else f"  (goal: {goal:g} {unit}{'' if within else ', missed'})"
        print(f"{name:<52} {figure:8.2f} {unit}{against}", flush=True)

    def percentiles(self, name: str, seconds: Sequence[float], *, goals: tuple[float, float] | None) -> None:
        ordered = sorted(seconds)
        for percent, goal in zip((50, 99), goals or (None, None), strict=True):
            nearest = ordered[-(-len(ordered) * percent // 100) - 1]
            self.row(f"{name}, p{percent}", nearest * 1000, "ms", goal)


class Witness:
    """A pipe in the file system that the jobs write to as their first act."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.spec = JobSpec(command=f"echo >{shlex.quote(str(path))}", cwd=str(path.parent))

    def wait(self) -> None:
        """Return as soon as a job has started."""
        ready, _, _ = select.select([self._end], [], [], _PATIENCE)
        assert ready, "no job has started"
        os.read(self._end, 100)


class Idle:
    """A runner that has nothing to do, and a store beside it to enqueue in."""

    def __init__(self, folder: Path, store: Store, runner: subprocess.Popen[bytes]) -> None:
        self.store = store
        self.runner = runner
        self._spool = Spool(str(store.path))
        self._witness = Witness(folder / "witness")

    def enqueue(self, run_at: datetime) -> None:
        """Do as `queuectl enqueue` does once it has started."""
        self.store.enqueue([NewRun(spec=self._witness.spec, run_at=run_at)], now=clock.now())
        wake_runners(self._spool)

    def start_at_once(self) -> float:
        """Return the seconds from before the enqueuing to the job's first act."""
        self._settle_down()
        began = time.perf_counter()
        self.enqueue(clock.now())
        self._witness.wait()
        return time.perf_counter() - began

    def start_when_due(self) -> float:
        """Return the seconds from the due time, some time ahead, to the job's first act."""
        self._settle_down()
        due = clock.now() + timedelta(seconds=random.uniform(0.1, 0.3))
        self.enqueue(due)
        self._witness.wait()
        return (clock.now() - due).total_seconds()

    def start_without_queue(self) -> float:
        """Return the seconds from before the start of the job's shell to its first act."""
        self._settle_down()
        began = time.perf_counter()
        with subprocess.Popen(self._witness.spec.argv):
            self._witness.wait()
            return time.perf_counter() - began

    def sync(self) -> float:
        """Return the seconds in which one page reaches the disk."""
        self._settle_down()
        with self.store.path.with_name("page").open("ab", buffering=0) as file:
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file)
            return time.perf_counter() - began

    def wait_for_the_end(self) -> None:
        """Return when nothing waits or runs."""
        deadline = time.monotonic() + _PATIENCE
        while any(count for state, count in self.store.counts().items() if not state.is_final):
            assert time.monotonic() < deadline, "the runs do not end"
            pause(0.02)

    def processes(self) -> list[int]:
        """Return the runner and all that descends from it."""
        parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
        found = [self.runner.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def workers(self) -> list[int]:
        """Return the processes that have none below them, without the one that multiprocessing cleans up with."""
        found = self.processes()
        parents = {_parent(Path(f"/proc/{pid}")) for pid in found}
        return [pid for pid in found if pid not in parents and _parent(Path(f"/proc/{pid}")) != self.runner.pid]

    def _settle_down(self) -> None:
        self.wait_for_the_end()
        pause(random.uniform(0.01, 0.03))


@contextmanager
def idle_runner(folder: Path) -> Iterator[Idle]:
    """Start a runner, let each of its workers do something, and stop it in the end."""
    environ = {**os.environ, "HOME": str(folder), "QUEUECTL_DB": str(folder / "queue.db")}
    with Store(folder / "queue.db") as store:
        command = [QUEUECTL, "run", "--workers", str(WORKERS)]
        with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL) as runner:
            try:
                warm = NewRun(spec=JobSpec(command="sleep 0.3", cwd=str(folder)), run_at=clock.now())
                store.enqueue([warm] * WORKERS * 2, now=clock.now())
                idle = Idle(folder, store, runner)
                idle.wait_for_the_end()
                yield idle
            finally:
                runner.terminate()


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time of all threads of some processes; exact, where /proc/PID/stat has hundredths."""
    tasks = [path for pid in pids for path in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((path / "schedstat").read_text().split()[0]) for path in tasks) / 1e9


def idle_share(pids: Sequence[int]) -> float:
    """Return which part of a core some processes take for a while.

    The median of some is to be taken: what a host took from this machine in the meantime counts as theirs.
    """
    before = cpu_seconds(pids)
    pause(IDLE_SECONDS)
    return (cpu_seconds(pids) - before) / IDLE_SECONDS


def memory(pid: int) -> dict[str, float]:
    """Return the megabytes that only this process has, its fair share of all it uses, and all it uses."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
    return {
        "private": (kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]) / 1024,
        "Pss": kilobytes["Pss"] / 1024,
        "RSS": kilobytes["Rss"] / 1024,
    }


def bulk(folder: Path, *, command: Sequence[str], line: str) -> Callable[[], float]:
    """Return a task: so many equal lines into a new queue, from the start of the process to its end."""
    lines = (line + "\n").encode() * BULK

    def task() -> float:
        queue = folder / "bulk.db"
        began = time.perf_counter()
        done = subprocess.run(
            command,
            input=lines,
            env={**os.environ, "HOME": str(folder), "QUEUECTL_DB": str(queue)},
            cwd=folder,
            stdout=subprocess.PIPE,
            check=True,
        )
        taken = time.perf_counter() - began
        assert done.stdout.count(b"\n") == BULK
        for path in folder.glob(f"{queue.name}*"):
            path.unlink()
        return taken

    return task


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def main(rounds: int) -> int:
    table = Table()
    print(f"{machine()}; an idle runner with {WORKERS} workers; {rounds} starts")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with idle_runner(folder) as idle:
            tasks = {
                "from enqueuing to the job's first act": idle.start_at_once,
                "from the due time to the job's first act": idle.start_when_due,
                "without a queue": idle.start_without_queue,
                "one page to the disk": idle.sync,
            }
            for each, taken in interleaved(tasks, rounds=rounds, warmups=WARMUPS).items():
                table.percentiles(each, taken, goals=(5, 20) if "from" in each else None)
            idle.wait_for_the_end()
            pause(1)
            everyone = idle.processes()
            share = statistics.median(idle_share(everyone) for _ in range(IDLE_SPANS))
            table.row(f"{len(everyone)} processes, idle", share * 100, "% of a core", 0.1)
            workers = [memory(pid) for pid in idle.workers()]
            assert len(workers) == WORKERS, workers
            for kind in workers[0]:
                goal = 20 if kind == "private" else None
                table.row(f"largest worker, {kind}", max(each[kind] for each in workers), "MB", goal)
            together = sum(memory(pid)["Pss"] for pid in everyone)
            table.row(f"{len(everyone)} processes together, Pss", together, "MB")
            assert idle.store.counts()[State.COMPLETED] == 2 * (rounds + WARMUPS + WORKERS)
        bulks = {
            "command lines": bulk(folder, command=[QUEUECTL, "enqueue", "-"], line="true"),
            "JSON objects": bulk(folder, command=[QUEUECTL, "enqueue", "-"], line='{"command": ["true"]}'),
            "a bare sqlite3 script": bulk(folder, command=[sys.executable, "-c", BARE], line="true"),
        }
        for each, taken in interleaved(bulks, rounds=5).items():
            goal = None if "script" in each else 2
            table.row(f"{BULK:,} lines at once, {each}", statistics.median(taken), "s", goal)
    return int(not table.is_good)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
