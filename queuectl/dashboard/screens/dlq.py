"""The dead letter queue: one cause or many, since when, and what was written last."""

import streamlit as st

from queuectl.dashboard import widgets
from queuectl.dashboard.reads.dead import MOST, Dead, dead, last_words
from queuectl.dashboard.words import exact, quoted, shortened
from queuectl.durations import ago
from queuectl.store.archive import DeadGroup
from queuectl.wording import counted

_CARDS = 20


def body() -> None:
    """Show the groups."""
    found = widgets.look(dead)
    if found is None:
        return
    if not found.groups:
        st.success("The dead letter queue is empty.", icon=":material/check_circle:")
        widgets.stamp(found.now, 5)
        return
    groups = f" of {counted(len(found.groups), 'kind')}" if len(found.groups) > 1 else ""
    newest = f"; the newest {MOST:,} are grouped" if found.count > MOST else ""
    st.markdown(f"**{counted(found.count, 'dead run')}**{groups}{newest}")
    for group in found.groups[:_CARDS]:
        _card(found, group)
    if len(found.groups) > _CARDS:
        st.caption(f"and {counted(len(found.groups) - _CARDS, 'kind')} more")
    widgets.stamp(found.now, 5)


def _card(found: Dead, group: DeadGroup) -> None:
    key = f"{group.job or ''} {group.reason}"
    with st.container(border=True, key=f"card {key}"):
        with st.container(horizontal=True, vertical_alignment="center", key=f"head {key}"):
            st.badge(f"{group.count:,}", icon=":material/skull:", color="red")
            st.markdown(f"{quoted(group.job or 'queued by hand')} {quoted(shortened(group.reason))}")
        since = f", the first {ago(group.first_at, found.now)}" if group.count > 1 else ""
        st.caption(f"The newest {ago(group.last_at, found.now)}{since}.", help=exact(group.last_at))
        more = st.expander(f"What {group.newest} wrote last", key=f"words {key}", on_change="rerun")
        if more.open:
            with more:
                words = widgets.look(lambda store, now: last_words(store, now, group.newest))
                if words:
                    st.code(words, language=None, wrap_lines=True)
                elif words is not None:
                    st.caption("It wrote nothing, or that is gone.")
        with st.container(horizontal=True, key=f"links {key}"):
            st.page_link(
                widgets.page("Run"),
                label=f"The newest: {group.newest}",
                icon=":material/description:",
                query_params={"id": group.newest},
            )
            chosen = {"state": "dead"} | ({"job": group.job} if group.job else {"text": group.reason[:200]})
            st.page_link(widgets.page("Runs"), label="All of them", icon=":material/list_alt:", query_params=chosen)


if __name__ == "__main__":  # as Streamlit runs a page
    widgets.title("Dead letter queue")
    st.fragment(body, run_every=widgets.every(5), key="dlq")()
