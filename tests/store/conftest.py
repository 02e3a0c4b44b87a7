"""The conformance suite: whatever database the queue lives in, a store does this."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from queuectl.store import Store


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty queue."""
    with Store(tmp_path / "queue" / "queue.db") as opened:
        yield opened
