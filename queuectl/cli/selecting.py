"""The options that select runs, and jobs: the same words, with the same meaning, on every verb."""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import wraps
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import typer

from queuectl import clock, rules
from queuectl.cli.options import checked
from queuectl.errors import NotFound, UsageError
from queuectl.job import State
from queuectl.selector import Selector

Given = ParamSpec("Given")
Result = TypeVar("Result")

_LONGEST_TEXT: Final = 1000  # SQLite takes no pattern of more than 50,000 bytes

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN|JOB]...", help="Ids of runs, or MANIFEST/JOB.", show_default=False),
]
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
    "words": Ids,
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

_NAME: Final = typer.Argument(metavar="[MANIFEST[/JOB]]...", help="Jobs, or all of a manifest.", show_default=False)
_IN_STATE: Final = typer.Option("--state", help="Jobs whose newest run is in this state.")
_SINCE: Final = typer.Option("--since", metavar="TIME|AGO", help="Whose newest run changed then or later.")
_UNTIL: Final = typer.Option("--until", metavar="TIME|AGO", help="Whose newest run last changed before.")
_CODE: Final = typer.Option("--exit-code", metavar="CODE", min=0, max=255, help="Whose newest run ended with this.")
_GREP: Final = typer.Option("--grep", metavar="TEXT", help="Jobs with this in name, command or description.")

OF_JOBS: Final = {
    "words": Annotated[list[str] | None, _NAME],
    "jobs": Annotated[list[str] | None, typer.Option("--job", metavar="MANIFEST/JOB", help="This job, or like `*/x`.")],
    "manifests": Annotated[list[str] | None, typer.Option("--manifest", metavar="NAME", help="Jobs of this manifest.")],
    "states": Annotated[list[State] | None, _IN_STATE],
    "tags": Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Jobs with this tag.")],
    "since": Annotated[str | None, _SINCE],
    "until": Annotated[str | None, _UNTIL],
    "exit_codes": Annotated[list[int] | None, _CODE],
    "text": Annotated[str | None, _GREP],
    "every": Annotated[bool, typer.Option("--all", help="All jobs of the queue.")],
}
ABOUT_RUNS: Final = ("states", "since", "until", "exit_codes")
"""The conditions that are about the newest run of a job."""


def selecting(
    verb: Callable[Concatenate[Selector, Given], Result],
    *,
    needs: bool = True,
    without: tuple[str, ...] = (),
    options: Mapping[str, Any] = OPTIONS,
) -> Callable[..., Result]:
    """Return a command that has a selector's options in place of the first argument of ``verb``.

    Those in ``without`` it has not. With ``needs`` it refuses to take no condition for everything: `--all` says that.
    With ``OF_JOBS`` for its ``options`` it is about declared jobs instead of runs.
    """
    known = {name: kind for name, kind in options.items() if name not in without}
    is_about_jobs = options is OF_JOBS

    @wraps(verb)
    def command(*args: Given.args, **given: Given.kwargs) -> Result:
        words: dict[str, Any] = {name: given.pop(name) for name in known}
        return verb(selector_of(**words, now=clock.now(), needs=needs, is_about_jobs=is_about_jobs), *args, **given)

    _, *others = inspect.signature(verb, eval_str=True).parameters.values()
    conditions = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=kind,
            default=False if name == "every" else None,
        )
        for name, kind in known.items()
    ]
    parameters = [*conditions, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in others)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def selector_of(
    *,
    words: list[str] | None = None,
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
    is_about_jobs: bool = False,
) -> Selector:
    """Return what was written as a selector; raises UsageError if it is wrong or contradicts itself.

    ``words`` are full names of jobs, or else ids of runs; if it is about jobs, names of manifests.
    """
    names = [word for word in words or () if "/" in word]
    others = [word for word in words or () if "/" not in word]
    if is_about_jobs:
        names += [f"{manifest}/*" for manifest in others]
        others = []
    selector = Selector(
        ids=_once(others),
        jobs=_once([*names, *(checked("--job", _job, job) for job in jobs or ())]),
        manifests=_once(manifests),
        states=_once(states),
        tags=_once(tags),
        since=None if since is None else checked("--since", lambda written: time_of(written, now=now), since),
        until=None if until is None else checked("--until", lambda written: time_of(written, now=now), until),
        exit_codes=_once(exit_codes),
        text=None if text is None else checked("--grep", _text, text),
    )
    refuse_nonsense(selector, every=every, needs=needs, is_about_jobs=is_about_jobs)
    return selector


def refuse_nonsense(selector: Selector, *, every: bool, needs: bool, is_about_jobs: bool = False) -> None:
    """Raise UsageError if a selection contradicts itself, or with ``needs`` is everything without `--all`."""
    if contradiction := selector.contradiction():
        raise UsageError(f"nothing can be selected: {contradiction}")
    if every and not selector.is_everything:
        raise UsageError(f"`--all` and a selection contradict each other: `{selector}`", hint="leave out one of them")
    if needs and selector.is_everything and not every:
        things, listed = ("jobs", "jobs") if is_about_jobs else ("runs", "list")
        raise UsageError(f"name {things}, select some, or say `--all`", hint=f"`queuectl {listed}` shows what is there")


def none_like(selector: Selector, *, is_about_jobs: bool = False) -> NotFound:
    """Return the error that nothing is like a selection."""
    thing, listed = ("job", "jobs") if is_about_jobs else ("run", "list")
    return NotFound(f"no {thing} is like that: `{selector}`", hint=f"`queuectl {listed}` shows the {thing}s")


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
