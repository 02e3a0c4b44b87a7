"""Charts: colours of the states in light and dark, signs beside them, times with 24 hours."""

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import streamlit as st

from queuectl.dashboard.reads.run import Bar
from queuectl.dashboard.words import SIGNS, duration
from queuectl.job import State

_KINDS: Final = {
    "waited": State.SKIPPED,
    "completed": State.COMPLETED,
    "failed": State.FAILED,
    "cancelled": State.CANCELLED,
    "under way": State.PROCESSING,
}


def is_dark() -> bool:
    """Whether the reader has chosen dark colours; may be one look late."""
    return bool(st.context.theme.type == "dark")


def colour(state: State) -> str:
    """Return the colour of a state in charts."""
    sign = SIGNS[state]
    return sign.dark if is_dark() else sign.light


def draw(chart: Any, *, key: str, alt_text: str) -> None:
    """Show a chart over the whole width."""
    st.altair_chart(chart, key=key, alt=alt_text)


def time_line(bars: Sequence[Bar]) -> Any:
    """Return the life of a run as one row of bars, from the time it came into the queue."""
    values = [
        {"what": bar.what, "kind": bar.kind, "begin": bar.begin, "end": bar.end, "took": duration(bar.end - bar.begin)}
        for bar in bars
    ]
    kinds = [kind for kind in _KINDS if any(bar.kind == kind for bar in bars)]
    colours = alt.Scale(domain=kinds, range=[colour(_KINDS[kind]) for kind in kinds])
    return (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(height=22, strokeWidth=2)  # the stroke keeps what took milliseconds visible among hours of waiting
        .encode(
            x=alt.X(
                "begin:Q",
                title="seconds since it came into the queue",
                scale=alt.Scale(nice=False),
                axis=alt.Axis(tickCount=6, grid=False, labelFlush=True),
            ),
            x2="end:Q",
            color=alt.Color("kind:N", scale=colours, legend=alt.Legend(orient="top", title=None)),
            stroke=alt.Stroke("kind:N", scale=colours, legend=None),
            tooltip=[alt.Tooltip("what:N", title="what"), alt.Tooltip("took:N", title="took")],
        )
        .properties(height=120)
    )
