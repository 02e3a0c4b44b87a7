"""How long it takes to foretell a year of 200 jobs: `python benchmarks/simulate.py [ROUNDS]`.

Most of them are nightly, some come every hour or every quarter of an hour. Exits with 1 if it takes longer than it may.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sidebyside import QUEUECTL, machine, seconds_of

LIMIT = 10.0
_YEAR = ("--from", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z")
_NIGHTLY, _HOURLY, _QUARTERLY = 140, 45, 15


def manifest() -> str:
    """Return 200 jobs with times, priorities and limits of their own."""
    schedules = [f"{number % 60} {number % 24} * * *" for number in range(_NIGHTLY)]
    schedules += [f"{number} * * * *" for number in range(_HOURLY)]
    schedules += ["*/15 * * * *"] * _QUARTERLY
    head = 'version = 1\nmanifest = "year"\n[defaults]\ntimezone = "Europe/Berlin"\ntimeout = "10m"\nmax_wait = "1h"\n'
    return head + "".join(
        f'[jobs.job-{number}]\ncommand = "true"\nschedule = "{schedule}"\npriority = {number % 10}\n'
        for number, schedule in enumerate(schedules)
    )


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "year.toml")
        path.write_text(manifest())
        command = [QUEUECTL, "simulate", str(path), *_YEAR, "--workers", "8", "--assume", "20s"]
        environ = {"HOME": folder, "QUEUECTL_DB": f"{folder}/queue.db"}
        first = subprocess.run(
            command, env={**os.environ, **environ}, capture_output=True, text=True, check=True
        ).stdout
        taken, worked = [], []
        for _ in range(rounds):
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            taken.append(seconds_of(command, environ=environ))
            worked.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    seconds = statistics.median(taken)
    print(f"{machine()}; {_NIGHTLY + _HOURLY + _QUARTERLY} jobs; medians of {rounds} rounds")
    print(first.partition("\n")[0])
    print(f"a year {seconds:6.2f} s  ({statistics.median(worked):.2f} s of processor time; at most {LIMIT:g} s)")
    return int(seconds > LIMIT)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
