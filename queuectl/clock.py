"""The only reader of the wall clock.

Everything that decides takes ``now`` as an argument; what must not jump (time-outs, grace
periods) is measured by ``time.monotonic`` where it is used.
"""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)


def micros() -> int:
    """Return the present instant as it is stored: in microseconds since 1970, in UTC."""
    return time.time_ns() // 1000
