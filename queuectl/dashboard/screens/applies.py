"""The applies: who changed what, when, from which commit, and what failed after it."""

import streamlit as st

from queuectl.dashboard import widgets
from queuectl.dashboard.reads.applies import apply_list, diff_lines, one_apply
from queuectl.dashboard.words import NONE, exact, quoted, shortened
from queuectl.durations import ago
from queuectl.store import Author
from queuectl.visible import visible
from queuectl.wording import counted

_COLUMNS = ("When", "By", "Commit", "Created", "Changed", "Removed")
_MOST_LINES = 400


def body() -> None:
    """Show all applies."""
    found = widgets.look(apply_list)
    if found is None:
        return
    if not found.applies:
        st.info("Nothing was applied yet.", icon=":material/inbox:")
        st.code("queuectl apply manifests/", language="shell")
        return
    rows = [
        {
            "Apply": str(each.number),
            "When": ago(each.applied_at, found.now),
            "By": shortened(f"{each.author.user}@{each.author.host}"),
            "Commit": _commit(each.author),
            "Created": each.actions.get("create", 0),
            "Changed": each.actions.get("update", 0) + each.actions.get("rename", 0),
            "Removed": each.actions.get("remove", 0),
        }
        for each in found.applies
    ]
    columns = {
        "Apply": st.column_config.ButtonColumn(
            "Apply", key="open apply", on_click=_open, type="tertiary", pinned=True, alignment="left", width=70
        ),
        **dict.fromkeys(_COLUMNS),
    }
    widgets.table(rows, columns, key="applies table", alt="The latest applies", rows_high=18)
    widgets.stamp(found.now, 30)


def _open() -> None:
    widgets.open_page("Applies", number=st.session_state["open apply"]["label"])


def _commit(author: Author) -> str:
    if author.git_commit is None:
        return NONE
    return shortened(author.git_commit[:12]) + (" + changes" if author.git_dirty else "")


def one(number: str) -> None:
    """Show one apply."""
    found = widgets.look(lambda store, now: one_apply(store, now, number))
    if found is None:
        return
    chosen, failed = found.apply, found.around
    if chosen is None:
        st.warning(f"There is no apply {quoted(number)}.", icon=":material/info:")
        return
    facts = {
        "When": f"{exact(chosen.applied_at)}, {ago(chosen.applied_at, found.now)}",
        "By": quoted(f"{chosen.author.user}@{chosen.author.host}"),
        "Commit": quoted(_commit(chosen.author)),
    }
    st.table(facts, border="horizontal", width="content")
    if failed:
        with st.grid(2, min_column_width=130, width=400, key="around"):
            st.metric("Failed in the hour before", f"{failed.before:,}", border=True)
            st.metric("Failed in the hour after", f"{failed.after:,}", border=True)
    lines = [line for change in chosen.changes for line in diff_lines(change)]
    widgets.caption(counted(len(chosen.changes), "change"))
    st.code("\n".join(map(visible, lines[:_MOST_LINES])), language="diff", wrap_lines=True)
    if len(lines) > _MOST_LINES:
        st.caption(f"The first {_MOST_LINES} of {len(lines):,} lines.")


def main() -> None:
    """Show one apply if one is asked for, else all."""
    asked = str(st.query_params.get("number", ""))[:20]
    if asked:
        st.page_link(widgets.page("Applies"), label="All applies", icon=":material/arrow_back:")
        widgets.title(f"Apply {quoted(asked)}")
        one(asked)
    else:
        widgets.title("Applies")
        st.fragment(body, run_every=widgets.every(30), key="applies")()


if __name__ == "__main__":  # as Streamlit runs a page
    main()
