"""The SQL, read from the ``.sql`` files: one statement, one name."""

from functools import cache
from pathlib import Path
from typing import Final

from queuectl.measures import COLUMNS

HERE: Final = Path(__file__).parent

# The columns that rows.run_of reads, in its order; the last one is for sorting.
RUN: Final = """runs.number, coalesce(runs.given_id, 'r' || runs.number),
       (SELECT manifest || '/' || name FROM jobs WHERE id = runs.job), runs.state, runs.spec,
       runs.scheduled_at, runs.run_at, runs.created_at, runs.updated_at, runs.attempts, runs.interruptions,
       runs.started_at, runs.finished_at, runs.reason, runs.lease, runs.runner, runs.stop, runs.slot, runs.priority"""


# The priorities that occur among the waiting runs, found by one step along runs_waiting for each.
PRIORITIES: Final = """priorities (priority) AS (
  SELECT (SELECT max(priority) FROM runs WHERE state IN ('pending', 'failed'))
   UNION ALL
  SELECT (SELECT max(priority) FROM runs WHERE state IN ('pending', 'failed') AND priority < above.priority)
    FROM priorities AS above
   WHERE above.priority IS NOT NULL
)"""


# The sums of a row of metrics: named, given, added to those that are there, and summed over rows.
SUMS: Final = {
    "sums": ", ".join(COLUMNS),
    "given_sums": ", ".join(f":{column}" for column in COLUMNS),
    "added_sums": ", ".join(f"{column} = {column} + excluded.{column}" for column in COLUMNS),
    "summed_sums": ", ".join(f"sum({column})" for column in COLUMNS),
}


@cache
def statements() -> dict[str, str]:
    """Return the statements by name."""
    found: dict[str, str] = {}
    for file in sorted((HERE / "sql").glob("*.sql")):
        for part in file.read_text(encoding="utf-8").split("-- name: ")[1:]:
            name, _, text = part.partition("\n")
            assert name.strip() not in found, f"two statements are named {name}"
            text = text.strip().replace("{run}", RUN).replace("{priorities}", PRIORITIES)
            for word, columns in SUMS.items():
                text = text.replace(f"{{{word}}}", columns)
            found[name.strip()] = text
    return found


@cache
def migrations() -> list[str]:
    """Return the migrations in order; the first brings an empty database to schema version 1."""
    return [file.read_text(encoding="utf-8") for file in sorted((HERE / "migrations").glob("*.sql"))]
