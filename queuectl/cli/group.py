"""Commands that have commands below them: `queuectl` itself, `dlq`, `config`."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from queuectl.errors import UsageError


class Group(TyperGroup):
    """Shows its help when it is called without a command: on stdout, for it is what was asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words of the command line."""
        if not args and not ctx.resilient_parsing:
            sys.stdout.write(f"{self.get_help(ctx)}\n")
            raise typer.Exit(UsageError.exit_code)
        return super().parse_args(ctx, args)

    def sections(self, ctx: Any) -> list[tuple[str, list[str]]]:
        """Return the headings under which the commands are listed, each with the names below it."""
        return [("Commands", self.list_commands(ctx))]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands: the first sentence of each one's help, wrapped and not cut."""
        width = max(map(len, self.list_commands(ctx)), default=0)
        for heading, names in self.sections(ctx):
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name.ljust(width), _first_sentence(command.help or "")) for name, command in commands if command]
            with formatter.section(heading):
                formatter.write_dl(rows)


def _first_sentence(text: str) -> str:
    """Return the beginning of a help text, without the full stop."""
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
