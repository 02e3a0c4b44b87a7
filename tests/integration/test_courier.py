"""The courier's turn, with hooks that end when they are told to."""

import os
import threading
from datetime import timedelta

import pytest

from queuectl import courier
from queuectl.delivery import Delivery
from queuectl.hook import Hook
from queuectl.outcome import Exited
from queuectl.store import Fate, Store
from tests.support.factories import NOW
from tests.support.queue import claim, enqueue, finish, register
from tests.support.waiting import eventually


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "queue.db") as opened:
        yield opened


def test_a_hook_that_is_due_again_while_it_is_delivered_is_delivered_once(store, monkeypatch):
    """After a sleep of the machine, or a step of its clock, it ran twice at once and the courier died of its end."""
    enqueue(store, retries=0, on_dead=Hook(command=("notify",), timeout=10.0, retries=1))
    run = finish(store, claim(store), Exited(1), now=NOW)
    may_end, delivered = threading.Event(), []

    def deliver(errand, **_):
        delivered.append(errand.id)
        may_end.wait(30)
        return Delivery(is_done=True, is_final=True, detail="exit code 0")

    now = [NOW]
    monkeypatch.setattr(courier, "deliver", deliver)
    monkeypatch.setattr(courier.clock, "now", lambda: now[0])
    line, _ = os.pipe()
    subject = courier.Courier(store, register(store), line)

    subject._turn()
    now[0] += timedelta(hours=1)
    subject._turn()
    may_end.set()
    eventually(lambda: not subject._ended.empty())
    subject._turn()

    [hook] = store.hooks(run)
    assert (hook.fate, hook.tries, len(delivered)) == (Fate.DELIVERED, 2, 1)
