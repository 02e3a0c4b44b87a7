"""What a longer queue costs: `python benchmarks/scale.py [LARGEST]`; medians of the store's calls, in microseconds.

Each size is measured with everything pending, with everything finished, and with as many runs of a higher priority that
are due tomorrow. The last column is the growth from the smallest to the largest size.
"""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sidebyside import machine

from queuectl.job import Attempt, NewRun, Run, State
from queuectl.lifecycle import settle
from queuectl.outcome import Exited
from queuectl.spec import JobSpec
from queuectl.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
SPEC = JobSpec(command="true")
BATCH = 32


def fill(store: Store, runs: int, *, kind: str, extra: int = 2_000) -> None:
    """Put so many runs into the queue, pending, finished or due tomorrow with a higher priority, and some due now."""
    run = NewRun(spec=SPEC, run_at=NOW)
    if kind == "finished":
        run = NewRun(spec=SPEC, run_at=NOW, state=State.SKIPPED, reason="missed")
    elif kind == "due tomorrow":
        run = NewRun(spec=JobSpec(command="true", priority=50), run_at=NOW + timedelta(days=1))
    for begin in range(0, runs, 50_000):
        store.enqueue([run] * min(50_000, runs - begin), now=NOW)
    store.enqueue([NewRun(spec=SPEC, run_at=NOW)] * extra, now=NOW)


def measured(store: Store) -> dict[str, float]:
    """Return the median microseconds of each call."""
    runner = store.register_runner(host="bench", pid=1, workers=1, now=NOW)
    claimed: list[Run] = []

    def claim() -> None:
        claimed[:] = store.claim(limit=BATCH, runner=runner, now=NOW)

    def settle_all() -> None:
        ends = []
        for run in claimed:
            attempt = Attempt(
                number=1, lease=run.lease or 0, runner=runner, started_at=NOW, finished_at=NOW, outcome=Exited(0)
            )
            ends.append((run, settle(run, attempt.outcome, now=NOW, jitter=0), attempt))
        store.settle(ends)

    calls: dict[str, Callable[[], object]] = {
        f"claim {BATCH}": claim,
        f"settle {BATCH}": settle_all,
        "enqueue 1": lambda: store.enqueue([NewRun(spec=SPEC, run_at=NOW)], now=NOW),
        "enqueue 100": lambda: store.enqueue([NewRun(spec=SPEC, run_at=NOW)] * 100, now=NOW),
        "counts": store.counts,
        "next due": store.next_due,
        "newest 20": lambda: store.runs(limit=20),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(40):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            found[name].append((time.perf_counter() - began) * 1e6)
    return {name: statistics.median(taken) for name, taken in found.items()}


def main(largest: int) -> None:
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= largest]
    print(f"{machine()}; microseconds, medians of 40")
    for kind in ("pending", "finished", "due tomorrow"):
        columns = []
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder, Store(Path(folder, "queue.db")) as store:
                fill(store, size, kind=kind)
                columns.append(measured(store))
        print(f"\n{kind:<16}" + "".join(f"{size:>12,}" for size in sizes) + "      growth")
        for name in columns[0]:
            cells = "".join(f"{column[name]:12.0f}" for column in columns)
            print(f"{name:<16}{cells}{columns[-1][name] / columns[0][name]:11.2f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
