"""Changes to the text of `queuectl.toml` that leave its comments, its order and its spacing alone."""

from collections.abc import MutableMapping
from typing import Any

import tomli
import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Comment, Key, Table

from queuectl.errors import QueuectlError
from queuectl.settings import FILE_NAME
from queuectl.settings_table import Setting


class _CannotEdit(QueuectlError):
    def __init__(self) -> None:
        super().__init__(f"cannot change `{FILE_NAME}` without damage to it", hint="change it in an editor")


def with_setting(text: str, setting: Setting, value: Any) -> str:
    """Return the text of a valid file with the setting at ``value``, which is as TOML has it."""
    document = _parsed(text)
    wanted = document.unwrap()
    *tables, key = setting.path
    if tables or key in document:
        if tables and tables[0] not in document and text:
            document.add(tomlkit.nl())
        _table(document, tables)[key] = value
    else:
        document = _inserted(document, key, value)
    _table(wanted, tables)[key] = value
    return _dumped(document, text, wanted)


def without_setting(text: str, setting: Setting) -> str:
    """Return the text of a valid file without the setting; the same text if it does not set it."""
    document = _parsed(text)
    wanted = document.unwrap()
    *tables, key = setting.path
    if key not in _table(wanted, tables):
        return text
    del _table(document, tables)[key]
    del _table(wanted, tables)[key]
    return _dumped(document, text, {name: value for name, value in wanted.items() if value != {}})


def _parsed(text: str) -> TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise _CannotEdit from error


def _table(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values.setdefault(name, {})
        if not isinstance(values, MutableMapping):
            raise _CannotEdit
    return values


def _inserted(document: TOMLDocument, key: str, value: Any) -> TOMLDocument:
    """Return the document with a new key behind the others.

    tomlkit would put it right before the first table, between that table and the comment about it.
    """
    body = document.body
    end = next((at for at, each in enumerate(body) if _has_header(*each)), None)
    if end is None:
        document[key] = value
        return document
    last = max((at for at in range(end) if body[at][0] is not None), default=None)
    at = end if last is None else last + 1
    while last is None and at > 0 and isinstance(body[at - 1][1], Comment):
        at -= 1
    changed = TOMLDocument(parsed=True)  # what is added to a parsed document stays as it was written
    for name, item in (*body[:at], (tomlkit.key(key), tomlkit.item(value))):
        changed.append(name, item)
    if last is None:
        changed.append(None, tomlkit.nl())
    for name, item in body[at:]:
        changed.append(name, item)
    return changed


def _has_header(key: Key | None, item: object) -> bool:
    return key is not None and isinstance(item, Table) and not key.is_dotted()


def _dumped(document: TOMLDocument, before: str, wanted: dict[str, Any]) -> str:
    """Return the document's text, with the line ends that it had before; raises QueuectlError if it became another."""
    text = tomlkit.dumps(document)
    if "\r\n" in before:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    found = {name: value for name, value in tomli.loads(text).items() if value != {}}
    if found != {name: value for name, value in wanted.items() if value != {}}:
        raise _CannotEdit
    return text
