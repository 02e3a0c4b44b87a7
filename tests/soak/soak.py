"""A soak: many runs, several runners, and somebody who kills whatever works on them; judged by `history`.

`python -m tests.soak.soak --runs 10000 --kills 800 --runners 3 --seed 1` prints its figures and exits with 1 if
anything was wrong.
"""

import argparse
import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any, BinaryIO, Final

import apsw

from queuectl import clock
from queuectl.job import Attempt, Run
from queuectl.outcome import Released
from queuectl.records import attempt_to_record
from queuectl.store import Store
from tests.soak import victims
from tests.soak.history import (
    UNCHARGED,
    History,
    Line,
    StoredAttempt,
    StoredRun,
    Violation,
    executed_again,
    parse_line,
    parse_witness,
    violations,
)

COMMAND: Final = Path(sys.executable).parent / "queuectl"
QUEUECTL_RUN: Final = (str(COMMAND), "run", "--workers", "{workers}", "--drain-timeout", "0.2s")
_JOB: Final = str(Path(__file__).with_name("job.sh"))
_BATCH: Final = 50
_TURN: Final = 0.02
_PATIENCE: Final = 10  # turns
_ENDS_WITHIN: Final = 30.0
_VICTIMS: Final = {"runner": 4, "worker": 6, "forkserver": 3, "job": 6}
_KINDS: Final = {
    "quick": 6, "output": 2, "sleep": 5, "once": 2, "flaky": 3, "fail": 1, "child": 2, "daemon": 2, "closer": 2,
    "stubborn": 2,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long and how hard.

    ``runner`` is the command line of a runner, ``victims`` the kinds of process that are killed and how often in
    proportion, ``within`` the seconds it all may take.
    """

    runs: int = 300
    kills: int = 60
    runners: int = 3
    workers: int = 3
    seed: int = 1
    within: float = 120.0
    runner: tuple[str, ...] = QUEUECTL_RUN
    victims: Mapping[str, int] = field(default_factory=lambda: _VICTIMS)


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that was ended: what it was, whose it was, when."""

    kind: str
    runner: str
    at: float


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a soak."""

    history: History
    violations: list[Violation]
    kills: Sequence[Kill]
    recoveries: Sequence[float]
    seconds: float
    files_left: int

    def of(self, check: str) -> list[Violation]:
        """Return what one check found."""
        return [violation for violation in self.violations if violation.check == check]

    def __str__(self) -> str:
        runs, kills = self.history.runs, Counter(kill.kind for kill in self.kills)
        starts = sum(event.kind == "start" for event in self.history.witness)
        states = Counter(run.state for run in runs.values())
        p50, p99 = _percentiles(self.recoveries)
        lines = [
            f"runs              {len(runs):,} ({', '.join(f'{count:,} {state}' for state, count in states.items())})",
            f"unacknowledged    {len(runs.keys() - self.history.acknowledged):,}",
            f"executions        {starts:,} in {self.seconds:.0f} s",
            f"kills             {sum(kills.values()):,} ({', '.join(f'{n:,} {kind}' for kind, n in kills.items())})",
            f"lost              {len(self.of('nothing lost')):,}",
            f"overlapping       {len(self.of('no overlap')):,}",
            f"left processes    {len(self.of('no process left')):,}",
            f"left lock files   {self.files_left:,}, held {len(self.of('no lock left')):,}",
            f"executed again    {executed_again(self.history):,} of {len(runs):,}",
            f"recovery          p50 {p50:.2f} s, p99 {p99:.2f} s, of {len(self.recoveries):,}",
            f"violations        {len(self.violations):,}",
            *(f"  {violation}" for violation in self.violations[:50]),
        ]
        return "\n".join(lines)


@dataclass(slots=True)
class _RunnerProcess:
    """A runner that the soak started, and what has been read of its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: BinaryIO
    errors: Path
    asked_to_end: bool = False
    rest: bytes = b""


@dataclass(slots=True)
class Soak:
    """One soak in an empty folder; the choices follow the seed, their effect does not."""

    folder: Path
    options: Options
    chance: random.Random = field(init=False)
    database: Path = field(init=False)
    kills: list[Kill] = field(default_factory=list)
    _runners: list[_RunnerProcess] = field(default_factory=list)
    _retired: list[_RunnerProcess] = field(default_factory=list)
    _lines: list[Line] = field(default_factory=list)
    _troubles: list[str] = field(default_factory=list)
    _requested: set[str] = field(default_factory=set)
    _acknowledged: set[str] = field(default_factory=set)
    _environ: dict[str, str] = field(init=False)
    _pids: dict[int, str] = field(default_factory=dict)  # the name of a runner by its number
    _names: int = 0
    _wanted: str = ""  # the kind that is to be killed next
    _missed: int = 0  # for how many turns there has been none

    def __post_init__(self) -> None:
        self.chance = random.Random(self.options.seed)
        self.folder = self.folder.resolve()
        self.database = self.folder / "queue.db"
        for name in ("alive", "logs", "home"):
            (self.folder / name).mkdir()
        (self.folder / "witness").touch()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUECTL_", "XDG_"))}
        self._environ = kept | {
            "HOME": str(self.folder / "home"),
            "QUEUECTL_DB": str(self.database),
            "SOAK_FOLDER": str(self.folder),
            "SOAK_PYTHON": sys.executable,
        }

    def run(self) -> Report:
        """Do it and judge it."""
        began = time.monotonic()
        deadline = began + self.options.within
        try:
            self._enqueue_batch()
            with Store(self.database) as store:
                for _ in range(self.options.runners):
                    self._start_runner()
                while not self._is_over(store) and time.monotonic() < deadline:
                    self._turn(store)
                self._end_runners()
                left = self._left_processes()
                runs = _stored(store)
                owners = _owners(self.database)
            self._read_logs()
            history = History(
                requested=frozenset(self._requested),
                acknowledged=frozenset(self._acknowledged),
                runs=runs,
                witness=parse_witness((self.folder / "witness").read_text()),
                lines=self._lines,
                left_processes=left,
                held_locks=_held_locks(self.database),
                troubles=self._troubles,
                integrity=_integrity(self.database),
            )
        finally:
            self._clear_away()
        names = {runner: self._pids[pid] for runner, pid in owners.items() if pid in self._pids}
        return Report(
            history,
            violations(history),
            self.kills,
            _recoveries(history, self.kills, names),
            time.monotonic() - began,
            len(_lock_files(self.database)),
        )

    def _turn(self, store: Store) -> None:
        victims.wait_for_any([runner.process.pid for runner in self._runners], _TURN)
        self._read_logs()
        for runner in [each for each in self._runners if each.process.poll() is not None]:
            self._retire(runner)
            self._start_runner()
        counts = store.counts()
        finished = sum(count for state, count in counts.items() if state.is_final)
        if len(self._acknowledged) < self.options.runs and sum(counts.values()) - finished < 4 * _BATCH:
            self._enqueue_batch()
        # Spread over the soak by its progress, so that no machine is too slow for it.
        if len(self.kills) < self.options.kills * finished / self.options.runs * 1.1:
            self._kill_one()

    def _is_over(self, store: Store) -> bool:
        is_all_queued = len(self._acknowledged) >= self.options.runs
        return is_all_queued and all(state.is_final or not count for state, count in store.counts().items())

    def _enqueue_batch(self) -> None:
        ids = [f"run-{len(self._requested) + index:05}" for index in range(_BATCH)]
        self._requested.update(ids)
        lines = "".join(json.dumps(self._job(run_id)) + "\n" for run_id in ids)
        process = subprocess.Popen(
            [COMMAND, "enqueue", "-"],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        # Now and then the one who enqueues is killed too: what it did not acknowledge may be there or not.
        patience = self.chance.uniform(0.03, 0.2) if self._acknowledged and self.chance.random() < 0.15 else 60.0
        try:
            printed, errors = process.communicate(lines.encode(), timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, errors = process.communicate()
        if process.returncode not in (0, -signal.SIGKILL):
            self._troubles.append(f"`enqueue` exited with {process.returncode}: {errors.decode()[-500:]}")
        self._acknowledged.update(printed.decode().split())

    def _job(self, run_id: str) -> dict[str, Any]:
        kind = _drawn(self.chance, _KINDS)
        retries = {"once": 0, "fail": 1}.get(kind, self.chance.choice((2, 3, 5)))
        return {
            "id": run_id,
            "command": ["sh", _JOB, kind, f"{self.chance.uniform(0.05, 0.3):.3f}"],
            "max_retries": retries,
            "retry_delay": "0.05s",
            "backoff_base": 2,
            "backoff_max": "0.5s",
            "grace_period": "1s",
        }

    def _start_runner(self) -> None:
        self._names += 1
        name = f"{self._names}"
        log, errors = self.folder / "logs" / f"{name}.out", self.folder / "logs" / f"{name}.err"
        command = [word.format(workers=self.options.workers) for word in self.options.runner]
        with log.open("wb") as writing, errors.open("wb") as complaining:
            process = subprocess.Popen(
                command,
                cwd=self.folder if command[0] == str(COMMAND) else None,
                env=self._environ | {victims.MARK: f"{self.folder}:{name}"},
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=complaining,
                start_new_session=True,
            )
        self._pids[process.pid] = name
        self._runners.append(_RunnerProcess(name, process, log.open("rb"), errors))

    def _retire(self, runner: _RunnerProcess) -> None:
        """Take note of how a runner ended: nobody but the soak may end one."""
        self._runners.remove(runner)
        self._retired.append(runner)
        complaint = runner.errors.read_text(errors="replace")
        code = runner.process.returncode
        was_killed = runner.asked_to_end and code == -signal.SIGKILL  # its helpers may complain then
        is_well = runner.asked_to_end and code in (0, -signal.SIGTERM) and not complaint
        if "Traceback" in complaint or not (is_well or was_killed):
            self._troubles.append(f"runner {runner.name} exited with {code}: {complaint[-2000:] or 'no word'}")

    def _read_logs(self) -> None:
        now = clock.now().timestamp()
        for runner in (*self._runners, *self._retired):
            *whole, runner.rest = (runner.rest + runner.log.read()).split(b"\n")
            for text in whole:
                line = parse_line(text.decode(), runner=runner.name, seen=now)
                if line is not None:
                    self._lines.append(line)
        for runner in self._retired:  # an orphaned line cannot come: only the runner itself writes there
            runner.log.close()
        self._retired.clear()

    def _kill_one(self) -> None:
        # Kept for some turns until there is one of the kind: while runners start there are only runners to be
        # found, and a killed forkserver is not replaced before it is needed.
        kind = self._wanted = self._wanted or _drawn(self.chance, self.options.victims)
        if len(self.kills) % 10 == 9:
            self._terminate_one()
        if kind == "runner":
            runner = self.chance.choice(self._runners)
            runner.asked_to_end = True
            runner.process.kill()
            self._killed(runner.name)
            return
        working = {runner.name for runner in self._runners}
        found = [each for each in victims.processes(self.folder) if each.kind == kind and each.runner in working]
        if found:
            victim = self.chance.choice(found)
            if victims.send(victim, self.folder, signal.SIGKILL):
                self._killed(victim.runner)
                return
        self._missed += 1
        if self._missed >= _PATIENCE:
            self._wanted, self._missed = "", 0

    def _killed(self, runner: str) -> None:
        self.kills.append(Kill(self._wanted, runner, clock.now().timestamp()))
        self._wanted, self._missed = "", 0

    def _terminate_one(self) -> None:
        runner = self.chance.choice(self._runners)
        if not runner.asked_to_end and runner.log.tell():  # it has said something, so it listens to signals
            runner.asked_to_end = True
            runner.process.terminate()

    def _end_runners(self) -> None:
        for runner in self._runners:
            runner.process.terminate()
        for runner in list(self._runners):
            try:
                code = runner.process.wait(_ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._troubles.append(f"runner {runner.name} did not end within {_ENDS_WITHIN:g} s of SIGTERM")
                runner.process.kill()
                code = runner.process.wait()
            runner.asked_to_end |= code in (0, -signal.SIGTERM)  # it may have been starting
            self._retire(runner)

    def _left_processes(self) -> list[str]:
        deadline = time.monotonic() + _ENDS_WITHIN / 3
        while left := victims.processes(self.folder):
            if time.monotonic() >= deadline:
                return [f"{process.kind} {process.pid} of runner {process.runner} is left" for process in left]
            victims.wait_for_any([], _TURN)
        return []

    def _clear_away(self) -> None:
        for runner in self._runners:
            runner.process.kill()
            runner.process.wait()
        for process in victims.processes(self.folder):
            victims.send(process, self.folder, signal.SIGKILL)
        for runner in (*self._runners, *self._retired):
            runner.log.close()


def _drawn(chance: random.Random, weights: Mapping[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


def _stored(store: Store) -> dict[str, StoredRun]:
    with store.snapshot():
        return {run.id: _stored_run(run, store.attempts(run)) for run in store.runs()}


def _stored_run(run: Run, attempts: Sequence[Attempt]) -> StoredRun:
    return StoredRun(
        id=run.id,
        state=run.state,
        attempts=run.attempts,
        retries=run.spec.retry.retries,
        interruptions=run.interruptions,
        finished_at=run.finished_at and run.finished_at.timestamp(),
        retry_delay=run.spec.retry.retry_delay,
        backoff_base=run.spec.retry.backoff_base,
        backoff_max=run.spec.retry.backoff_max,
        attempts_made=tuple(
            StoredAttempt(
                lease=attempt.lease,
                number=attempt.number,
                outcome=attempt_to_record(attempt)["outcome"],
                started_at=attempt.started_at.timestamp(),
                finished_at=attempt.finished_at.timestamp(),
                exit_code=attempt_to_record(attempt)["exit_code"],
                began=attempt.outcome != Released(began=False),
                runner=attempt.runner,
            )
            for attempt in sorted(attempts, key=lambda attempt: attempt.lease)
        ),
    )


def _owners(database: Path) -> dict[int, int]:
    """Return the process number of each runner that ever registered."""
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        return dict(connection.execute("SELECT id, pid FROM runners"))


def _integrity(database: Path) -> str:
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        return "; ".join(row[0] for row in connection.execute("PRAGMA integrity_check"))


def _lock_files(database: Path) -> list[Path]:
    return sorted(Path(f"{database}.d/running").glob("*"))


def _held_locks(database: Path) -> list[str]:
    held = []
    for path in _lock_files(database):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(f"the lock of execution {path.name} is held")
    return held


def _recoveries(history: History, kills: Sequence[Kill], names: dict[int, str]) -> list[float]:
    """Return how long after the kill of its runner or worker each run was known to be settled again."""
    lines = defaultdict(list)
    for line in history.lines:
        lines[line.run, line.number, line.outcome].append(line)
    found = []
    for run in history.runs.values():
        for attempt in run.attempts_made:
            outcome = attempt.outcome if attempt.outcome in UNCHARGED else "charged"
            told = [each for each in lines[run.id, attempt.number, outcome] if each.seen >= attempt.finished_at]
            name = names.get(attempt.runner)
            if not told or name is None:
                continue
            kind = "runner" if told[0].runner != name else "worker" if outcome == "lost" else None
            since = [kill.at for kill in kills if (kill.kind, kill.runner) == (kind, name) and kill.at < told[0].seen]
            if since:
                found.append(told[0].seen - since[-1])
    return sorted(found)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _options(arguments: Sequence[str]) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=800)
    parser.add_argument("--runners", type=int, default=3)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=3600.0, help="seconds")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in and keep")
    given = vars(parser.parse_args(arguments))
    folder = given.pop("folder")
    return Options(**given), folder


@contextlib.contextmanager
def _working_in(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="queuectl-soak-") as made:
        yield Path(made)


def main(arguments: Sequence[str]) -> int:
    """Run a soak, print its figures; return 1 if something was wrong."""
    options, kept = _options(arguments)
    with _working_in(kept) as folder:
        report = Soak(folder, options).run()
    sys.stdout.write(f"{report}\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
