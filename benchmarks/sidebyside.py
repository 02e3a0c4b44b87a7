"""Timing commands against each other: interleaved, so that a busy machine is unfair to none, and by the median."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

QUEUECTL = str(Path(sys.executable).parent / "queuectl")

# A person's shell has none of these, and one alone can double what is measured: without caches of its modules Python
# compiles them anew in every process.
for _name in [name for name in os.environ if name.startswith("PYTHON")]:
    del os.environ[_name]


def seconds_of(command: Sequence[str], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> float:
    """Run a command and return how long it took; fails if it does."""
    env = {**os.environ, **(environ or {})}
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def interleaved(tasks: Mapping[str, Callable[[], float]], *, rounds: int, warmups: int = 1) -> dict[str, list[float]]:
    """Return the seconds of every task in every round; all tasks take turns in each round."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(warmups + rounds):
        for name, task in tasks.items():
            taken = task()
            if number >= warmups:
                found[name].append(taken)
    return found


def ratios(found: Mapping[str, Sequence[float]], name: str, base: str) -> list[float]:
    """Return the quartiles of the ratios to ``base``, round by round; the second is the median."""
    by_round = [one / other for one, other in zip(found[name], found[base], strict=True)]
    return statistics.quantiles(by_round, n=4, method="inclusive")


def machine() -> str:
    """Return what the figures were measured on."""
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"
