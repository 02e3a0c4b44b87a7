"""`queuectl config`: what is set, where it comes from, and changes to `queuectl.toml`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from queuectl.cli.group import Group
from queuectl.cli.output import note, print_json, print_table, say
from queuectl.cli.whereabouts import queue_of, tell_of_another_queue
from queuectl.errors import QueuectlError
from queuectl.settings import FILE_NAME, Settings, Source, find_file, load, read_file, shown_path
from queuectl.settings_table import SETTINGS, Setting, find_setting
from queuectl.settings_text import from_text, to_text
from queuectl.visible import visible

Key = Annotated[str, typer.Argument(metavar="KEY", help="A setting, like workers or max-retries.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

app = typer.Typer(cls=Group, rich_markup_mode=None, help="Settings: what holds, and changes to queuectl.toml.")


def register(parent: typer.Typer) -> None:
    """Add the command and its verbs."""
    parent.add_typer(app, name="config")


@app.command("get", epilog="Examples:  queuectl config get workers    queuectl config get backoff-base")
def get(key: Key, json: Json = False) -> None:
    """Print the value that holds here, wherever it comes from."""
    setting = find_setting(key)
    value = _settings().value(setting)
    if json:
        print_json(_plain(value))
    else:
        say(to_text(setting.kind, value))


@app.command(
    "set",
    epilog="Examples:  queuectl config set max-retries 5    queuectl config set timeout 15m",
    context_settings={"ignore_unknown_options": True},  # a value may be negative
)
def set_(
    key: Key,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="As in the file, a text without its quotes.", show_default=False)
    ],
) -> None:
    """Set a value in the nearest queuectl.toml, or in a new one in this folder."""
    from queuectl.settings_edit import with_setting
    from queuectl.settings_model import check_value

    setting = find_setting(key)
    written = from_text(setting.kind, value)
    checked = check_value(setting, written)
    before = queue_of(Path.cwd())
    file = _change(lambda text: with_setting(text, setting, written))
    note(f"`{_shown(file)}`: {setting.key} = {visible(to_text(setting.kind, checked))}")
    tell_of_another_queue(Path.cwd(), before)
    _warn(setting)


@app.command("unset", epilog="Examples:  queuectl config unset workers    queuectl config unset defaults.timeout")
def unset(key: Key) -> None:
    """Remove a value from the nearest queuectl.toml, so that the default holds again."""
    from queuectl.settings_edit import without_setting

    setting = find_setting(key)
    file = _change(lambda text: without_setting(text, setting))
    default = to_text(setting.kind, setting.default)
    note(f"`{_shown(file)}`: {setting.key} is not set; the default is {default}")
    _warn(setting)


@app.command("list", epilog="Examples:  queuectl config list    queuectl config list --json")
def list_(json: Json = False) -> None:
    """Print every setting, its value, and where that comes from."""
    settings = _settings()
    if json:
        print_json(
            [
                {
                    "key": setting.key,
                    "value": _plain(settings.value(setting)),
                    "source": settings.source(setting),
                    "file": str(settings.file) if settings.source(setting) is Source.FILE else None,
                    "variable": setting.variable,
                    "description": setting.description,
                }
                for setting in SETTINGS
            ]
        )
        return
    print_table(
        ("KEY", "VALUE", "FROM"),
        [
            (
                setting.key,
                to_text(setting.kind, settings.value(setting)),
                _from(settings, setting),
            )
            for setting in SETTINGS
        ],
    )


def _settings() -> Settings:
    return load(cwd=Path.cwd(), environ=os.environ)


def _change(edit: Callable[[str], str]) -> Path:
    """Replace the nearest file by its edited text, or make one here; return its path."""
    from queuectl.atomic import replace_file
    from queuectl.document import Document, Unparsable
    from queuectl.settings_model import InvalidSettings, check

    file = find_file(Path.cwd()) or Path.cwd() / FILE_NAME
    before = read_file(file) if file.is_file() else b""
    name = shown_path(file, Path.cwd())
    document = Document(name, before)
    try:
        document.parse()
        after = edit(before.decode()).encode()
        check(Document(name, after), {})
    except Unparsable as error:
        raise InvalidSettings([error.problem]) from None
    except QueuectlError:
        check(document, {})  # what was wrong before is said of the text that is there
        raise
    if after != before:
        try:
            replace_file(file, after)
        except OSError as error:
            raise QueuectlError(f"`{_shown(file)}` cannot be written: {error.strerror}") from error
    return file


def _warn(setting: Setting) -> None:
    if os.environ.get(setting.variable):
        note(f"`{setting.variable}` is set in the environment and goes before the file")
    if setting.is_job_default:
        note("runs that are queued already keep what they were queued with")


def _from(settings: Settings, setting: Setting) -> str:
    match settings.source(setting):
        case Source.FILE:
            return _shown(settings.file or Path(FILE_NAME))
        case Source.VARIABLE:
            return setting.variable
        case source:
            return source


def _shown(file: Path) -> str:
    return visible(shown_path(file, Path.cwd()))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
