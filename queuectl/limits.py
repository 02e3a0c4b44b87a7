"""What no manifest needs, refused before the parser spends minutes and gigabytes on it.

A first look may mistake what stands in a string or a comment; then those are blanked and the look is taken again, so
that nothing within the limits is ever refused.
"""

import re
from itertools import islice
from typing import Final, NamedTuple

MOST_BYTES: Final = 32 * 1024 * 1024
MOST_JOBS: Final = 100_000
MOST_KEY_PARTS: Final = 16
MOST_DIGITS: Final = 20
DEEPEST: Final = 64

_PART = rb'[ \t]*+(?:[A-Za-z0-9_-]++|"[^"\n]*+"|\'[^\'\n]*+\')[ \t]*+'
# Written so that it begins with a plain dot, which the search finds fast.
_LONG_KEY = re.compile(rb"\." + _PART + rb"(?:\." + _PART + rb"){%d}" % (MOST_KEY_PARTS - 1))
_JOB_HEADER = re.compile(rb"^[ \t]*+\[[ \t]*+jobs[ \t]*+\." + _PART + rb"\]", re.MULTILINE)
_LONG_INTEGER = re.compile(
    rb"(?<![\w.+-])[+-]?(?:[0-9](?:_?[0-9]){%d,}+|0[xob][0-9A-Fa-f_]{65,}+)(?![\w.:-])(?![ \t]*+[.=])" % MOST_DIGITS
)
_BRACKET = re.compile(rb"([\[{])|[\]}]")

# Possessive throughout, and what has no end ends with its line or the file: no input makes these go back.
_OPAQUE = re.compile(
    rb"#[^\n]*+"
    rb'|"""(?:[^"\\]++|\\.?|"(?!""))*+(?:"{3,5}|\Z)'
    rb"|'''(?:[^']++|'(?!''))*+(?:'{3,5}|\Z)"
    rb'|"(?:[^"\\\n]++|\\[^\n])*+"?'
    rb"|'[^'\n]*+'?",
    re.DOTALL,
)


class Breach(NamedTuple):
    """The limit that a file does not keep, and the byte where it is passed."""

    sentence: str
    offset: int


def breach(source: bytes) -> Breach | None:
    """Return the limit that ``source`` breaks and that must be known before it is parsed."""
    if len(source) > MOST_BYTES:
        return Breach(f"the file has more than {MOST_BYTES // 1024**2} MiB", 0)
    if b"\0" in source:
        return Breach("NUL character", source.index(b"\0"))
    if source.count(b"[jobs") > MOST_JOBS:
        bare = _blanked(source) if b'"""' in source or b"'''" in source else source
        header = next(islice(_JOB_HEADER.finditer(bare), MOST_JOBS, None), None)
        if header:
            return Breach(f"a manifest must have at most {MOST_JOBS:,} jobs", header.start())
    if _LONG_KEY.search(source) and (key := _LONG_KEY.search(_blanked(source))):
        return Breach(f"a key must have at most {MOST_KEY_PARTS} parts", key.start())
    return None


def why_unparsed(source: bytes) -> Breach:
    """Return the limit that made the parser give up on ``source`` without saying where."""
    bare = _blanked(source)
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[1] else -1
        if depth > DEEPEST:
            return Breach(f"must not be nested deeper than {DEEPEST} levels", bracket.start())
    if integer := _LONG_INTEGER.search(bare):
        return Breach(f"a whole number must have at most {MOST_DIGITS} digits", integer.start())
    return Breach("not valid TOML", 0)


def _blanked(source: bytes) -> bytes:
    """Return ``source`` with nothing in its strings and comments, and everything else where it was."""
    return _OPAQUE.sub(_blank, source)


def _blank(opaque: re.Match[bytes]) -> bytes:
    text = opaque[0]
    return b" " * len(text) if text[:1] == b"#" or len(text) < 2 else b'"' + b"x" * (len(text) - 2) + b'"'
