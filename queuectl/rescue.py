"""Runs whose runner is gone: proved to be over before anybody else touches them."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from queuectl import failpoint, presence
from queuectl.aftermath import account_of, lost
from queuectl.job import Attempt, Run
from queuectl.journal import read_journals
from queuectl.process import ORPHAN_GRACE, ORPHAN_PATIENCE
from queuectl.spool import Spool
from queuectl.store import Store

_RESTARTED: Final = "the machine was restarted"
_WORKER_NEEDS: Final = ORPHAN_PATIENCE + ORPHAN_GRACE + 0.5


class Rescuer:
    """Sees to the runs of dead runners, for one runner that lives: ``runner`` is its id."""

    def __init__(self, store: Store, spool: Spool, runner: int) -> None:
        self._store = store
        self._spool = spool
        self._runner = runner
        self._found_dead: dict[int, float] = {}  # when

    def abandoned(self) -> Iterator[tuple[Run, Attempt]]:
        """Yield the runs of dead runners, each with its attempt as far as it is known, ready to be settled.

        A run of which a process still lives is left out and the next call sees to it: its worker has a moment to end
        it and to say how that went, else it is killed.
        """
        for dead in self._dead_runners():
            found = self._found_dead.setdefault(dead, time.monotonic())
            # Read only now that the runner is dead: a worker that has not begun by now finds its line closed.
            journals = read_journals(self._spool.journals(dead))
            has_restarted = not presence.is_of_this_boot(self._spool, dead)
            for run in self._store.processing_runs(dead):
                failpoint.reach("rescue-before-fence")
                entry = journals.get(run.execution)
                attempt: Attempt | None
                if has_restarted and entry is None:
                    # Claims are synced and journals are not: a journal that was lost with the machine proves nothing.
                    attempt = lost(run, _RESTARTED)
                else:
                    attempt = account_of(
                        run,
                        entry,
                        self._spool,
                        _RESTARTED if has_restarted else "its runner died",
                        spare_worker=time.monotonic() < found + _WORKER_NEEDS,
                    )
                failpoint.reach("rescue-fenced")
                if attempt is not None:
                    yield run, attempt

    def bury(self, *, now: datetime) -> bool:
        """Record the dead runners of which nothing is left as stopped; return whether those were all."""
        is_all = True
        for dead in self._dead_runners():
            if self._store.processing_runs(dead):
                is_all = False
                continue
            presence.forget(self._spool, dead)  # first: else, if we die now, nobody would ever do it
            failpoint.reach("bury-before-record")
            self._store.stop_runner(dead, now=now, died=True)
            failpoint.reach("bury-recorded")
            self._store.hurry_hooks(dead, now=now)
            self._found_dead.pop(dead, None)
        return is_all

    def _dead_runners(self) -> list[int]:
        others = [other.id for other in self._store.running_runners() if other.id != self._runner]
        return [other for other in others if not presence.is_alive(self._spool, other)]
