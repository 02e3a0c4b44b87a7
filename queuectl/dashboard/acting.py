"""What a person may do here: each behind a question that names its effect, done by the functions of the command line.

Imported only where actions are allowed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import streamlit as st

from queuectl import actions, clock
from queuectl.author import person
from queuectl.dashboard.session import shown
from queuectl.dashboard.widgets import sentence
from queuectl.dashboard.words import duration, quoted
from queuectl.errors import QueuectlError
from queuectl.job import Run, State
from queuectl.pause import Pause
from queuectl.records import to_micros
from queuectl.rules import text
from queuectl.store import Author
from queuectl.store.archive import Archive
from queuectl.wording import counted

_LONGEST_REASON: Final = 200
_TOLD_FOR: Final = timedelta(seconds=15)

Do = Callable[[Archive, Author, datetime, str | None], str]
"""Carries an act out, for a reason if one was asked for, and returns what was done, in Markdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that may be done: its verb, its effect in a sentence of Markdown, and how it is done."""

    verb: str
    icon: str
    effect: str
    do: Do
    asks_why: bool = False


def offer(acts: Sequence[Act], *, key: str) -> None:
    """Show a button for each act; it asks before it does anything."""
    with st.container(horizontal=True, key=f"acts {key}"):
        for act in acts:
            if st.button(f"{act.verb}…", icon=act.icon, key=f"{key} {act.verb}"):
                st.dialog(f"{act.verb}?", icon=act.icon)(_ask)(act)


def tell() -> None:
    """Show for a while what came of the last act."""
    is_well, what, at = st.session_state.get("told", (True, "", None))
    if at is None:
        return
    if clock.now() - at < _TOLD_FOR:
        show, icon = (st.success, ":material/check_circle:") if is_well else (st.error, ":material/error:")
        show(what, icon=icon)
    else:
        del st.session_state["told"]


def _ask(act: Act) -> None:
    st.markdown(act.effect)
    st.caption(f"It is recorded that {quoted(_who(person('dashboard')))} did it, on the dashboard.")
    why = st.text_input("Reason", key="act reason", max_chars=_LONGEST_REASON) if act.asks_why else None
    with st.container(horizontal=True, key="answers"):
        if st.button(act.verb, type="primary", key="confirm"):
            st.session_state["told"] = (*_done(act, why), clock.now())
            st.rerun()
        if st.button("Leave it", key="leave"):
            st.rerun()


def _done(act: Act, why: str | None) -> tuple[bool, str]:
    """Carry an act out; return whether it went well, and what to tell."""
    try:
        with shown().writing() as store:
            return True, act.do(store, person("dashboard"), clock.now(), text(why) if why else None)
    except (QueuectlError, ValueError) as error:
        return False, sentence(str(error))


def _who(author: Author) -> str:
    return f"{author.user}@{author.host}"


def run_acts(run: Run) -> list[Act]:
    """Return what may be done to a run as it is seen; if it has changed meanwhile, nothing is done."""
    seen = (run.number, to_micros(run.updated_at))
    acts = []
    if run.state.is_final or run.state is State.FAILED:
        effect = (
            f"Puts {quoted(run.id)}, which is {run.state}, back into the queue: due now, with "
            f"{counted(run.max_attempts, 'attempt')} before it, and with the present spec of its job."
        )
        acts.append(
            Act(
                verb="Retry",
                icon=":material/replay:",
                effect=effect,
                do=lambda store, by, now, _: _told(actions.retry(store, [seen], by=by, now=now)),
            )
        )
    if not run.state.is_final:
        grace = duration(run.spec.grace_period)
        effect = (
            f"Ends the attempt of {quoted(run.id)}: SIGTERM to its whole process tree, SIGKILL {grace} later. "
            "It is not tried again."
            if run.state is State.PROCESSING
            else f"Cancels {quoted(run.id)}, which waits: it does not run."
        )
        acts.append(
            Act(
                verb="Cancel",
                icon=":material/block:",
                effect=effect,
                do=lambda store, by, now, _: _told(actions.cancel(store, [seen], states=(run.state,), by=by, now=now)),
            )
        )
    return acts


def job_acts(name: str, paused: Pause | None) -> list[Act]:
    """Return what may be done to a job."""
    trigger = Act(
        verb="Run now",
        icon=":material/play_arrow:",
        effect=f"Puts one run of {quoted(name)} into the queue, with the spec it has now. If one of its runs is not "
        "over, the new one waits for it, unless the job lets its runs overlap.",
        do=lambda store, by, now, _: _triggered(actions.trigger(store, [name], by=by, now=now)),
    )
    if paused is not None:
        return [trigger, resume_act(paused)]
    pause = Act(
        verb="Pause",
        icon=":material/pause:",
        effect=f"Lets the slots of {quoted(name)} pass without a run, until somebody resumes it. They are not caught "
        "up; what is queued already still runs.",
        do=lambda store, by, now, why: _paused(store, name, why, by, now),
        asks_why=True,
    )
    return [trigger, pause]


def resume_act(paused: Pause) -> Act:
    """Return the end of a pause."""
    what = quoted(paused.scope) if paused.scope else "everything"
    return Act(
        verb="Resume" if not paused.scope else f"Resume {paused.scope}",
        icon=":material/resume:",
        effect=f"Ends the pause of {what} by {quoted(paused.by)}: slots that come from now on run again.",
        do=lambda store, by, now, _: (
            f"Resumed {what}."
            if actions.resume(store, paused.scope, by=by, now=now)
            else f"The pause of {what} was over already."
        ),
    )


def _told(report: actions.Report) -> str:
    done = [f"{quoted(effect.id)}: {effect.what}" for effect in report.done]
    left = [f"{quoted(effect.id)} was left alone: it {effect.what}" for effect in report.skipped]
    return "; ".join(done + left)


def _triggered(runs: Sequence[Run]) -> str:
    return "; ".join(
        f"{quoted(run.id)} waits for the run before it" if run.is_held else f"{quoted(run.id)} is queued"
        for run in runs
    )


def _paused(store: Archive, name: str, why: str | None, by: Author, now: datetime) -> str:
    actions.pause(store, name, until=None, reason=why, by=by, now=now)
    return f"Paused {quoted(name)}."
