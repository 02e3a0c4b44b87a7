"""The command line: all the text for the terminal.

Only the module of the command that is called is imported, and each of them imports what it needs when it runs:
a small `enqueue` must not pay for the manifest reader or the process pool.
"""

import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import typer
from typer.exceptions import TyperException

from queuectl.cli.group import Group
from queuectl.cli.output import print_error, silence
from queuectl.errors import QueuectlError, UsageError
from queuectl.rules import text

USAGE_EXIT: Final = UsageError.exit_code

# As `queuectl --help` shows them: what each command is for, its name, and the module that has it.
SECTIONS: Final = {
    "Declare": {
        "init": "init",
        "validate": "declare",
        "plan": "declare",
        "apply": "declare",
        "applies": "declare",
        "export": "export",
        "simulate": "simulate",
        "import": "import_crontab",
    },
    "Run": {
        "run": "run",
        "worker": "worker",
        "enqueue": "enqueue",
        "wait": "wait",
    },
    "Look": {
        "status": "look",
        "watch": "watch",
        "list": "look",
        "jobs": "look",
        "show": "look",
        "logs": "look",
        "why": "why",
        "sql": "sql",
        "runs": "differences",
        "dashboard": "dashboard",
    },
    "Schedules": {
        "next": "schedule",
        "trigger": "schedule",
        "pause": "schedule",
        "resume": "schedule",
    },
    "Mend": {
        "cancel": "runs",
        "retry": "runs",
        "purge": "runs",
        "dlq": "dlq",
    },
    "Operate": {
        "check": "check",
        "metrics": "metrics",
        "backup": "mend",
        "restore": "mend",
        "doctor": "mend",
        "config": "config",
        "completion": "completion",
    },
}
COMMANDS: Final = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of few characters is no reason to fail
    if shell := os.environ.get("_QUEUECTL_COMPLETE"):
        from queuectl.cli.completing import answer

        return answer(arguments, shell)
    try:
        _check(arguments)
        app = build(arguments[:1])
        if not gc.isenabled():  # see __main__.py
            gc.freeze()
            gc.enable()
        code = app(args=arguments, prog_name="queuectl", standalone_mode=False)
        sys.stdout.flush()
    except QueuectlError as error:
        print_error(error)
        return error.exit_code
    except typer.Abort:
        return 130
    except TyperException as error:
        print_error(UsageError(_sentence(error), hint=_help_of(arguments)))
        return USAGE_EXIT
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _unread()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # as click answers it
            return _unread()
        raise
    except OSError as error:
        where = f"`{error.filename}`: " if error.filename else ""
        print_error(QueuectlError(f"{where}{error.strerror or error}"))
        return QueuectlError.exit_code
    except UnicodeError as error:
        print_error(_not_unicode(error))
        return QueuectlError.exit_code
    return code if isinstance(code, int) else 0


def _not_unicode(error: UnicodeError) -> QueuectlError:
    """Return what to say of a name, of a folder or in a variable, that nothing of ours can hold."""
    where = ""
    if isinstance(error, UnicodeEncodeError):
        where = f": `…{error.object[max(error.start - 40, 0) : error.end]}…`"
    return QueuectlError(f"a name must be Unicode text{where}", hint="give the file or the folder another name")


def _unread() -> int:
    """Say nothing more: the reader has what it wanted, as in `queuectl list | head`."""
    silence(sys.stdout, sys.stderr)
    return 0


def _check(arguments: Sequence[str]) -> None:
    """Refuse what no file name, id or text of ours can be, before anything is done."""
    for argument in arguments:
        try:
            text(argument)
        except ValueError as error:
            raise UsageError(f"an argument {error}") from None


def build(only: Sequence[str] = ()) -> typer.Typer:
    """Return the whole command line, or just the part that serves the command named in ``only``."""
    app = typer.Typer(
        name="queuectl",
        cls=_Sections,
        invoke_without_command=True,  # `--version` is no command
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    wanted = [name for name in only if name in COMMANDS] or list(COMMANDS)
    for module in dict.fromkeys(COMMANDS[name] for name in wanted):
        import_module(f"queuectl.cli.{module}").register(app)
    return app


class _Sections(Group):
    """Lists the commands under the headings of SECTIONS."""

    def sections(self, ctx: Any) -> list[tuple[str, list[str]]]:
        """Return each heading with the names below it."""
        names = self.list_commands(ctx)
        return [(heading, [name for name in commands if name in names]) for heading, commands in SECTIONS.items()]


def _root(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    """Shell jobs declared in TOML manifests, reconciled into a durable queue."""
    if version:
        from queuectl import __version__

        sys.stdout.write(f"queuectl {__version__}\n")
        raise typer.Exit


def _sentence(error: TyperException) -> str:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return (text[:1].lower() + text[1:]).rstrip(".")


def _help_of(arguments: Sequence[str]) -> str:
    words = [word for word in arguments if not word.startswith("-")][:2]
    known = words[:1] if words and words[0] in COMMANDS else []
    if known and len(words) == 2 and words[1] in getattr(_command(known[0]), "commands", ()):
        known = words
    return f"`{' '.join(['queuectl', *known, '--help'])}`"


def _command(name: str) -> object:
    return typer.main.get_command(build([name])).commands.get(name)  # type: ignore[attr-defined]
