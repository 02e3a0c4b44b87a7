"""How long small commands take, as a multiple of the bare interpreter: `python benchmarks/startup.py [ROUNDS]`.

Exits with 1 if a command takes longer than it may.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from sidebyside import QUEUECTL, interleaved, machine, ratio, seconds_of

LIMITS = {"queuectl --version": 2.0, "queuectl enqueue -- true": 12.0}


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        bare, configured = Path(folder, "bare"), Path(folder, "configured")
        bare.mkdir(), configured.mkdir()
        (configured / "queuectl.toml").write_text("workers = 2\n[defaults]\nretries = 1\n")
        environ = {"HOME": folder, "QUEUECTL_DB": str(Path(folder, "queue.db"))}
        commands = {
            "python -c pass": (bare, [sys.executable, "-c", "pass"]),
            "queuectl --version": (bare, [QUEUECTL, "--version"]),
            "queuectl enqueue -- true": (bare, [QUEUECTL, "enqueue", "--", "true"]),
            "queuectl enqueue -- true, with a queuectl.toml": (configured, [QUEUECTL, "enqueue", "--", "true"]),
            "queuectl status --json": (bare, [QUEUECTL, "status", "--json"]),
            "queuectl list": (bare, [QUEUECTL, "list", "--limit", "20"]),
        }
        found = interleaved(
            {
                name: lambda cwd=cwd, command=command: seconds_of(command, cwd=cwd, environ=environ)
                for name, (cwd, command) in commands.items()
            },
            rounds=rounds,
            warmups=2,
        )
    base = "python -c pass"
    print(f"{machine()}; medians of {rounds} interleaved rounds")
    slow = False
    for name, taken in found.items():
        times = ratio(found, name, base)
        limit = LIMITS.get(name)
        slow |= limit is not None and times > limit
        print(
            f"{name:<48} {statistics.median(taken) * 1000:7.1f} ms  {times:5.1f} x"
            + (f"  (at most {limit:g} x)" if limit else "")
        )
    return int(slow)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
