"""A queue that the dashboard of this process shows, at a time that a test sets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from queuectl import clock, settings
from queuectl.dashboard import session
from queuectl.store.archive import Archive
from tests.acceptance.conftest import queuectl  # noqa: F401 - a fixture
from tests.support.clocks import ManualClock


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The time that the dashboard takes it to be."""
    manual = ManualClock()
    monkeypatch.setattr(clock, "now", manual)
    return manual


@pytest.fixture
def path(tmp_path: Path, time: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the queue is that is shown; there is none yet."""
    path = tmp_path / "queue.db"
    shown = session.Shown(settings.load(cwd=tmp_path, environ={"HOME": str(tmp_path)}, db=str(path)))
    monkeypatch.setattr(session, "_shown", shown)
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Archive]:
    """The queue that is shown, for writing."""
    with Archive(path) as opened:
        yield opened
