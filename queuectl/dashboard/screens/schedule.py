"""The coming 24 hours: what begins when, which minute is the worst, which jobs begin together."""

import streamlit as st

from queuectl.dashboard import charts, widgets
from queuectl.dashboard.reads.schedule import Day, Planned, day
from queuectl.dashboard.session import shown
from queuectl.dashboard.words import NONE, SIGNS, exact, quoted, shortened
from queuectl.durations import ago
from queuectl.wording import counted

_MOST_ROWS = 40
_COLUMNS = ("Next slot", "In", "Schedule", "Zone", "In 24 h", "Last run", "Overlap", "Catch-up", "Standing")


def body() -> None:
    """Show the coming day."""
    found = widgets.look(day)
    if found is None:
        return
    if not found.jobs:
        st.info("No job has a schedule.", icon=":material/event_busy:")
        return
    for pause in found.pauses:
        what = quoted(pause.scope) if pause.scope else "Everything"
        until = f", until {exact(pause.until)}" if pause.until else ""
        why = f": {quoted(pause.reason)}" if pause.reason else ""
        st.warning(
            f"{what} is paused since {exact(pause.begins_at)} by {quoted(pause.by)}{until}{why}.",
            icon=":material/pause_circle:",
        )
    _worst(found)
    widgets.caption("Runs that begin in each quarter of an hour, in UTC")
    charts.draw(
        charts.load(found), key="load", alt_text="How many runs begin in each quarter of an hour of the next 24"
    )
    shown = [each.name for each in found.jobs[:_MOST_ROWS]]
    widgets.caption("Slots of each job; a band is due too often for ticks")
    charts.draw(charts.strip(found, shown), key="strip", alt_text="The slots of each job in the next 24 hours")
    if len(found.jobs) > len(shown):
        st.caption(f"The {len(shown)} jobs that are due first, of {len(found.jobs):,}.")
    _table(found)
    widgets.stamp(found.now, 30)


def _worst(found: Day) -> None:
    if not found.is_whole:
        st.caption("There are too many slots to look at each: what follows is about the jobs that come first by name.")
    if not found.worst:
        st.success("No two runs begin in the same minute.", icon=":material/check_circle:")
        return
    minute, names = found.worst[0]
    too_many = 0 < found.workers < len(names)
    say = st.warning if too_many else st.info
    workers = f", and there are {counted(found.workers, 'worker')}" if found.workers else ""
    say(
        f"**Worst minute:** {minute:%H:%M} UTC, {counted(len(names), 'run')} begin{workers}: {_listed(names)}.",
        icon=":material/warning:" if too_many else ":material/info:",
    )
    if len(found.worst) > 1:
        others = "; ".join(f"{at:%H:%M}: {_listed(each)}" for at, each in found.worst[1:])
        st.caption(f"Also together: {others}.")


def _listed(names: tuple[str, ...]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - 4} more" if len(distinct) > 4 else ""
    return ", ".join(quoted(name) for name in distinct[:4]) + more


def _table(found: Day) -> None:
    columns = {
        "Job": st.column_config.ButtonColumn(
            "Job", key="open planned", on_click=_open, type="tertiary", pinned=True, alignment="left", width=190
        ),
        **dict.fromkeys(_COLUMNS),
    }
    rows = [_row(each, found) for each in found.jobs]
    widgets.table(rows, columns, key="schedule table", alt="The recurring jobs by their next slot", rows_high=16)


def _open() -> None:
    widgets.open_page("Jobs", job=st.session_state["open planned"]["label"])


def _row(each: Planned, found: Day) -> dict[str, object]:
    recurrence, next_slot = each.stored.job.recurrence, each.stored.next_slot
    assert recurrence is not None
    return {
        "Job": each.name,
        "Next slot": exact(next_slot),
        "In": ago(next_slot, found.now) if next_slot else NONE,
        "Schedule": shortened(recurrence.schedule),
        "Zone": recurrence.timezone,
        "In 24 h": each.count,
        "Last run": f"{SIGNS[each.last.state].glyph} {ago(each.last.finished_at, found.now)}" if each.last else NONE,
        "Overlap": str(recurrence.overlap),
        "Catch-up": str(recurrence.catchup),
        "Standing": "paused" if each.is_paused else "",
    }


def _offer() -> None:
    from queuectl.dashboard import acting

    pauses = widgets.look(lambda store, now: [each for each in store.pauses(since=now) if each.begins_at <= now])
    if pauses:
        acting.offer([acting.resume_act(each) for each in pauses], key="pauses")


if __name__ == "__main__":  # as Streamlit runs a page
    widgets.title("Schedule")
    if shown().allows_actions:
        _offer()
    st.fragment(body, run_every=widgets.every(30), key="schedule")()
