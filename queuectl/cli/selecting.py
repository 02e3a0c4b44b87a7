"""The options that select runs: the same words, with the same meaning, on every verb."""

import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import typer

from queuectl import clock, rules
from queuectl.cli.options import checked
from queuectl.errors import UsageError
from queuectl.job import State
from queuectl.selector import Selector

Given = ParamSpec("Given")
Result = TypeVar("Result")

_LONGEST_TEXT: Final = 1000  # SQLite takes no pattern of more than 50,000 bytes

Ids = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="The ids of runs.", show_default=False)]
Jobs = Annotated[
    list[str] | None,
    typer.Option("--job", metavar="MANIFEST/JOB", help="Runs of this job, or of all like `nightly/*`."),
]
Manifests = Annotated[
    list[str] | None, typer.Option("--manifest", metavar="NAME", help="Runs of this manifest's jobs.")
]
States = Annotated[list[State] | None, typer.Option("--state", help="Runs in this state.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Runs with this tag.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME|AGO", help="Runs that changed at this time or later, or this long ago."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME|AGO", help="Runs that last changed before this time.")
]
ExitCodes = Annotated[
    list[int] | None,
    typer.Option("--exit-code", metavar="CODE", min=0, max=255, help="Runs whose last attempt ended with this."),
]
Text = Annotated[
    str | None,
    typer.Option("--grep", metavar="TEXT", help="Runs with this in id, job, command, description or reason."),
]
All = Annotated[bool, typer.Option("--all", help="All runs that the verb is for.")]

OPTIONS: Final = {
    "ids": Ids,
    "jobs": Jobs,
    "manifests": Manifests,
    "states": States,
    "tags": Tags,
    "since": Since,
    "until": Until,
    "exit_codes": ExitCodes,
    "text": Text,
    "every": All,
}


def selecting(
    verb: Callable[Concatenate[Selector, Given], Result], *, needs: bool = True, without: tuple[str, ...] = ()
) -> Callable[..., Result]:
    """Return a command that has a selector's options in place of the first argument of ``verb``.

    Those in ``without`` it has not. With ``needs`` it refuses to take no condition for everything: `--all` says that.
    """
    known = {name: kind for name, kind in OPTIONS.items() if name not in without}

    @wraps(verb)
    def command(*args: Given.args, **given: Given.kwargs) -> Result:
        words: dict[str, Any] = {name: given.pop(name) for name in known}
        return verb(selector_of(**words, now=clock.now(), needs=needs), *args, **given)

    _, *others = inspect.signature(verb, eval_str=True).parameters.values()
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=kind,
            default=False if name == "every" else None,
        )
        for name, kind in known.items()
    ]
    parameters = [*options, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in others)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def selector_of(
    *,
    ids: list[str] | None = None,
    jobs: list[str] | None = None,
    manifests: list[str] | None = None,
    states: list[State] | None = None,
    tags: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    exit_codes: list[int] | None = None,
    text: str | None = None,
    every: bool = False,
    now: datetime,
    needs: bool,
) -> Selector:
    """Return what was written as a selector; raises UsageError if it is wrong or contradicts itself."""
    selector = Selector(
        ids=_once(ids),
        jobs=tuple(checked("--job", _job, job) for job in _once(jobs)),
        manifests=_once(manifests),
        states=_once(states),
        tags=_once(tags),
        since=None if since is None else checked("--since", lambda written: time_of(written, now=now), since),
        until=None if until is None else checked("--until", lambda written: time_of(written, now=now), until),
        exit_codes=_once(exit_codes),
        text=None if text is None else checked("--grep", _text, text),
    )
    refuse_nonsense(selector, every=every, needs=needs)
    return selector


def refuse_nonsense(selector: Selector, *, every: bool, needs: bool) -> None:
    """Raise UsageError if a selection contradicts itself, or with ``needs`` is everything without `--all`."""
    if contradiction := selector.contradiction():
        raise UsageError(f"nothing can be selected: {contradiction}")
    if every and not selector.is_everything:
        raise UsageError(f"`--all` and a selection contradict each other: `{selector}`", hint="leave out one of them")
    if needs and selector.is_everything and not every:
        raise UsageError("name runs, select some, or say `--all`", hint="`queuectl list` shows what is there")


def time_of(written: str, *, now: datetime) -> datetime:
    """Return the instant that a time means, or a duration ago; raises ValueError."""
    from queuectl.instants import parse_instant

    if written[:1].isdigit() and "-" not in written:
        return now - timedelta(seconds=rules.duration(written))
    return parse_instant(written, zone=None)


def _once(values: list[Any] | None) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values or ()))


def _job(written: str) -> str:
    if "/" not in written:
        raise rules.Refused(
            f"must be `manifest/job`, or a pattern like `nightly/*`: {rules.shown(written)}",
            hint=f"`--manifest {written}` means all jobs of a manifest, `--job '*/{written}'` those of any",
        )
    return written


def _text(written: str) -> str:
    if not 0 < len(written) <= _LONGEST_TEXT:
        raise ValueError(f"must have 1 to {_LONGEST_TEXT:,} characters; it has {len(written):,}")
    return written
