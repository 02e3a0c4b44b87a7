"""A runner as one would write it in an afternoon, to show that the soak notices: `python -m tests.soak.naive`.

It takes whatever is processing when it starts for left over, and puts it back: no lock, no proof, no outcome kept.
"""

import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from os import environ
from pathlib import Path
from socket import gethostname

from queuectl import clock
from queuectl.cli.progress import attempt_line
from queuectl.environment import base_environment, job_environment
from queuectl.job import Attempt, Run
from queuectl.lifecycle import settle
from queuectl.order import order_of
from queuectl.outcome import Exited, Released
from queuectl.spool import Spool
from queuectl.store import Store


class NaiveRunner:
    """Claims, calls `subprocess.run`, settles."""

    def __init__(self, store: Store, workers: int) -> None:
        self._store = store
        self._spool = Spool(str(store.path))
        self._threads = ThreadPoolExecutor(workers)
        self._workers = workers
        self._under_way: dict[Future[Exited], Run] = {}
        self.is_stopping = threading.Event()

    def work(self) -> None:
        """Do it until somebody asks to stop."""
        self._put_back()
        runner = self._store.register_runner(host=gethostname(), pid=1, workers=self._workers, now=clock.now())
        while not self.is_stopping.wait(0.02):
            with self._store.transaction():
                for future in [each for each in self._under_way if each.done()]:
                    self._settle(self._under_way.pop(future), future.result())
                room = self._workers - len(self._under_way)
                claimed = self._store.claim(limit=room, runner=runner, now=clock.now()) if room else []
            for run in claimed:
                self._under_way[self._threads.submit(self._attempt, run)] = run

    def _put_back(self) -> None:
        with self._store.transaction():
            for runner in self._store.running_runners():
                for run in self._store.processing_runs(runner.id):
                    self._settle(run, Released())

    def _attempt(self, run: Run) -> Exited:
        environment = job_environment(order_of(run, self._spool), base_environment())
        quiet = subprocess.DEVNULL
        done = subprocess.run(run.spec.argv, env=environment, stdout=quiet, stderr=quiet, check=False)
        return Exited(done.returncode)

    def _settle(self, run: Run, outcome: Exited | Released) -> None:
        now = clock.now()
        attempt = Attempt(
            number=run.attempts,
            lease=run.lease or 0,
            runner=run.runner or 0,
            started_at=run.started_at or now,
            finished_at=now,
            outcome=outcome,
        )
        after = settle(run, outcome, now=now, jitter=0)
        if self._store.settle([(run, after, attempt)]):
            sys.stdout.write(attempt_line(run, after, attempt, in_colour=False) + "\n")
            sys.stdout.flush()


def main() -> None:
    """Work on the queue that the environment names until SIGTERM."""
    with Store(Path(environ["QUEUECTL_DB"])) as store:
        Spool(str(store.path)).prepare()
        runner = NaiveRunner(store, workers=3)
        signal.signal(signal.SIGTERM, lambda *_: runner.is_stopping.set())
        runner.work()


if __name__ == "__main__":
    main()
