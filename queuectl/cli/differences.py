"""Several runs side by side: `runs diff`."""

from typing import Annotated

import typer

from queuectl.cli.group import Group
from queuectl.cli.output import print_json, print_table, say
from queuectl.cli.selecting import selecting
from queuectl.cli.session import Db, Json, open_archive, spool_of
from queuectl.differences import Subject, differences
from queuectl.errors import NotFound, UsageError
from queuectl.job import Run, State
from queuectl.output import last_lines
from queuectl.selector import Selector
from queuectl.spool import STREAMS
from queuectl.store.archive import Archive
from queuectl.visible import visible

_AS_THEY_ARE = frozenset({"state", "reason", "outcome", "job", "host", "runner", "apply", "attempts", "interruptions"})


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    runs = typer.Typer(cls=Group, rich_markup_mode=None, help="Several runs side by side.")
    runs.command("diff", epilog="Examples:  queuectl runs diff r12 r15    queuectl runs diff --job nightly/backup")(
        selecting(diff, needs=False, without=("every",))
    )
    app.add_typer(runs, name="runs")


def diff(
    selector: Selector,
    lines: Annotated[int, typer.Option(min=0, max=1000, help="How many lines of each output to show.")] = 10,
    db: Db = None,
    json: Json = False,
) -> None:
    """Show what is not the same in two runs, and the last lines of what they wrote.

    A run that is named alone is compared with the last one of its job that was completed before it; of a selection the
    newest two are taken. Compared are their last attempts: what they ran with, from which apply and commit, where, and
    how they ended.
    """
    with open_archive(db) as store:
        with store.snapshot():
            subjects = [_subject(store, run) for run in _sides(store, selector)]
        outputs = [_outputs(store, subject, lines) for subject in subjects]
    found = differences(*subjects)
    ids = [subject.run.id for subject in subjects]
    if json:
        record = [{"key": each.key, "a": each.a, "b": each.b} for each in found]
        sides = [{"id": run, "output": output} for run, output in zip(ids, outputs, strict=True)]
        print_json({"a": sides[0], "b": sides[1], "differences": record})
        return
    print_table(("", *ids), [(each.key, _cell(each.key, each.a), _cell(each.key, each.b)) for each in found])
    for run, output in zip(ids, outputs, strict=True):
        for stream, text in output.items():
            if text:
                say(f"\n{run}, the end of {stream}")
                for line in text:
                    say("  " + visible(line, keep="\t"))


def _sides(store: Archive, selector: Selector) -> list[Run]:
    """Return the two runs that are meant, the one that is to be explained last."""
    match selector.ids:
        case (a, b):
            return [store.run(a), store.run(b)]
        case (a,):
            run = store.run(a)
            return [_good_before(store, run), run]
        case () if not selector.is_everything:
            found = store.runs(selector, limit=2)
            if len(found) > 1:
                return found[::-1]
            raise NotFound(f"there are no two runs like that: `{selector}`", hint="`queuectl list` shows the runs")
        case _:
            raise UsageError(
                "name one run or two, or select the newest two of some", hint="`queuectl list` shows the runs"
            )


def _good_before(store: Archive, run: Run) -> Run:
    if run.job is None:
        raise UsageError(f"say what to compare `{run.id}` with: it is of no job")
    found = store.runs(Selector(jobs=(run.job,), states=(State.COMPLETED,)), limit=1, before=run.number)
    if not found:
        raise NotFound(f"no run of `{run.job}` was completed before `{run.id}`", hint="name a second run")
    return found[0]


def _subject(store: Archive, run: Run) -> Subject:
    attempts = store.past_attempts(run)
    return Subject(run=run, last=attempts[-1] if attempts else None, origin=store.origin(run))


def _outputs(store: Archive, subject: Subject, lines: int) -> dict[str, list[str]]:
    if subject.last is None or not lines:
        return {stream: [] for stream in STREAMS}
    spool, execution = spool_of(store), subject.run.execution_of(subject.last.attempt)
    return {stream: last_lines(spool.output(execution, stream), lines) for stream in STREAMS}


def _cell(key: str, value: object) -> str:
    from queuectl.cli.plan_text import shown_value
    from queuectl.cli.run_text import memory_text, seconds_text

    match key, value:
        case _, None:
            return "-"
        case (("seconds" | "cpu_seconds"), float()):
            return seconds_text(value)
        case "max_rss_bytes", int():
            return memory_text(value)
        case (("stdout_bytes" | "stderr_bytes"), int()):
            return f"{value:,}"
        case "git_commit", str():
            return value[:10]
        case _ if key in _AS_THEY_ARE:
            return str(value)
    return shown_value(key, value)
