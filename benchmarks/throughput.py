"""How many trivial commands a second, side by side with others: `python benchmarks/throughput.py [RUNS] [ROUNDS]`.

queuectl's time is that of `run --drain` over runs that are queued already, less its start-up, measured by a drain of
an empty queue; that every run completed is checked. xargs keeps no queue, no outcome, no output and no time: it is
the yardstick.
"""

import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sidebyside import QUEUECTL, interleaved, machine, ratios

WORKERS = 4
_HUEY = """
import subprocess
from huey import SqliteHuey
huey = SqliteHuey(filename="{folder}/huey.db", fsync=True)

@huey.task()
def trivial():
    return subprocess.run(["sh", "-c", "true"], capture_output=True).returncode
"""


class Contest:
    """The tasks over one folder; each returns its seconds."""

    def __init__(self, folder: Path, runs: int) -> None:
        self.folder = folder
        self.runs = runs
        self.lines = folder / "lines"
        self.lines.write_text("true\n" * runs)
        self.starts: list[float] = []  # of queuectl, with nothing to do

    def xargs(self, form: str) -> Callable[[], float]:
        command = ["sh", "-c", "true"] if form == "shell" else ["true"]

        def task() -> float:
            with self.lines.open() as lines:
                # -I and no braces: the lines are counted and not passed on, so that both sides run the same command.
                return _timed(["xargs", f"-P{WORKERS}", "-I{}", *command], stdin=lines)

        return task

    def parallel(self) -> float:
        with self.lines.open() as lines:
            log = self.folder / "joblog"
            return _timed(["parallel", "--joblog", str(log), f"-j{WORKERS}"], stdin=lines)

    def huey(self) -> float:
        """Run the consumer of Huey's SQLite queue in processes until all results are there; its start-up included."""
        (self.folder / "huey_tasks.py").write_text(_HUEY.format(folder=self.folder))
        for old in self.folder.glob("huey.db*"):
            old.unlink()
        environ = {**os.environ, "PYTHONPATH": str(self.folder)}
        fill = f"from huey_tasks import trivial\nfor _ in range({self.runs}): trivial()"
        subprocess.run([sys.executable, "-c", fill], env=environ, check=True)
        consumer = [sys.executable, "-m", "huey.bin.huey_consumer", "huey_tasks.huey"]
        began = time.perf_counter()
        process = subprocess.Popen([*consumer, "-w", str(WORKERS), "-k", "process", "-q"], env=environ)
        count = [sys.executable, "-c", "from huey_tasks import huey; print(huey.result_count())"]
        while int(subprocess.run(count, env=environ, capture_output=True, check=True).stdout) < self.runs:
            time.sleep(0.1)  # noqa: TID251 - it has no bell
        taken = time.perf_counter() - began
        process.terminate()
        process.wait()
        return taken

    def queuectl(self, form: str, durability: str = "full") -> Callable[[], float]:
        def task() -> float:
            queue = self.folder / "queue.db"
            for old in self.folder.glob("queue.db*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            line = "true" if form == "shell" else '{"command": ["true"]}'
            subprocess.run(
                [QUEUECTL, "enqueue", "--db", str(queue), "-"],
                input=f"{line}\n" * self.runs,
                text=True,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            environ = {**os.environ, "QUEUECTL_DURABILITY": durability}
            drain = [QUEUECTL, "run", "--workers", str(WORKERS), "--drain", "--db", str(queue)]
            taken = _timed(drain, env=environ)
            counts = subprocess.run([QUEUECTL, "status", "--json", "--db", str(queue)], capture_output=True, check=True)
            assert f'"completed": {self.runs}'.encode() in counts.stdout, counts.stdout
            self.starts.append(_timed(drain, env=environ))
            return taken - self.starts[-1]

        return task


def _timed(command: list[str], **keys: object) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, **keys)  # type: ignore[call-overload]
    return time.perf_counter() - began


def main(runs: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(Path(folder), runs)
        tasks = {}
        for form in ("shell", "argv"):
            tasks[f"xargs -P{WORKERS}, {form}"] = contest.xargs(form)
            tasks[f"queuectl, {form}"] = contest.queuectl(form)
        tasks["queuectl, shell, normal"] = contest.queuectl("shell", "normal")
        if shutil.which("parallel"):
            tasks["GNU parallel --joblog, shell"] = contest.parallel
        if importlib.util.find_spec("huey"):
            tasks["Huey SQLite, fsync, shell"] = contest.huey
        found = interleaved(tasks, rounds=rounds)
    print(f"{machine()}; {runs:,} commands, {WORKERS} at a time; medians of {rounds} interleaved rounds")
    print("beside xargs: the median, and what half of the rounds lay within; far apart, the machine was busy")
    for name, taken in found.items():
        low, middle, high = ratios(found, f"xargs -P{WORKERS}, {'argv' if 'argv' in name else 'shell'}", name)
        rate = runs / statistics.median(taken)
        print(f"{name:<30} {rate:7.0f} a second  {middle:5.2f} x xargs ({low:.2f} to {high:.2f})")
    print(f"start-up of a drain, not in the above: {statistics.median(contest.starts) * 1000:.0f} ms")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(numbers[0] if numbers else 4000, numbers[1] if len(numbers) > 1 else 5)
