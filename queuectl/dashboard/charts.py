"""Charts: colours of the states in light and dark, signs beside them, times with 24 hours."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import altair as alt
import streamlit as st

from queuectl.dashboard.reads.run import Bar
from queuectl.dashboard.reads.schedule import Day
from queuectl.dashboard.reads.trends import Step, Trend
from queuectl.dashboard.words import SIGNS, duration
from queuectl.job import State
from queuectl.store.archive import Result

_HEIGHT: Final = 150
_MARKS: Final = (0, 1, 10, 60, 600, 3600, 36000, 360000)
_SECONDS: Final = (
    "datum.value < 60 ? format(datum.value, '.3~g') + ' s' : "
    "datum.value < 3600 ? datum.value / 60 + ' min' : datum.value / 3600 + ' h'"
)
_EXACT: Final = "%Y-%m-%d %H:%M:%S"
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
        .properties(height=140)
    )


def counts(trend: Trend, states: Sequence[State], read: Callable[[Step, State], int]) -> Any:
    """Return bars of how many runs came into each of some states, step by step; the step that is not over is pale."""
    values = [
        {"at": _millis(step), "state": state, "count": read(step, state), "open": step.is_open}
        for step in trend.steps
        for state in states
    ]
    width = trend.step.total_seconds() * 1000
    bars = (
        alt.Chart(alt.InlineData(values=values))
        .transform_calculate(end=f"datum.at + {0.85 * width}")
        .mark_bar()
        .encode(
            x=_time("at", trend),
            x2="end:T",
            y=alt.Y("sum(count):Q", title=None, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=4)),
            color=_states(states),
            opacity=alt.condition("datum.open", alt.value(0.45), alt.value(1.0)),
            tooltip=[_clock("at"), alt.Tooltip("state:N", title="state"), alt.Tooltip("sum(count):Q", title="runs")],
        )
    )
    marks = [{"at": at.timestamp() * 1000, "number": number} for at, number in trend.applies]
    rules = (
        alt.Chart(alt.InlineData(values=marks))
        .mark_rule(strokeDash=[3, 3], color=colour(State.PENDING), strokeWidth=1.5)
        .encode(x="at:T", tooltip=[_clock("at"), alt.Tooltip("number:Q", title="apply")])
    )
    return (bars + rules if marks else bars).properties(height=_HEIGHT)


def waiting(trend: Trend) -> Any:
    """Return how many runs waited or ran, step by step."""
    values = [{"at": _millis(step), "count": step.waiting} for step in trend.steps]
    return (
        alt.Chart(alt.InlineData(values=values))
        .mark_area(
            line={"color": colour(State.PENDING)}, color=colour(State.PENDING), opacity=0.35, interpolate="step-after"
        )
        .encode(
            x=_time("at", trend),
            y=alt.Y("count:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4)),
            tooltip=[_clock("at"), alt.Tooltip("count:Q", title="runs")],
        )
        .properties(height=_HEIGHT)
    )


def times(trend: Trend) -> Any:
    """Return the middle of how long runs waited and took as lines, and what 95 in 100 stayed below as dashed ones."""
    values = [
        {"at": _millis(step), "what": what, "share": share, "seconds": seconds, "shown": duration(seconds)}
        for step in trend.steps
        for what, both in (("waited", step.waited), ("took", step.took))
        for share, seconds in zip(("p50", "p95"), both, strict=True)
        if seconds is not None
    ]
    longest = max((each or 0 for step in trend.steps for each in (*step.waited, *step.took)), default=1)
    seconds = alt.Axis(values=[mark for mark in _MARKS if mark <= longest], labelExpr=_SECONDS)
    colours = alt.Scale(domain=["waited", "took"], range=[colour(State.FAILED), colour(State.PROCESSING)])
    return (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=1.8)
        .encode(
            x=_time("at", trend),
            y=alt.Y("seconds:Q", title=None, scale=alt.Scale(type="symlog", constant=0.1), axis=seconds),
            color=alt.Color("what:N", scale=colours, legend=_legend()),
            strokeDash=alt.StrokeDash("share:N", legend=None),
            tooltip=[
                _clock("at"),
                alt.Tooltip("what:N", title="what"),
                alt.Tooltip("share:N", title="share"),
                alt.Tooltip("shown:N", title="time"),
            ],
        )
        .properties(height=_HEIGHT)
    )


def results(found: Sequence[Result]) -> Any:
    """Return the latest results of a job, oldest first: colour tells how each ended, height how long it took."""
    values = [
        {
            "place": place,
            "run": each.id,
            "state": each.state,
            "seconds": each.seconds or 0,
            "took": duration(each.seconds),
            "at": each.finished_at.timestamp() * 1000,
        }
        for place, each in enumerate(reversed(found))
    ]
    states = [state for state in SIGNS if any(each.state is state for each in found)]
    return (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            x=alt.X("place:O", axis=None),
            y=alt.Y("seconds:Q", title="seconds", axis=alt.Axis(tickCount=4)),
            color=_states(states),
            stroke=alt.Stroke("state:N", scale=_states(states).to_dict()["scale"], legend=None),
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("state:N"),
                alt.Tooltip("took:N"),
                alt.Tooltip("at:T", format=_EXACT, title="finished"),
            ],
        )
        .properties(height=_HEIGHT)
    )


def load(day: Day) -> Any:
    """Return how many runs begin in each quarter of an hour of the coming day, against the workers there are."""
    values = [{"at": at.timestamp() * 1000, "count": count} for at, count in day.load]
    return (
        alt.Chart(alt.InlineData(values=values))
        .transform_calculate(end=f"datum.at + {15 * 60 * 850}")
        .mark_bar(color=colour(State.PROCESSING))
        .encode(
            x=alt.X("at:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%H:%M", grid=False)),
            x2="end:T",
            y=alt.Y("count:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4)),
            y2=alt.Y2Datum(0),
            tooltip=[_clock("at"), alt.Tooltip("count:Q", title="runs begin")],
        )
        .properties(height=120)
    )


def strip(day: Day, names: Sequence[str]) -> Any:
    """Return the slots of the coming day, a row for each job; what is due too often for ticks is a band."""
    end = day.load[-1][0].timestamp() * 1000
    ticks = [
        {"job": each.name, "at": slot.timestamp() * 1000, "fate": "paused" if each.is_paused else "runs"}
        for each in day.jobs
        if not each.is_dense and each.name in names
        for slot in each.slots
    ]
    bands = [
        {
            "job": each.name,
            "at": each.slots[0].timestamp() * 1000,
            "end": end,
            "count": each.count,
            "fate": "paused" if each.is_paused else "runs",
        }
        for each in day.jobs
        if each.is_dense and each.name in names
    ]
    fates = alt.Scale(domain=["runs", "paused"], range=[colour(State.PROCESSING), colour(State.FAILED)])
    y = alt.Y("job:N", title=None, sort=list(names), axis=alt.Axis(labelOverlap=False, labelLimit=190, grid=True))
    x = alt.X("at:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%H:%M", grid=False))
    fate = alt.Color("fate:N", scale=fates, legend=_legend() if any(each.is_paused for each in day.jobs) else None)
    drawn = alt.Chart(alt.InlineData(values=ticks)).mark_tick(thickness=3, size=16).encode(
        x=x, y=y, color=fate, tooltip=[alt.Tooltip("job:N"), alt.Tooltip("at:T", format=_EXACT, title="slot")]
    )  # fmt: skip
    if bands:
        band = alt.Chart(alt.InlineData(values=bands)).mark_bar(height=12, opacity=0.45).encode(
            x=x, x2="end:T", y=y, color=fate, tooltip=[alt.Tooltip("job:N"), alt.Tooltip("count:Q", title="slots")]
        )  # fmt: skip
        drawn = band + drawn
    return drawn.properties(height=60 + 26 * len(names))


def _millis(step: Step) -> float:
    return step.at.timestamp() * 1000


def _time(field: str, trend: Trend) -> Any:
    form = "%H:%M" if trend.step.total_seconds() < 6 * 3600 else "%a %d"
    axis = alt.Axis(format=form, grid=False, tickCount=5)
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def _clock(field: str) -> Any:
    return alt.Tooltip(f"{field}:T", format=_EXACT, title="UTC")


def _states(states: Sequence[State]) -> Any:
    scale = alt.Scale(domain=[str(state) for state in states], range=[colour(state) for state in states])
    return alt.Color("state:N", scale=scale, legend=_legend() if len(states) > 1 else None)


def _legend() -> Any:
    return alt.Legend(orient="top", title=None, padding=0, offset=2)
