"""How long it takes to apply a large manifest, and to find it unchanged: `python benchmarks/apply.py [JOBS] [ROUNDS]`.

Exits with 1 if a 10,000-job manifest takes longer than it may.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from sidebyside import QUEUECTL, interleaved, machine, seconds_of

LIMITS = {"apply": 3.0, "apply, unchanged": 2.0}
_USUAL = 10_000


def manifest(jobs: int) -> str:
    """Return a manifest in which every job has a few keys of its own."""
    head = 'version = 1\nmanifest = "large"\n[defaults]\nretries = 2\ntimeout = "10m"\n'
    return head + "".join(
        f'[jobs.job-{number}]\ncommand = "echo {number}"\npriority = {number % 10}\ntags = ["t{number % 7}"]\n'
        for number in range(jobs)
    )


def main(jobs: int, rounds: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.toml")
        path.write_text(manifest(jobs))
        environ = {"HOME": folder}
        queues = iter(range(1_000))
        queue = [Path(folder, "unused.db")]

        def first() -> float:
            queue[0] = Path(folder, f"queue-{next(queues)}.db")
            return seconds_of([QUEUECTL, "apply", str(path), "--db", str(queue[0])], environ=environ)

        def again() -> float:
            return seconds_of([QUEUECTL, "apply", str(path), "--db", str(queue[0])], environ=environ)

        def validate() -> float:
            return seconds_of([QUEUECTL, "validate", str(path)], environ=environ)

        tasks = {"apply": first, "apply, unchanged": again, "validate": validate}
        found = interleaved(tasks, rounds=rounds)
    print(f"{machine()}; {jobs:,} jobs; medians of {rounds} interleaved rounds")
    slow = False
    for name, taken in found.items():
        seconds, limit = statistics.median(taken), LIMITS.get(name)
        slow |= jobs <= _USUAL and limit is not None and seconds > limit
        print(f"{name:<20} {seconds:6.2f} s" + (f"  (at most {limit:g} s for {_USUAL:,})" if limit else ""))
    return int(slow)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(numbers[0] if numbers else _USUAL, numbers[1] if len(numbers) > 1 else 5))
