"""The overview: is anything wrong, what is going on, what died, what comes next."""

import streamlit as st

from queuectl.dashboard import widgets
from queuectl.dashboard.reads.overview import MOST_DUE, Overview, Remark, Weight, overview
from queuectl.dashboard.words import NONE, counted, duration, exact, quoted, shortened
from queuectl.durations import ago
from queuectl.job import State
from queuectl.views import run_title

_SHOWN = {
    Weight.FAULT: ("fault", ":material/error:", "red"),
    Weight.WARNING: ("warning", ":material/warning:", "orange"),
    Weight.NOTE: ("note", ":material/info:", "gray"),
}


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
    for remark in found.remarks[:6]:
        _remark(remark)
    if len(found.remarks) > 6:
        st.caption(f"and {len(found.remarks) - 6} more")


def _remark(remark: Remark) -> None:
    show = {Weight.FAULT: st.error, Weight.WARNING: st.warning, Weight.NOTE: st.info}[remark.weight]
    word, icon, _ = _SHOWN[remark.weight]
    show(f"**{word.capitalize()}.** {remark.sentence}", icon=icon)


def _calm(found: Overview) -> str:
    busy = f"{counted(found.busy, 'attempt')} under way" if found.busy else "Nothing is under way"
    coming = f", the next slot {ago(found.coming[0].at, found.now)}" if found.coming else ""
    return f"{busy}{coming}."


def _tiles(found: Overview) -> None:
    counts = found.counts
    waits = (found.now - found.oldest_due).total_seconds() if found.oldest_due else None
    due = f"{found.due:,}" if found.due <= MOST_DUE else f"{MOST_DUE:,}+"
    with st.grid(6, min_column_width=130, key="tiles"):
        st.metric("Oldest due", duration(waits), border=True, help="How long the run that is due longest has waited.")
        st.metric("Due now", due, border=True, help="Runs that wait for a free worker.")
        st.metric(
            "Processing",
            f"{found.busy:,} / {found.workers:,}",
            border=True,
            help="Attempts under way, of as many as the living runners make at a time.",
        )
        waiting = counts[State.PENDING] + counts[State.FAILED]
        st.metric("Waiting", f"{waiting:,}", border=True, help="Pending, or failed and to be tried again.")
        st.metric("Completed", f"{counts[State.COMPLETED]:,}", border=True)
        st.metric("Dead", f"{counts[State.DEAD]:,}", border=True, help="In the dead letter queue: a person has to act.")


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


if __name__ == "__main__":  # as Streamlit runs a page
    widgets.title("Overview")
    st.fragment(body, run_every=widgets.every(2), key="overview")()
