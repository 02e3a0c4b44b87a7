"""What the word that somebody types can become: a command, an option, a job, a manifest, a run.

It is asked with every press of a key: it says nothing rather than what is wrong, makes nothing, and offers only words
that mean nothing to a shell, whoever named them.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import typer
from typer._click.shell_completion import _resolve_context, _resolve_incomplete

from queuectl.cli.completion import Shell
from queuectl.cli.session import archive_of, read_settings
from queuectl.job import State
from queuectl.selector import FINAL, UNFINISHED, Selector
from queuectl.settings_table import SETTINGS
from queuectl.store.archive import Archive
from queuectl.views import run_title
from queuectl.visible import visible

Offer = tuple[str, str]
"""A word, and what it is."""

_MOST: Final = 200
_PLAIN: Final = re.compile(r"[\w./:@=+~-]+", re.ASCII)


def answer(words: Sequence[str], shell: str) -> int:
    """Print what the last of ``words`` can become, one a line, as ``shell`` reads it; return the exit code."""
    try:
        lines = [_line(word, what, shell) for word, what in offers(words) if _PLAIN.fullmatch(word)]
    except Exception:  # noqa: BLE001 - a traceback would stand in the middle of the line that is typed
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def offers(words: Sequence[str]) -> list[Offer]:
    """Return what the last of ``words`` can become, in the order in which it is to be shown."""
    from queuectl.cli import COMMANDS, build

    *before, word = [each for each in words if each != "="] or [""]  # bash takes `--job=x` for three words
    if not before and not word.startswith("-"):
        return [(name, "") for name in COMMANDS if name.startswith(word)]
    if before and before[0] not in COMMANDS:
        return []
    return _offers_after(before, word, typer.main.get_command(build(before[:1])))


def _offers_after(before: list[str], word: str, command: Any) -> list[Offer]:
    """Find the parameter that a word belongs to, as the command line itself would, and return what it can become."""
    context = _resolve_context(command, {}, "queuectl", before)
    found, begun = _resolve_incomplete(context, before, word)
    source = None if found is context.command else _source(found, context.command_path)
    if source is None:
        return [(str(item.value), item.help or "") for item in found.shell_complete(context, begun)]
    db = context.params.get("db")
    with archive_of(read_settings(Path(db) if db else None)) as store:
        return [offer for offer in source(store) if offer[0].startswith(begun)]


def _source(parameter: Any, command: str) -> Callable[[Archive], Iterable[Offer]] | None:
    """Return where the words for a parameter come from, by what its help calls it; None if the queue has none."""
    kind = {"--manifest": "MANIFEST", "--tag": "TAG", "--job": "JOB"}.get(parameter.opts[0]) or parameter.metavar or ""
    match re.sub(r"[^A-Z]+", " ", kind).split():
        case ["RUN"]:
            return lambda store: _runs(store, command)
        case ["RUN", "JOB"]:
            return lambda store: [*_runs(store, command), *_jobs(store)]
        case ["MANIFEST", "JOB", "RUN"]:
            return lambda store: [*_jobs(store), *_runs(store, command)]
        case ["MANIFEST", "JOB"] if "[/" in kind:
            return lambda store: [*_manifests(store), *_jobs(store)]
        case ["MANIFEST", "JOB"] | ["JOB"]:
            return _jobs
        case ["MANIFEST"]:
            return _manifests
        case ["TAG"]:
            return lambda store: [(tag, "") for tag in store.job_tags()]
        case ["RUNNER"]:
            return lambda store: [(str(runner.id), f"pid {runner.pid}") for runner in store.running_runners()]
        case ["KEY"]:
            return lambda _: [(setting.key, setting.description) for setting in SETTINGS]
        case _:
            return None


def _runs(store: Archive, command: str) -> list[Offer]:
    """Return the newest runs that a command may be for."""
    states: Sequence[State] = ()
    if " dlq " in command:
        states = (State.DEAD,)
    elif command.endswith((" cancel", " wait")):
        states = UNFINISHED
    elif command.endswith((" retry", " purge")):
        states = FINAL
    found = store.runs(Selector(states=tuple(states)), limit=_MOST)
    return [(run.id, f"{run.state} {run_title(run)}") for run in found]


def _jobs(store: Archive) -> list[Offer]:
    return store.job_names()


def _manifests(store: Archive) -> list[Offer]:
    return list(store.owners().items())


def _line(word: str, what: str, shell: str) -> str:
    what = visible(what)
    match shell:
        case Shell.ZSH:
            return word.replace(":", "\\:") + (f":{what}" if what else "")
        case Shell.FISH:
            return f"{word}\t{what}"
        case _:
            return word
