"""The conformance suite: whatever database the queue lives in, a store does this."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from queuectl.store.archive import Archive


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """An empty queue."""
    with Archive(tmp_path / "queue" / "queue.db") as opened:
        yield opened
