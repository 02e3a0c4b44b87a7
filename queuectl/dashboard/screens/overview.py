"""The overview: is anything wrong, what is going on, what died, what comes next."""

import streamlit as st

from queuectl.dashboard import charts, widgets
from queuectl.dashboard.reads.overview import MOST_DUE, Overview, Remark, Weight, overview
from queuectl.dashboard.reads.trends import SPANS, Step, trend
from queuectl.dashboard.words import NONE, duration, exact, quoted, shortened
from queuectl.durations import ago
from queuectl.job import State
from queuectl.views import run_title
from queuectl.wording import counted

_ALERTS = {Weight.FAULT: st.error, Weight.WARNING: st.warning, Weight.NOTE: st.info}
_ICONS = {Weight.FAULT: ":material/error:", Weight.WARNING: ":material/warning:", Weight.NOTE: ":material/info:"}
_MOST_REMARKS = 6


def body() -> None:
    """Show everything that changes."""
    found = widgets.look(overview)
    if found is None:
        return
    widgets.stamp(found.now, 2)
    if found.is_empty:
        widgets.nothing_yet()
        return
    _verdict(found)
    _tiles(found)
    left, right = st.columns(2, gap="medium")
    with left:
        _under_way(found)
        _dead(found)
    with right:
        _coming(found)
        _runners(found)


def _verdict(found: Overview) -> None:
    if not any(remark.weight < Weight.NOTE for remark in found.remarks):
        st.success(f"**All is well.** {_calm(found)}", icon=":material/check_circle:")
    for place, remark in enumerate(found.remarks[:_MOST_REMARKS]):
        _remark(remark, place)
    if len(found.remarks) > _MOST_REMARKS:
        st.caption(f"and {len(found.remarks) - _MOST_REMARKS} more")


def _remark(remark: Remark, place: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"remark {place}"):
        _ALERTS[remark.weight](f"**{remark.weight.name.capitalize()}.** {remark.sentence}", icon=_ICONS[remark.weight])
        st.page_link(widgets.page(remark.page), icon=":material/arrow_forward:", icon_position="right")


def _calm(found: Overview) -> str:
    busy = f"{counted(found.busy, 'attempt')} under way" if found.busy else "Nothing is under way"
    coming = f", the next slot {ago(found.coming[0].at, found.now)}" if found.coming else ""
    return f"{busy}{coming}."


def trends(span: str) -> None:
    """Show how things have gone."""
    found = widgets.look(lambda store, now: trend(store, now, span))
    if found is None:
        return
    if found.is_flat:
        st.caption(f"Nothing happened within {span}.")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        widgets.caption("Completed")
        chart = charts.counts(found, [State.COMPLETED], lambda step, _: step.completed)
        charts.draw(chart, key="completed", alt_text="How many runs completed, over time")
        widgets.caption("Waiting or running")
        charts.draw(charts.waiting(found), key="waiting", alt_text="How many runs waited or ran, over time")
    with right:
        widgets.caption("Failed attempts, dead and cancelled runs" + ("; dashed: applies" if found.applies else ""))
        chart = charts.counts(found, [State.FAILED, State.DEAD, State.CANCELLED], _went_wrong)
        charts.draw(chart, key="failed", alt_text="How many attempts failed and runs died or were cancelled, over time")
        widgets.caption("Waited and took; dashed: 95 in 100 stay below")
        charts.draw(charts.times(found), key="times", alt_text="How long runs waited and took, over time")


def _went_wrong(step: Step, state: State) -> int:
    return {State.FAILED: step.failed, State.DEAD: step.dead, State.CANCELLED: step.cancelled}[state]


def _tiles(found: Overview) -> None:
    counts, lately = found.counts, found.lately
    waits = (found.now - found.oldest_due).total_seconds() if found.oldest_due else None
    due = f"{found.due:,}" if found.due <= MOST_DUE else f"{MOST_DUE:,}+"
    with st.grid(4, min_column_width=150, key="tiles"):
        _tile("Oldest due", duration(waits), f"{due} due now", "How long the run that is due longest has waited.")
        workers = f"of {counted(found.workers, 'worker')}"
        _tile("Processing", f"{found.busy:,}", workers, "Attempts under way, of as many as the living runners make.")
        _tile("Pending", f"{counts[State.PENDING]:,}", "wait for their first attempt", "Due, or to be due.")
        again = f"{lately[State.FAILED]:,} attempts in 1 h"
        _tile("Failed", f"{counts[State.FAILED]:,}", again, "Wait to be tried again.")
        for state in (State.COMPLETED, State.DEAD, State.CANCELLED, State.SKIPPED):
            _tile(state.capitalize(), f"{counts[state]:,}", f"{lately[state]:,} in 1 h", None)


def _tile(label: str, value: str, below: str, help_text: str | None) -> None:
    st.metric(label, value, below, delta_color="off", delta_arrow="off", border=True, help=help_text)


def _under_way(found: Overview) -> None:
    st.subheader("Running now", anchor=False)
    if not found.under_way:
        st.caption("Nothing is being executed.")
        return
    widgets.table(
        [
            {
                "Run": each.run.id,
                "Job or command": shortened(run_title(each.run)),
                "For": duration(each.elapsed),
                "As a rule": duration(each.usual),
            }
            for each in found.under_way
        ],
        {"Run": widgets.run_column("open now"), "Job or command": None, "For": None, "As a rule": None},
        key="now table",
        alt="Runs that are being executed",
        rows_high=6,
    )


def _dead(found: Overview) -> None:
    st.subheader("Newest dead", anchor=False)
    if not found.dead:
        st.caption("The dead letter queue is empty.")
        return
    widgets.table(
        [
            {
                "Run": run.id,
                "Job or command": shortened(run_title(run), 28),
                "Died": ago(run.updated_at, found.now),
                "Reason": shortened(run.reason or NONE),
            }
            for run in found.dead
        ],
        {"Run": widgets.run_column("open dead"), "Job or command": None, "Reason": None, "Died": None},
        key="dead table",
        alt="The newest dead runs",
    )


def _coming(found: Overview) -> None:
    st.subheader("Next slots", anchor=False)
    if not found.coming:
        st.caption("No job has a slot to come.")
        return
    widgets.table(
        [
            {
                "Due": ago(each.at, found.now),
                "Job": shortened(each.job),
                "At": exact(each.at),
                "": "paused" if each.is_paused else "",
            }
            for each in found.coming
        ],
        {"Due": None, "Job": None, "At": None, "": None},
        key="coming table",
        alt="The next slots of recurring jobs",
    )


def _runners(found: Overview) -> None:
    st.subheader("Runners", anchor=False)
    if not found.runners:
        st.caption(f"None. Start one with {quoted('queuectl run')}.")
        return
    widgets.table(
        [
            {
                "Runner": str(each.runner.id),
                "": "✓ alive" if each.is_alive else "✕ has died",
                "Host": shortened(each.runner.host),
                "Workers": each.runner.workers,
                "Last word": ago(each.runner.heartbeat_at, found.now),
            }
            for each in found.runners
        ],
        {"Runner": None, "": None, "Host": None, "Workers": None, "Last word": None},
        key="runners table",
        alt="The runners, and whether they live",
    )


def main() -> None:
    """Show the page: what is now, and below it, less often, how it has come to that."""
    widgets.title("Overview")
    st.fragment(body, run_every=widgets.every(2), key="overview")()
    with st.container(horizontal=True, vertical_alignment="center", key="trends head"):
        st.subheader("Over time", anchor=False)
        span = st.segmented_control(
            "Time",
            list(SPANS),
            default="6 h",
            required=True,
            key="span",
            bind="query-params",
            label_visibility="collapsed",
        )
    st.fragment(trends, run_every=widgets.every(10), key="trends")(span or "6 h")


if __name__ == "__main__":  # as Streamlit runs a page
    main()
