"""The runs, newest first: filtered by what is chosen above them, a page at a time."""

import streamlit as st

from queuectl.dashboard import widgets
from queuectl.dashboard.reads.runs import TIMES, Chosen, RunList, choices, run_list, took
from queuectl.dashboard.words import duration, shortened
from queuectl.durations import ago
from queuectl.job import State
from queuectl.views import run_title
from queuectl.wording import counted

_FILTERS = ("state", "job", "tag", "time", "text")
_COLUMNS = ("State", "Job or command", "Attempts", "Took", "Changed", "Reason")


def begin_anew() -> None:
    """Go back to the newest runs: what is chosen has changed."""
    st.session_state["runs below"] = []


def clear() -> None:
    """Choose nothing."""
    for name in _FILTERS:
        st.session_state[name] = [] if name == "state" else "" if name == "text" else None
    begin_anew()


def filters() -> Chosen:
    """Let a person choose, and return what was chosen; it stands in the address too."""
    known = widgets.look(choices)
    if known is None:
        st.stop()
    states = st.pills(
        "State",
        [str(state) for state in State],
        selection_mode="multi",
        key="state",
        bind="query-params",
        on_change=begin_anew,
        label_visibility="collapsed",
        wrap=True,
    )
    with st.grid(4, min_column_width=160, vertical_alignment="bottom", key="filters"):
        job = st.selectbox(
            "Job",
            known.jobs,
            index=None,
            key="job",
            bind="query-params",
            on_change=begin_anew,
            placeholder="All jobs and commands",
        )
        text = st.text_input(
            "Text",
            key="text",
            bind="query-params",
            on_change=begin_anew,
            placeholder="In id, command or reason",
            icon=":material/search:",
            max_chars=200,
        )
        tag = st.selectbox(
            "Tag", known.tags, index=None, key="tag", bind="query-params", on_change=begin_anew, placeholder="Any tag"
        )
        time = st.selectbox(
            "Changed within",
            list(TIMES),
            index=None,
            key="time",
            bind="query-params",
            on_change=begin_anew,
            placeholder="Any time",
        )
    below = st.session_state.setdefault("runs below", [])
    return Chosen(tuple(states or ()), job, tag, time, text, below[-1] if below else None)


def body(chosen: Chosen) -> None:
    """Show the runs that were chosen."""
    found = widgets.look(lambda store, now: run_list(store, now, chosen))
    if found is None:
        return
    if not found.has_any:
        widgets.nothing_yet()
        return
    with st.container(horizontal=True, vertical_alignment="center", key="runs head"):
        st.markdown(_summary(found, chosen))
        st.space("stretch")
        if not chosen.is_everything:
            st.button("Clear filters", icon=":material/filter_alt_off:", type="tertiary", key="clear", on_click=clear)
    if found.runs:
        _table(found)
    _turn_pages(found, chosen)
    widgets.stamp(found.now, 2)


def _summary(found: RunList, chosen: Chosen) -> str:
    what = counted(len(found.runs), "run") if found.runs else "No run"
    if found.left_below is None:
        whole = "all there are" if found.runs and chosen.below is None else "no older ones"
        return f"**{what}**, {whole}" if found.runs else f"**{what}** matches"
    if found.is_full:
        return f"**{what}**, older ones follow" if chosen.below else f"**The newest {what}**, older ones follow"
    return f"**{what}** as far as was searched: runs from number {found.left_below:,} on"


def _table(found: RunList) -> None:
    rows = [
        {
            "Run": run.id,
            "State": widgets.state_cell(run.state),
            "Job or command": shortened(run_title(run)),
            "Attempts": f"{run.attempts}/{run.max_attempts}",
            "Took": duration(took(run, found.now)),
            "Changed": ago(run.updated_at, found.now),
            "Reason": shortened(run.reason or ""),
        }
        for run in found.runs
    ]
    columns = {"Run": widgets.run_column("open"), **dict.fromkeys(_COLUMNS), "State": widgets.state_column()}
    widgets.table(rows, columns, key="runs table", alt="Runs, newest first", rows_high=16)


def _turn_pages(found: RunList, chosen: Chosen) -> None:
    below = st.session_state["runs below"]
    with st.container(horizontal=True, key="pages"):
        if st.button("Newer", icon=":material/chevron_left:", disabled=not below, key="newer"):
            below.pop()
            st.rerun()
        word = "Older" if found.is_full or chosen.is_everything else "Search on"
        if st.button(word, icon=":material/chevron_right:", disabled=found.left_below is None, key="older"):
            below.append(found.left_below)
            st.rerun()


if __name__ == "__main__":  # as Streamlit runs a page
    widgets.title("Runs")
    st.fragment(body, run_every=widgets.every(2), key="runs")(filters())
