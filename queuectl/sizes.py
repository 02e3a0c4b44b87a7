"""Amounts of data as people write and read them: `64 KiB`, `10 MiB`."""

import re

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SHORT = {"K": "KiB", "M": "MiB", "G": "GiB", "T": "TiB"}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?(B|KiB|MiB|GiB|TiB|[KMGT])?")


def parse_size(text: str) -> int:
    """Return the bytes in ``text``: a number of bytes, or a number with the unit B, KiB, MiB, GiB or TiB;
    K, M, G and T are short for these.

    Raises ValueError, with a sentence that can be shown, for anything else.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"must be a size like `64 KiB` or `10 MiB`: `{text}`")
    unit = found[2] or "B"
    return int(float(found[1]) * _UNITS[_SHORT.get(unit, unit)])


def format_size(size: int) -> str:
    """Return ``size`` in the largest unit that leaves no fraction: `10 MiB`, `1500 B`."""
    unit = next(unit for unit in reversed(_UNITS) if size % _UNITS[unit] == 0)
    return f"{size // _UNITS[unit]} {unit}"
