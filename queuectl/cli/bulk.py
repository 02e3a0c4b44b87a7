"""Verbs that change many runs at once: count, ask, do, and tell what came of it, also of a half."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

import typer

from queuectl import clock
from queuectl.actions import Report, Tell
from queuectl.author import person
from queuectl.cli.listing import print_runs
from queuectl.cli.output import note
from queuectl.errors import QueuectlError, UsageError
from queuectl.job import State
from queuectl.selector import Selector
from queuectl.store import Author, Choice, Store
from queuectl.wording import counted

_MOST_NAMED = 5

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs that are meant, and change nothing.")]


class Act(Protocol):
    """Does it to runs that were chosen, and tells after each commit what it did; as those of ``actions``."""

    def __call__(
        self, store: Store, choices: Sequence[Choice], *, by: Author, now: datetime, detail: str | None, tell: Tell
    ) -> Report:
        """Do it in the name of ``by``; ``detail`` says how the runs were selected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """What a verb is for: the states that runs may be in, those that are meant if none is named, and words for it."""

    states: Sequence[State]
    usual: Sequence[State]
    done: str
    refusal: str
    deletes: bool = False


def carry_out(store: Store, selector: Selector, verb: Verb, act: Act, *, yes: bool, dry_run: bool) -> None:
    """Do something to the selected runs; of those that were named to all or to none.

    What was selected has to be confirmed; what was named only if there is no way back.
    """
    if selector.ids:
        meant = selector
        choices = _named(store, selector, verb)
    else:
        meant = _narrowed(selector, verb)
        choices = [] if dry_run else store.choices(meant)
    if dry_run:
        print_runs(store, meant)
    elif selector.ids and not verb.deletes:
        report = act(store, choices, by=person(), now=clock.now(), detail=None, tell=lambda _: None)
        for effect in (*report.done, *report.skipped):
            note(f"{effect.id}: {effect.what}")
    elif is_confirmed(len(choices), verb.done, yes=yes):
        with _telling(choices) as tell:
            act(store, choices, by=person(), now=clock.now(), detail=str(selector), tell=tell)


def is_confirmed(count: int, done: str, *, thing: str = "run", yes: bool) -> bool:
    """Say how many are meant and ask; False if there is none. Raises UsageError if nobody can be asked."""
    question = f"{counted(count, thing)} to be {done}"
    if yes:
        note(question)
    elif not sys.stdin.isatty():
        raise UsageError(f"not done without asking: {question}", hint="say `--yes`, or look first with `--dry-run`")
    elif count and not _is_agreed(question):
        note("nothing was changed")
        raise typer.Exit(QueuectlError.exit_code)
    elif not count:
        note(question)
    return bool(count)


def _named(store: Store, selector: Selector, verb: Verb) -> list[Choice]:
    choices = store.choices(selector)
    others = [run for run in store.numbered([number for number, _ in choices]) if run.state not in verb.states]
    if others:
        raise QueuectlError(f"{verb.refusal}: {', '.join(f'`{run.id}` is {run.state}' for run in others)}")
    return choices


def _narrowed(selector: Selector, verb: Verb) -> Selector:
    found = selector.among(verb.states if selector.states else verb.usual)
    if found is None:
        raise UsageError(f"{verb.refusal} in state {' or '.join(f'`{state}`' for state in selector.states)}")
    return found


def _is_agreed(question: str) -> bool:
    try:
        return typer.confirm(f"{question}: go on?", err=True)
    except typer.Abort:  # what typer makes of Ctrl-C
        raise KeyboardInterrupt from None


@contextmanager
def _telling(choices: Sequence[Choice]) -> Iterator[Tell]:
    """Tell at the end what was done, and if it ends before all is done, that too."""
    report = Report()
    try:
        yield report.add
    finally:
        if len(choices) > (known := len(report.done) + len(report.skipped)):
            note(f"stopped after {known:,} of {counted(len(choices), 'run')}")
        _tell(report)


def _tell(report: Report) -> None:
    for what, count in Counter(effect.what for effect in report.done).items():
        note(f"{counted(count, 'run')} {what}")
    if report.skipped:
        names = [f"`{effect.id}` {effect.what}" for effect in report.skipped[:_MOST_NAMED]]
        if len(report.skipped) > len(names):
            names.append(f"and {len(report.skipped) - len(names):,} more")
        note(f"{counted(len(report.skipped), 'run')} left alone: {', '.join(names)}")
