"""How long small commands take: `python benchmarks/startup.py [ROUNDS] [RUNS]`.

First as a multiple of the bare interpreter; then the verbs that read, on a queue of RUNS runs, a million unless said,
as a multiple of a queue with one. Exits with 1 if a command takes longer than it may.
"""

import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from scale import fill
from sidebyside import QUEUECTL, interleaved, machine, ratios, seconds_of

from queuectl.store import Store

LIMITS = {"queuectl --version": 2.0, "queuectl enqueue -- true": 12.0}
READING = {"status": ["status"], "list --limit 20": ["list", "--limit", "20"], "show r1": ["show", "r1"]}
READING_LIMIT = 1.5


def small_commands(folder: Path, rounds: int) -> bool:
    """Print what small commands take; return whether one takes too long."""
    bare, configured = folder / "bare", folder / "configured"
    bare.mkdir(), configured.mkdir()
    (configured / "queuectl.toml").write_text("workers = 2\n[defaults]\nretries = 1\n")
    environ = {"HOME": str(folder), "QUEUECTL_DB": str(folder / "queue.db")}
    commands = {
        "python -c pass": (bare, [sys.executable, "-c", "pass"]),
        "queuectl --version": (bare, [QUEUECTL, "--version"]),
        "queuectl enqueue -- true": (bare, [QUEUECTL, "enqueue", "--", "true"]),
        "queuectl enqueue -- true, with a queuectl.toml": (configured, [QUEUECTL, "enqueue", "--", "true"]),
        "queuectl status --json": (bare, [QUEUECTL, "status", "--json"]),
        "queuectl list --limit 20": (bare, [QUEUECTL, "list", "--limit", "20"]),
    }
    found = timed(commands, environ, rounds)
    base = "python -c pass"
    slow = [shown(found, name, base, LIMITS.get(name)) for name in found]
    return any(slow)


def reading_verbs(folder: Path, rounds: int, runs: int) -> bool:
    """Print what verbs that read take on a small queue and on a large one; return whether one takes too long."""
    small, large = folder / "small.db", folder / "large.db"
    with Store(small) as store:
        fill(store, 0, kind="pending", extra=1)
    with Store(large) as store:
        fill(store, runs // 2, kind="finished")
        fill(store, runs - runs // 2, kind="pending")
    environ = {"HOME": str(folder)}
    commands = {
        f"{name}, {label}": (folder, [QUEUECTL, *words, "--db", str(database)])
        for name, words in READING.items()
        for label, database in (("one run", small), (f"{runs:,} runs", large))
    }
    found = timed(commands, environ, rounds)
    names = list(found)
    slow = [
        shown(found, name, base, READING_LIMIT if name != base else None)
        for base, longer in zip(names[::2], names[1::2], strict=True)
        for name in (base, longer)
    ]
    return any(slow)


def timed(
    commands: Mapping[str, tuple[Path, list[str]]], environ: Mapping[str, str], rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of every command in every round."""
    tasks = {
        name: lambda cwd=cwd, command=command: seconds_of(command, cwd=cwd, environ=environ)
        for name, (cwd, command) in commands.items()
    }
    return interleaved(tasks, rounds=rounds, warmups=2)


def shown(found: Mapping[str, Sequence[float]], name: str, base: str, limit: float | None) -> bool:
    """Print the line of one command; return whether it takes longer than it may."""
    _, times, _ = ratios(found, name, base)
    at_most = f"  (at most {limit:g} x)" if limit else ""
    print(f"{name:<48} {statistics.median(found[name]) * 1000:7.1f} ms  {times:5.2f} x{at_most}")
    return limit is not None and times > limit


def main(rounds: int, runs: int) -> int:
    print(f"{machine()}; medians of {rounds} interleaved rounds")
    with tempfile.TemporaryDirectory() as folder:
        is_slow = small_commands(Path(folder), rounds)
        print()
        is_slow |= reading_verbs(Path(folder), rounds, runs)
    return int(is_slow)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(numbers[0] if numbers else 15, numbers[1] if len(numbers) > 1 else 1_000_000))
