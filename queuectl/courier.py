"""The courier: a small process beside a runner that delivers the hooks that attempts called.

It is a process of its own so that nothing that a hook does, hanging, failing or writing without end, holds up a claim.
Its standard input is the line to its runner: a byte says that there is news, its end that the runner is gone.
"""

import os
import select
import signal
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from types import FrameType
from typing import Final

from queuectl import clock
from queuectl.delivery import Delivery, deliver
from queuectl.errors import DatabaseBusy, DatabaseUnavailable
from queuectl.store import Errand, Fate, Store

HANDS: Final = 4
"""So many hooks are delivered at a time."""

LAST_SECONDS: Final = 3.0
"""So long may hooks go on that are being delivered when the runner ends."""

_IDLE_SECONDS: Final = 60.0  # without anything to do; then the runner starts another when there is
_LOOK_SECONDS: Final = 2.0
_MOST_LOST: Final = 5  # so many tries of which nothing was heard: it may be what kills its couriers
_LONGEST_DELAY: Final = 300.0
_NICENESS: Final = 5


class Courier:
    """Delivers the hooks of one queue, as long as its runner lives."""

    def __init__(self, store: Store, runner: int, line: int) -> None:
        self._store = store
        self._runner = runner
        self._line = line
        self._ended: SimpleQueue[tuple[int, Delivery]] = SimpleQueue()
        self._bell, self._ring = os.pipe()
        self._under_way: dict[int, Errand] = {}
        self._unstored: list[tuple[int, Delivery]] = []
        self._hurry = threading.Event()  # whatever is being delivered is to end now
        self._is_stopping = False

    def run(self) -> None:
        """Deliver until the runner is gone, or there was nothing to do for a while."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        deadline: float | None = None
        idle_since = monotonic()
        while True:
            wait = self._turn()
            if self._under_way or self._unstored:
                idle_since = monotonic()
            elif self._is_stopping or monotonic() - idle_since > _IDLE_SECONDS:
                return
            if deadline is not None and monotonic() >= deadline:
                self._hurry.set()
            for descriptor, _ in poll.poll(wait * 1000):
                if not os.read(descriptor, 65536) and descriptor == self._line:
                    poll.unregister(self._line)
                    self._is_stopping = True
                    deadline = monotonic() + LAST_SECONDS

    def hurry(self, _signal: int, _frame: FrameType | None) -> None:
        """End at once, after SIGTERM."""
        self._is_stopping = True
        self._hurry.set()
        os.write(self._ring, b"!")

    def _turn(self) -> float:
        """Store what has ended, take what is due; return for how many seconds to wait if nothing happens."""
        while not self._ended.empty():
            self._unstored.append(self._ended.get())
        try:
            while self._unstored:
                number, delivery = self._unstored[0]
                self._store_end(self._under_way[number], delivery)
                del self._under_way[number]
                self._unstored.pop(0)
            room = 0 if self._is_stopping else HANDS - len(self._under_way)
            if room:
                for errand in self._store.claim_hooks(limit=room, runner=self._runner, now=clock.now()):
                    self._take(errand)
            due = self._store.next_hook() if room > 0 and len(self._under_way) < HANDS else None
        except (DatabaseBusy, DatabaseUnavailable):
            if self._is_stopping and self._hurry.is_set():
                self._under_way.clear()  # they are due again when their time has come
                self._unstored.clear()
            return 0.5
        if self._is_stopping:
            return 0.1
        wait = _LOOK_SECONDS if due is None else (due - clock.now()).total_seconds()
        return min(max(wait, 0.0), _LOOK_SECONDS)

    def _take(self, errand: Errand) -> None:
        is_under_way = errand.id in self._under_way
        self._under_way[errand.id] = errand
        if is_under_way:  # the clock was set, or the machine slept: it is due again, and its end is that of this try
            return
        if errand.tries - errand.failures > _MOST_LOST:
            self._report(errand, Delivery(is_done=False, is_final=True, detail="given up: its couriers died of it"))
            return
        threading.Thread(target=self._deliver, args=(errand,), daemon=True).start()

    def _deliver(self, errand: Errand) -> None:
        self._report(errand, deliver(errand, database=str(self._store.path), hurry=self._hurry))

    def _report(self, errand: Errand, delivery: Delivery) -> None:
        self._ended.put((errand.id, delivery))
        os.write(self._ring, b"!")

    def _store_end(self, errand: Errand, delivery: Delivery) -> None:
        now = clock.now()
        fate, failures, due_at = after(errand, delivery, now=now)
        self._store.settle_hook(
            errand,
            fate=fate,
            failures=failures,
            due_at=due_at,
            detail=delivery.detail,
            output=delivery.output,
            now=now,
            is_given_back=delivery.is_interrupted,
        )


def after(errand: Errand, delivery: Delivery, *, now: datetime) -> tuple[Fate | None, int, datetime]:
    """Return what becomes of a hook after a try: its fate, if it is certain, its failures, and when it is due again."""
    if delivery.is_done:
        return Fate.DELIVERED, errand.failures, now
    if delivery.is_interrupted:
        return None, errand.failures, now
    failures = errand.failures + 1
    if delivery.is_final or failures > errand.hook.retries:
        return Fate.FAILED, failures, now
    return None, failures, now + timedelta(seconds=min(2.0**failures, _LONGEST_DELAY))


def main() -> None:
    """Be the courier of the runner whose number is given, on the queue that is given."""
    database, durability, runner = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    try:
        with Store(Path(database), create=False, durability=durability) as store:
            courier = Courier(store, int(runner), sys.stdin.fileno())
            signal.signal(signal.SIGTERM, courier.hurry)
            courier.run()
    except (DatabaseBusy, DatabaseUnavailable):  # the runner says so, and starts another courier
        sys.exit(1)


if __name__ == "__main__":
    main()
