"""The jobs: how each has fared, when it is due next; one of them under a link of its own."""

from datetime import datetime

import streamlit as st

from queuectl.dashboard import charts, widgets
from queuectl.dashboard.reads.jobs import JobLine, OneJob, job_list, one_job
from queuectl.dashboard.session import shown
from queuectl.dashboard.words import NONE, SIGNS, duration, quoted, shortened
from queuectl.durations import ago
from queuectl.visible import visible
from queuectl.wording import counted

_COLUMNS = ("Lately", "Success", "As a rule", "Last run", "Next slot", "Schedule", "Standing")


def body() -> None:
    """Show all jobs."""
    found = widgets.look(job_list)
    if found is None:
        return
    if not found.jobs:
        st.info("No job is declared.", icon=":material/inbox:")
        st.code("queuectl apply manifests/", language="shell")
        return
    paused = sum(line.standing != "" for line in found.jobs)
    st.markdown(f"**{counted(len(found.jobs), 'job')}**" + (f", {paused} of them paused or disabled" if paused else ""))
    rows = [_row(line, found.now) for line in found.jobs]
    columns = {
        "Job": st.column_config.ButtonColumn(
            "Job", key="open job", on_click=_open, type="tertiary", pinned=True, alignment="left", width=190
        ),
        **dict.fromkeys(_COLUMNS),
        "Success": st.column_config.ProgressColumn("Success", format="percent", min_value=0, max_value=1, width=110),
    }
    widgets.table(rows, columns, key="jobs table", alt="The declared jobs", rows_high=18)
    st.caption("Lately: the last 20 runs, the newest on the right. " + "  ".join(_key()))
    widgets.stamp(found.now, 5)


def _key() -> list[str]:
    return [f"{sign.glyph} {state}" for state, sign in SIGNS.items() if state.is_final]


def _open() -> None:
    widgets.open_page("Jobs", job=st.session_state["open job"]["label"])


def _row(line: JobLine, now: datetime) -> dict[str, object]:
    stored, last = line.stored, next(iter(line.results), None)
    recurrence = stored.job.recurrence
    return {
        "Job": stored.job.full_name,
        "Lately": "".join(SIGNS[each.state].glyph for each in reversed(line.results)) or NONE,
        "Success": line.success,
        "As a rule": duration(line.usual),
        "Last run": f"{SIGNS[last.state].glyph} {ago(last.finished_at, now)}" if last else NONE,
        "Next slot": ago(stored.next_slot, now) if stored.next_slot else NONE,
        "Schedule": shortened(recurrence.schedule) if recurrence else NONE,
        "Standing": line.standing,
    }


def one(name: str) -> None:
    """Show one job."""
    found = widgets.look(lambda store, now: one_job(store, now, name))
    if found is None:
        return
    line, job = found.line, found.line.stored.job
    if line.paused is not None:
        st.warning(f"Paused by {quoted(line.paused.by)}: its slots pass without a run.", icon=":material/pause_circle:")
    if not job.enabled:
        st.warning("Disabled in its manifest.", icon=":material/block:")
    if job.spec.description:
        st.text(visible(job.spec.description))
    _tiles(found)
    if found.results:
        widgets.caption(f"The last {counted(len(found.results), 'run')}, the newest on the right")
        charts.draw(
            charts.results(found.results), key="results", alt_text="How the latest runs ended and how long they took"
        )
    why, latest, spec = st.tabs(["Why", "Runs", "Spec"], key="job tab", on_change="rerun", bind="query-params")
    if why.open:
        with why:
            widgets.answer(found.answer)
    if latest.open:
        with latest:
            _runs(found)
    if spec.open:
        with spec:
            widgets.spec(job.spec)
    widgets.stamp(found.now, 5)


def _tiles(found: OneJob) -> None:
    line = found.line
    success = NONE if line.success is None else f"{line.success:.0%}"
    next_slot = line.stored.next_slot
    with st.grid(4, min_column_width=130, key="job tiles"):
        st.metric("Success", success, border=True, help="Of its last 20 runs that completed or died.")
        st.metric("As a rule", duration(line.usual), border=True, help="The middle of its last completed runs.")
        st.metric("Next slot", ago(next_slot, found.now) if next_slot else NONE, border=True)
        st.metric(
            "Attempts", line.stored.job.spec.retry.max_attempts, border=True, help="So many before a run is dead."
        )


def _runs(found: OneJob) -> None:
    if not found.results:
        st.caption("None has ended yet.")
    else:
        widgets.table(
            [
                {
                    "Run": each.id,
                    "State": widgets.state_cell(each.state),
                    "Took": duration(each.seconds),
                    "Ended": ago(each.finished_at, found.now),
                    "Reason": shortened(each.reason or ""),
                }
                for each in found.results
            ],
            {"Run": widgets.run_column("open result"), "State": widgets.state_column()}
            | dict.fromkeys(("Took", "Ended", "Reason")),
            key="job runs",
            alt="The latest runs of the job",
            rows_high=12,
        )
    job = found.line.stored.job.full_name
    st.page_link(widgets.page("Runs"), label="All its runs", icon=":material/list_alt:", query_params={"job": job})


def _offer(name: str) -> None:
    from queuectl.dashboard import acting

    found = widgets.look(lambda store, now: one_job(store, now, name))
    if found is not None:
        acting.offer(acting.job_acts(name, found.line.paused), key="job")


def main() -> None:
    """Show one job if one is asked for, else all."""
    asked = str(st.query_params.get("job", ""))[:200]
    if asked:
        st.page_link(widgets.page("Jobs"), label="All jobs", icon=":material/arrow_back:")
        widgets.title(quoted(asked))
        if shown().allows_actions:
            _offer(asked)
        st.fragment(one, run_every=widgets.every(5), key="job")(asked)
    else:
        widgets.title("Jobs")
        st.fragment(body, run_every=widgets.every(5), key="jobs")()


if __name__ == "__main__":  # as Streamlit runs a page
    main()
