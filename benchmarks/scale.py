"""What a longer queue costs: `python benchmarks/scale.py [LARGEST]`; medians of the store's calls, in microseconds.

Each size is measured with everything pending, with everything finished, and with as many runs of a higher priority that
are due tomorrow. The sizes take turns. The last column is the growth from the smallest to the largest size, the median
of the rounds.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidebyside import interleaved, machine, ratios

from queuectl.job import Attempt, NewRun, Run, State
from queuectl.lifecycle import settle
from queuectl.outcome import Exited
from queuectl.spec import JobSpec
from queuectl.store import Store

NOW = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
SPEC = JobSpec(command="true")
BATCH = 32
ROUNDS = 40


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


def calls_of(store: Store) -> dict[str, Callable[[], object]]:
    """Return the calls of a store that are measured, by name and in their order."""
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

    return {
        f"claim {BATCH}": claim,
        f"settle {BATCH}": settle_all,
        "enqueue 1": lambda: store.enqueue([NewRun(spec=SPEC, run_at=NOW)], now=NOW),
        "enqueue 100": lambda: store.enqueue([NewRun(spec=SPEC, run_at=NOW)] * 100, now=NOW),
        "counts": store.counts,
        "next due": store.next_due,
        "newest 20": lambda: store.runs(limit=20),
    }


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Return a task that makes a call and tells how long that took."""

    def task() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return task


def main(largest: int) -> None:
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= largest]
    print(f"{machine()}; microseconds, medians of {ROUNDS} interleaved rounds")
    for kind in ("pending", "finished", "due tomorrow"):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            stores = [stack.enter_context(Store(Path(folder, f"{size}.db"))) for size in sizes]
            for store, size in zip(stores, sizes, strict=True):
                fill(store, size, kind=kind)
            calls = [calls_of(store) for store in stores]
            # All calls of one size, then of the next: the same call thrice in a row would find its caches warm.
            tasks = {
                f"{name}, {size}": timed(call)
                for size, each in zip(sizes, calls, strict=True)
                for name, call in each.items()
            }
            found = interleaved(tasks, rounds=ROUNDS)
        print(f"\n{kind:<16}" + "".join(f"{size:>12,}" for size in sizes) + "      growth")
        for name in calls[0]:
            cells = "".join(f"{statistics.median(found[f'{name}, {size}']) * 1e6:12.0f}" for size in sizes)
            _, growth, _ = ratios(found, f"{name}, {sizes[-1]}", f"{name}, {sizes[0]}")
            print(f"{name:<16}{cells}{growth:11.2f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
