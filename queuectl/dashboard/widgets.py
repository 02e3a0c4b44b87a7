"""The parts that pages are made of: a look at the queue, its troubles, signs of states, tables of runs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import streamlit as st

from queuectl import clock
from queuectl.dashboard.session import shown
from queuectl.dashboard.words import SIGNS, exact, quoted
from queuectl.errors import DatabaseBusy, QueuectlError
from queuectl.job import State
from queuectl.spec import JobSpec
from queuectl.store.archive import Archive
from queuectl.visible import visible
from queuectl.why import Answer

Facts = TypeVar("Facts")
Row = Mapping[str, Any]

ROW_HEIGHT: Final = 32
_STATES: Final = [f"{sign.glyph} {state}" for state, sign in SIGNS.items()]
_COLOURS: Final = [sign.colour for sign in SIGNS.values()]


def every(seconds: float) -> float | None:
    """Return how often a part of a page is drawn anew; None while the reader wants it to stand still."""
    return seconds if st.session_state.get("live", True) else None


def look(read: Callable[[Archive, datetime], Facts]) -> Facts | None:
    """Return what ``read`` finds in one state of the queue; what is in the way is shown, and None comes back."""
    try:
        with shown().reading() as store, store.snapshot():
            return read(store, clock.now())
    except QueuectlError as error:
        trouble(error)
        return None


def trouble(error: QueuectlError) -> None:
    """Show what went wrong, and what to do about it."""
    hint = f"\n\n{sentence(error.hint)}" if error.hint else ""
    if isinstance(error, DatabaseBusy):
        st.warning(f"{sentence(str(error))}{hint}", icon=":material/hourglass_top:", title="The queue is busy")
    else:
        st.error(f"{sentence(str(error))}{hint}", icon=":material/error:", title="Nothing to show")


def sentence(text: str) -> str:
    """Return one of our own sentences as Markdown: what stands between backticks is code, and the rest is plain."""
    return "".join(quoted(part) if index % 2 else _plain(part) for index, part in enumerate(text.split("`")))


def _plain(text: str) -> str:
    r"""Return text whose characters mean nothing to Markdown."""
    return "".join(f"\\{each}" if each in "\\*_{}[]()#+-.!|<>$~&:^=" else each for each in visible(text))


def badge(state: State) -> None:
    """Show a state: its word, its sign, its colour."""
    sign = SIGNS[state]
    st.badge(state, icon=sign.icon, color=sign.colour)


def state_cell(state: State) -> list[str]:
    """Return a state as a cell of a table whose column is ``state_column``."""
    return [f"{SIGNS[state].glyph} {state}"]


def state_column(label: str = "State") -> Any:
    """Return the column of states, each in its colour."""
    return st.column_config.MultiselectColumn(label, options=_STATES, color=_COLOURS, width=120)


def run_column(key: str) -> Any:
    """Return the column of the ids of runs, each of which opens when it is clicked.

    A click is known by the id that was clicked, never by the row: rows move while they are looked at.
    """
    return st.column_config.ButtonColumn(
        "Run", key=key, on_click=_open_run, args=(key,), type="tertiary", pinned=True, alignment="left", width=90
    )


def _open_run(key: str) -> None:
    open_page("Run", id=st.session_state[key]["label"])


def open_page(name: str, **parameters: str) -> None:
    """Go to another page."""
    st.switch_page(page(name), query_params=parameters)


def page(name: str) -> Any:
    """Return a page by its title, for links."""
    return st.session_state["pages"][name]


def table(rows: Sequence[Row], columns: Mapping[str, Any], *, key: str, alt: str, rows_high: int | None = None) -> None:
    """Show rows under the columns that are named, in their order, but for those without a word in any row.

    Not meant for no rows at all.
    """
    columns = {name: column for name, column in columns.items() if any(row[name] != "" for row in rows)}
    st.dataframe(
        {name: [row[name] for row in rows] for name in columns},
        column_config={name: column for name, column in columns.items() if column is not None},
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=(min(len(rows), rows_high or len(rows)) + 1) * ROW_HEIGHT + 4,
        key=key,
        alt=alt,
    )


def title(text: str) -> None:
    """Show the name of a page."""
    st.title(text, anchor=False)


def stamp(now: datetime, seconds: float | None) -> None:
    """Show of which moment a page tells, and how often it is drawn anew."""
    is_live = seconds is not None and every(seconds) is not None
    st.caption(f"{now:%H:%M:%S} UTC · {f'every {seconds:g} s' if is_live else 'stands still'}")


def nothing_yet() -> None:
    """Show how a queue is filled."""
    st.info("Nothing was declared or queued yet. To begin:", icon=":material/inbox:", title="The queue is empty")
    st.code("queuectl apply manifests/\nqueuectl enqueue -- echo hello\nqueuectl run", language="shell")


def caption(text: str) -> None:
    """Show the name of a chart."""
    st.markdown(f"**{text}**")


def answer(found: Answer) -> None:
    """Show why something is as it is: the conclusion, and the dated facts that lead to it."""
    st.markdown(sentence(f"{found.conclusion}."))
    if found.facts:
        lines = (f"{exact(each.at)}  {each.kind:<9} {visible(each.sentence)}" for each in found.facts)
        st.code("\n".join(lines), language=None, wrap_lines=True)


def spec(found: JobSpec) -> None:
    """Show what is executed; of the environment only the names, for the values may be secrets."""
    caption("Command")
    st.code(visible(found.line, keep="\n\t"), language=None, wrap_lines=True)
    rest = {key: value for key, value in found.to_dict().items() if key not in ("command", "env")}
    if found.env:
        rest["env"] = ", ".join(sorted(found.env)) + " (values are not shown)"
    if rest:
        caption("What differs from the defaults")
        width = max(map(len, rest))
        lines = (f"{key:<{width}}  {visible(str(value))}" for key, value in rest.items())
        st.code("\n".join(lines), language=None, wrap_lines=True)
