"""Lengths of time as people write and read them: `90s`, `15m`, `1h30m`."""

import re
from datetime import datetime

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|[wdhms])", re.ASCII)
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[wdhms]))+", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

LONGEST = 366 * 86400.0
"""The longest duration that is accepted, in seconds: a longer one is a typing error."""


def parse_duration(text: str) -> float:
    """Return the seconds in ``text``: a number of seconds, or numbers with the units ms, s, m, h, d and w.

    Raises ValueError, with a sentence that can be shown, for anything else.
    """
    if _NUMBER.fullmatch(text):
        seconds = float(text)
    elif _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))
    else:
        raise ValueError(f"must be a duration like `90s`, `15m` or `1h30m`: `{text}`")
    if seconds > LONGEST:
        raise ValueError(f"must be at most {format_duration(LONGEST)}: `{text}`")
    return seconds


def format_duration(seconds: float) -> str:
    """Return ``seconds`` with the two largest units: `250ms`, `2.4s`, `4m 12s`, `1h 05m`, `3d 2h`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {left:02}s" if left else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h" if hours else f"{days}d"


def ago(instant: datetime, now: datetime) -> str:
    """Return how far an instant lies from ``now``, as people say it: `4m ago`, `in 2h 10m`."""
    seconds = (now - instant).total_seconds()
    if abs(seconds) < 1:
        return "now"
    whole = format_duration(float(round(abs(seconds))))
    return f"{whole} ago" if seconds > 0 else f"in {whole}"
