"""Between rows and values."""

import json
from functools import lru_cache
from typing import Any, Final

from queuectl.frozen import revived
from queuectl.job import Run, State, Stop
from queuectl.records import to_instant, to_instant_or_none
from queuectl.spec import JobSpec

to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Plain values as JSON in as few bytes as there can be; ``json.dumps`` would make the encoder anew for each."""


def spec_to_json(spec: JobSpec) -> str:
    """Return a spec as it is stored: the keys that differ from their default, in a fixed order."""
    return to_json(spec.to_dict())


@lru_cache(maxsize=1024)  # runs of one job, and of one batch, often have the same spec
def spec_from_json(text: str) -> JobSpec:
    """Return a stored spec."""
    return JobSpec.from_dict(json.loads(text))


def run_of(row: tuple[Any, ...]) -> Run:
    """Return the run in a row with the columns of ``statements.RUN``."""
    return revived(
        Run,
        {
            "number": row[0],
            "id": row[1],
            "job": row[2],
            "state": State(row[3]),
            "spec": spec_from_json(row[4]),
            "scheduled_at": to_instant(row[5]),
            "run_at": to_instant(row[6]),
            "created_at": to_instant(row[7]),
            "updated_at": to_instant(row[8]),
            "attempts": row[9],
            "interruptions": row[10],
            "started_at": to_instant_or_none(row[11]),
            "finished_at": to_instant_or_none(row[12]),
            "reason": row[13],
            "lease": row[14],
            "runner": row[15],
            "stop": None if row[16] is None else Stop(row[16]),
            "slot": to_instant_or_none(row[17]),
        },
    )
