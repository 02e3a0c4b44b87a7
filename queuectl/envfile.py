"""Files of `NAME=value` lines, read at the attempt so that secrets are never stored."""

import re
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)


def read_env_file(path: str) -> dict[str, str]:
    """Return the variables of an env file.

    Blank lines and lines that begin with `#` are passed over; a value may stand in single or double quotes,
    and nothing in it is expanded. Raises OSError, and ValueError with the number of a line that is none of these.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ValueError(f"line {number} is not `NAME=value`")
        name, value = match[1], match[2].strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name] = value
    return found
