"""What one refresh of each page of the dashboard reads, at a million runs: `python benchmarks/dashboard.py [RUNS]`.

Each figure is the median of a whole refresh as a page does it: the database opened for reading, everything read in one
snapshot, and closed. Exits with 1 if one takes longer than 300 ms.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sidebyside import machine

from queuectl.dashboard.reads.applies import apply_list
from queuectl.dashboard.reads.dead import dead
from queuectl.dashboard.reads.jobs import job_list, one_job
from queuectl.dashboard.reads.overview import overview
from queuectl.dashboard.reads.run import one_run
from queuectl.dashboard.reads.runs import Chosen, choices, run_list
from queuectl.dashboard.reads.schedule import day
from queuectl.dashboard.reads.trends import SPANS, trend
from queuectl.measures import COLUMNS
from queuectl.records import to_micros
from queuectl.store import Store

MOST_MS: Final = 300
JOBS: Final = 40
DAYS: Final = 14
ROUNDS: Final = 15
NOW: Final = datetime.now(UTC)  # noqa: TID251 - a benchmark has no other clock
_SECOND: Final = 1_000_000

SPEC: Final = '{"command":"rsync -a /srv/data/ backup:/srv/data/","timeout":300.0,"retries":3}'


def fill(store: Store, runs: int) -> None:
    """Fill a queue by SQL: two weeks of runs of forty jobs, one in fifty dead, with their attempts and metrics."""
    now = to_micros(NOW)
    span = DAYS * 86400 * _SECOND
    connection = store._connection  # noqa: SLF001 - through the store it would take an hour
    connection.execute("PRAGMA synchronous = OFF; BEGIN; DROP TRIGGER runs_counted_in").fetchall()
    for job in range(JOBS):
        recurrence = (
            f'{{"schedule":"*/{5 + job} * * * *","timezone":"UTC","catchup":"latest","catchup_window":null,'
            '"overlap":"skip","spread":0.0}'
        )
        connection.execute(
            "INSERT INTO jobs (manifest, name, spec, recurrence, next_slot, enabled, revision, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, 1, 1, ?, ?)",
            (
                ("nightly", "reports", "sync", "media")[job % 4],
                f"job-{job:02}",
                SPEC,
                recurrence,
                now + (job + 1) * 60 * _SECOND,
                now - span,
                now - span,
            ),
        )
    connection.execute(
        "INSERT INTO runners (host, pid, workers, started_at, heartbeat_at) VALUES ('bench', 1, 4, ?, ?)",
        (now - span, now),
    )
    connection.execute(
        """
        WITH RECURSIVE counted (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < :runs)
        INSERT INTO runs (job, state, priority, spec, attempts, scheduled_at, run_at, created_at, updated_at,
                          started_at, finished_at, reason)
        SELECT 1 + number % :jobs, state, 0, :spec, 1, at, at, at, at + took,
               CASE WHEN state = 'skipped' THEN NULL ELSE at END, at + took,
               CASE state WHEN 'completed' THEN NULL WHEN 'skipped' THEN 'overlap' ELSE 'exit code ' || number % 7 END
          FROM (SELECT number, :begin + number * (:span / :runs) AS at, 1000000 + number * 7919 % 60000000 AS took,
                       CASE WHEN number % 50 = 0 THEN 'dead' WHEN number % 50 = 1 THEN 'skipped'
                            WHEN number < 1000 AND number % 50 = 2 THEN 'cancelled' ELSE 'completed' END AS state
                  FROM counted)
        """,
        {"runs": runs, "jobs": JOBS, "spec": SPEC, "begin": now - span - 60 * _SECOND, "span": span},
    )
    connection.execute(
        "INSERT INTO attempts (run, lease, number, runner, started_at, finished_at, outcome, exit_code, stdout_bytes,"
        " stderr_bytes) SELECT number, number, 1, 1, started_at, finished_at, 'exited', state = 'dead', 100, 0"
        " FROM runs WHERE started_at IS NOT NULL"
    )
    connection.execute("UPDATE run_counts SET count = (SELECT count(*) FROM runs WHERE runs.state = run_counts.state)")
    measures = ", ".join("1" for _ in COLUMNS)
    connection.execute(
        f"""
        INSERT INTO metrics (width, start, job, event, state, latest, {", ".join(COLUMNS)})
        SELECT width, finished_at - finished_at % (width * 1000000), job, 'exited', state, max(finished_at), {measures}
          FROM (SELECT *, CASE WHEN finished_at > :recent THEN 300 ELSE 3600 END AS width
                  FROM runs WHERE state IN ('completed', 'dead') AND finished_at > :kept)
         GROUP BY width, 2, job, state
        """,
        {"recent": now - 26 * 3600 * _SECOND, "kept": now - 8 * 86400 * _SECOND},
    )
    for number in range(200):
        connection.execute(
            "INSERT INTO applies (applied_at, user, host, changes) VALUES (?, 'ada', 'atlas', ?)",
            (now - span + number * _SECOND, '[{"action":"update","job":"nightly/job-00"}]'),
        )
    connection.execute(
        "CREATE TRIGGER runs_counted_in AFTER INSERT ON runs BEGIN"
        " UPDATE run_counts SET count = count + 1 WHERE state = NEW.state; END"
    )
    connection.execute("COMMIT")


def pages(runs: int) -> dict[str, Callable[[Store], object]]:
    """Return what each page reads."""
    searches = {
        "runs": Chosen(),
        "runs: dead": Chosen(states=("dead",)),
        "runs: cancelled, all of them old": Chosen(states=("cancelled",)),
        "runs: of a job, dead": Chosen(states=("dead",), job="nightly/job-00"),
        "runs: text that is nowhere": Chosen(text="no such text"),
        "runs: a tag that is nowhere": Chosen(tag="no-such-tag"),
        "runs: an old page": Chosen(below=runs // 2),
    }
    return {
        "overview": lambda store: overview(store, NOW),
        **{f"overview: over {span}": lambda store, span=span: trend(store, NOW, span) for span in SPANS},  # type: ignore[misc]
        "runs: what may be chosen": lambda store: choices(store, NOW),
        **{
            name: lambda store, chosen=chosen: run_list(store, NOW, chosen)  # type: ignore[misc]
            for name, chosen in searches.items()
        },
        "run": lambda store: one_run(store, NOW, f"r{runs // 2 * 2 - 48}"),
        "jobs": lambda store: job_list(store, NOW),
        "jobs: one": lambda store: one_job(store, NOW, "nightly/job-00"),
        "schedule": lambda store: day(store, NOW),
        "dlq": lambda store: dead(store, NOW),
        "applies": lambda store: apply_list(store, NOW),
    }


def measured(path: Path, read: Callable[[Store], object]) -> float:
    """Return the median milliseconds of one refresh."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with Store(path, read_only=True) as store, store.snapshot():
            read(store)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main(runs: int) -> int:
    """Print the figures and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "queue.db")
        with Store(path) as store:
            fill(store, runs)
        print(f"{machine()}; {runs:,} runs; milliseconds, medians of {ROUNDS}")
        found = {name: measured(path, read) for name, read in pages(runs).items()}
    for name, taken in found.items():
        print(f"{name:<34}{taken:8.1f}{'  too long' if taken > MOST_MS else ''}")
    return int(max(found.values()) > MOST_MS)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
