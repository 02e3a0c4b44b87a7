"""The only reader of the wall clock.

Everything that decides takes ``now`` as an argument; what must not jump (time-outs, grace
periods) is measured by ``time.monotonic`` where it is used.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)
