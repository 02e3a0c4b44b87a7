from pathlib import Path

import pytest

from queuectl.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """The files beside a queue."""
    found = Spool(str(tmp_path / "queue.db"))
    found.prepare()
    return found
