"""Text that somebody else wrote, made safe to show."""

import re

# C0 and C1 controls (ESC among them), DEL, the marks that turn the direction of text, and lone surrogates.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, *, keep: str = "", json: bool = False) -> str:
    r"""Return ``text`` with what would act on a terminal instead of showing as `\\x1b` or `\\u202e`.

    Characters in ``keep``, such as a line feed, stay as they are. With ``json`` all are written as `\\u001b`, which in
    the strings of a JSON document means the same.
    """
    write = _escaped_in_json if json else _escaped
    return _HIDDEN.sub(lambda match: match[0] if match[0] in keep else write(match[0]), text)


def _escaped_in_json(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _escaped(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(character)
    return named.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
