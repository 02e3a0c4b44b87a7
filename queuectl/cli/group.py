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
