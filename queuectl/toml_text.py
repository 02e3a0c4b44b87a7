r"""Strings and keys as TOML writes them, in the way that needs the fewest escapes.

What would act on a terminal instead of showing is escaped, so that what is written can be looked at.
"""

import re
from typing import Final

from queuectl.visible import visible

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def toml_string(text: str) -> str:
    """Return a string with its quotes; one of several lines begins on the next line."""
    if "\n" in text and "'''" not in text and not text.endswith("'") and visible(text, keep="\n\t") == text:
        return f"'''\n{text}'''"
    if ('"' in text or "\\" in text) and "'" not in text and visible(text, keep="\t") == text:
        return f"'{text}'"
    return '"' + "".join(_escaped(character) for character in text) + '"'


def toml_key(name: str) -> str:
    """Return a key, in quotes if it needs them."""
    return name if _BARE.fullmatch(name) else toml_string(name)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if visible(character) == character:
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
