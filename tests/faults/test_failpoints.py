"""Every failpoint there is, and every way to fail there: nothing is lost, doubled or left, and all ends as it should.

The rows are played several at a time, since most of a hanging worker's row is waiting.
"""

import ast
import contextlib
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest

import queuectl
from queuectl import clock
from queuectl.failpoint import ACTIONS, HANG, VARIABLE
from queuectl.job import NewRun
from queuectl.store import Store
from tests.acceptance.conftest import queuectl_in
from tests.faults.conftest import Scene, witnessed
from tests.support.factories import make_spec
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("failpoints")

_AT_A_TIME = 5
_WITHIN = 60.0  # seconds
_ALLOWED = {"often": 4, "once": 1}  # attempts


@dataclass
class Row:
    """One failpoint that fails in one way; ``tokens`` are the files that say which process it was."""

    name: str
    action: str
    scene: Scene

    def queue(self, body: str = ":", *, timeout: float | None = 0.5) -> None:
        """Put in a run with retries and one without, both with a child that they leave behind."""
        runs = [
            NewRun(
                given_id=name,
                run_at=clock.now(),
                spec=make_spec(
                    command=self.scene.script(name, f"sleep 300 & {body}"),
                    retries=allowed - 1,
                    retry_delay=0.05,
                    timeout=timeout,
                    grace_period=0.2,
                ),
            )
            for name, allowed in _ALLOWED.items()
        ]
        with Store(self.scene.database) as store:
            store.enqueue(runs, now=clock.now())

    def run(self, *options: str, times: int = 1, also: str = "") -> Popen[bytes]:
        """Start a runner in which the failpoint is armed, so many times."""
        return self.scene.start_runner("--workers", "2", *options, **{VARIABLE: f"{also} {self.armed(times)}"})

    def armed(self, times: int = 1) -> str:
        """Return the words that arm the failpoint."""
        return " ".join(f"{self.name}:{self.action}:{self._token(number)}" for number in range(times))

    def failed(self, number: int = 0) -> int:
        """Wait until the failpoint was reached so often, from 0; return in which process."""
        return int(eventually(lambda: self._token(number).exists() and self._token(number).read_text()))

    def end(self, runner: Popen[bytes]) -> None:
        """Let a runner, in which the failpoint is reached, fail as it should."""
        assert self.failed() == runner.pid
        if self.action == HANG:
            runner.kill()
        runner.wait(_WITHIN)

    def _token(self, number: int) -> Path:
        return self.scene.folder / f"failed.{number}"


def in_both_workers(row: Row) -> None:
    """Both runs meet the failure, each in a worker of its own or one after the other."""
    row.queue()
    runner = row.run("--drain", times=2)
    assert runner.pid not in {row.failed(0), row.failed(1)}
    assert runner.wait(_WITHIN) in (0, 1)


def in_the_runner(row: Row) -> None:
    """The runner fails while it has both runs, or is about to."""
    row.queue()
    row.end(row.run("--drain"))


def in_a_rescuer(row: Row) -> None:
    """A runner died with its workers while both runs were under way; the one that sees to them fails."""
    _leave_to_be_rescued(row)
    row.end(row.run("--drain"))


def in_a_runner_whose_worker_died(row: Row) -> None:
    """A worker exits with a run it has begun; the runner fails while it deals with that."""
    row.queue()
    row.end(row.run("--drain", also=f"command-spawned:exit:{row.scene.folder}/lost"))


def in_a_runner_whose_worker_took_a_run(row: Row) -> None:
    """A worker exits with a run of which it has said nothing; the runner fails while it deals with that."""
    row.queue()
    row.end(row.run("--drain", also=f"run-taken:exit:{row.scene.folder}/taken"))


def in_a_runner_that_passes_on_a_cancel(row: Row) -> None:
    """A person cancels both runs; the runner fails before it says so to the workers."""
    row.queue(_once(row, "sleep 300"), timeout=None)
    runner = row.run()
    _cancel(row)
    row.end(runner)


def in_a_worker_that_heard_a_cancel(row: Row) -> None:
    """A person cancels both runs; a worker fails when it hears that."""
    row.queue(_once(row, "sleep 300"), timeout=None)
    runner = row.run(times=2)
    _cancel(row)
    assert runner.pid not in {row.failed(0), row.failed(1)}
    eventually(lambda: row.scene.counts() == {"cancelled": 2})
    runner.terminate()
    assert runner.wait(_WITHIN) == 0


def in_workers_whose_runner_died(row: Row) -> None:
    """The runner is killed; its workers fail before they have told the others."""
    row.queue(_once(row, "sleep 300"), timeout=None)
    runner = row.run(times=2)
    for name in _ALLOWED:
        row.scene.began(name)
    runner.kill()
    runner.wait()
    row.failed(1)


def in_a_writer(row: Row) -> None:
    """Whoever enqueues fails: what was not acknowledged is there whole, or not at all."""
    armed = {VARIABLE: row.armed()}
    row.scene.queuectl.environ = {**row.scene.queuectl.environ, **armed}
    writer = row.scene.queuectl.start("enqueue", "--id", "more", "true")
    row.end(writer)
    assert writer.returncode != 0
    row.scene.queuectl.environ = {k: v for k, v in row.scene.queuectl.environ.items() if k != VARIABLE}
    assert row.scene.counts() in ({}, {"pending": 1})
    row.queue()


def _once(row: Row, body: str) -> str:
    """Return a body that is done by the first attempt only."""
    once = shlex.quote(f"{row.scene.folder}/once.")
    return f'if mkdir {once}"$QUEUECTL_RUN_ID" 2>&-; then {body}; fi'


def _leave_to_be_rescued(row: Row) -> None:
    row.queue(_once(row, "sleep 300"), timeout=None)
    runner = row.scene.start_runner("--workers", "2")
    processes = [pid for name in _ALLOWED for pid in row.scene.began(name)]
    for pid in [runner.pid, *processes]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    runner.wait()


def _cancel(row: Row) -> None:
    for name in _ALLOWED:
        row.scene.began(name)
    for name in _ALLOWED:
        row.scene.queuectl("cancel", name)


MATRIX: dict[str, Callable[[Row], None]] = {
    "register-before-lock": in_the_runner,
    "register-before-commit": in_the_runner,
    "registered": in_the_runner,
    "worker-before-start": in_the_runner,
    "worker-started": in_the_runner,
    "round-collected": in_the_runner,
    "settle-before-claim": in_the_runner,
    "claim-before-commit": in_the_runner,
    "claim-committed": in_the_runner,
    "claim-sent": in_the_runner,
    "begin-heard": in_the_runner,
    "end-heard": in_the_runner,
    "settle-before-report": in_the_runner,
    "stop-before-record": in_the_runner,
    "stop-recorded": in_the_runner,
    "worker-before-hello": in_both_workers,
    "run-taken": in_both_workers,
    "begin-told": in_both_workers,
    "journal-made": in_both_workers,
    "begin-before-journal": in_both_workers,
    "begin-journalled": in_both_workers,
    "command-before-spawn": in_both_workers,
    "command-spawned": in_both_workers,
    "command-ended": in_both_workers,
    "command-swept": in_both_workers,
    "end-before-journal": in_both_workers,
    "end-journalled": in_both_workers,
    "end-before-told": in_both_workers,
    "runner-gone": in_workers_whose_runner_died,
    "lost-before-fence": in_a_runner_whose_worker_died,
    "lost-fenced": in_a_runner_whose_worker_died,
    "worker-before-replaced": in_a_runner_whose_worker_died,
    "worker-replaced": in_a_runner_whose_worker_died,
    "withdraw-before-told": in_a_runner_whose_worker_took_a_run,
    "withdraw-told": in_a_runner_whose_worker_took_a_run,
    "interrupt-before-told": in_a_runner_that_passes_on_a_cancel,
    "interrupt-heard": in_a_worker_that_heard_a_cancel,
    "rescue-before-fence": in_a_rescuer,
    "rescue-fenced": in_a_rescuer,
    "bury-before-record": in_a_rescuer,
    "bury-recorded": in_a_rescuer,
    "migration-step": in_a_writer,
    "transaction-begun": in_a_writer,
    "transaction-before-commit": in_a_writer,
    "transaction-committed": in_a_writer,
    "bell-before-rung": in_a_writer,
}


def play(place: Path, home: Path, name: str, action: str) -> None:
    """Play one row, restart what failed, and look whether all is as it should be."""
    command = queuectl_in(place)
    command.environ = {**command.environ, "HOME": str(home)}
    with witnessed(command, place) as scene:
        MATRIX[name](Row(name, action, scene))
        if scene.registered() or scene.counts().keys() & {"pending", "processing", "failed"}:
            assert scene.start_runner("--drain").wait(_WITHIN) in (0, 1)
        assert_ended_as_it_should(scene)


def assert_ended_as_it_should(scene: Scene) -> None:
    """Every run is in a final state, attempted no more often than it may be, each attempt recorded, no file left."""
    assert [path for path in Path(f"{scene.database}.d").glob("r*/*") if path.is_file()] == []
    with Store(scene.database, create=False) as store:
        assert store.integrity_problems() == []
        assert store.running_runners() == []
        for name, allowed in _ALLOWED.items():
            run = store.run(name)
            outcomes = [str(attempt.outcome) for attempt in store.attempts(run)]
            began, ended = scene.times(name, "began"), scene.times(name, "ended")
            facts = f"{name}: {run.state} ({run.reason}); {outcomes}; began {began}, ended {ended}"
            assert run.state.is_final, facts
            assert run.attempts <= allowed, facts
            assert began <= len(outcomes) <= run.attempts + run.interruptions, facts
            if run.state == "completed":
                assert ended >= 1, facts
            if name == "once":
                assert began <= 1, facts
                assert run.state == "completed" or outcomes, facts
            else:
                assert run.state in ("completed", "cancelled"), facts


ROWS = [(name, action) for name in MATRIX for action in ACTIONS]


@pytest.fixture(scope="module")
def played(request, tmp_path_factory) -> Iterator[dict[tuple[str, str], Future[None]]]:
    """All rows that were asked for, under way."""
    home = tmp_path_factory.mktemp("home")
    wanted = [
        (item.callspec.params["name"], item.callspec.params["action"])
        for item in request.session.items
        if item.function.__name__ == test_a_failpoint_costs_no_run.__name__ and item.module is request.module
    ]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield {
            (name, action): pool.submit(play, tmp_path_factory.mktemp(f"{name}-{action}"), home, name, action)
            for name, action in wanted
        }


@pytest.mark.parametrize(("name", "action"), ROWS, ids=[f"{name}-{action}" for name, action in ROWS])
def test_a_failpoint_costs_no_run(played, name, action):
    played[name, action].result()


def test_every_failpoint_in_the_code_is_in_the_matrix():
    found = [
        call.args[0].value
        for path in Path(queuectl.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "failpoint.reach"
    ]

    assert sorted(found) == sorted(MATRIX)


def test_a_job_does_not_inherit_what_is_armed(scene):
    scene.queuectl("enqueue", "--id", "x", f"echo ${{{VARIABLE}-nothing}}")

    scene.queuectl("run", "--drain", **{VARIABLE: f"no-such-point:exit:{scene.folder}/token"})

    assert scene.queuectl("logs", "x").stdout == "nothing\n"


@pytest.mark.parametrize("text", ["claim-sent", "claim-sent:exit", "claim-sent:stumble:/tmp/x", "a:exit:/tmp/x b"])
def test_what_arms_nothing_is_refused(queuectl, text):
    done = queuectl("list", code=1, **{VARIABLE: text})

    assert done.stderr == f"error: `{VARIABLE}` is not NAME:exit|hang|error:FILE\n"
