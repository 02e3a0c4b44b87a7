"""One run, under a link of its own: why it stands where it stands, its attempts, its output, its spec."""

from itertools import islice

import streamlit as st

from queuectl.dashboard import charts, widgets
from queuectl.dashboard.reads.run import MOST_LINES, OneRun, bars, end_of_output, matching_lines, one_run
from queuectl.dashboard.reads.runs import took
from queuectl.dashboard.session import shown
from queuectl.dashboard.words import NONE, duration, exact, quoted, shortened
from queuectl.durations import ago
from queuectl.job import State
from queuectl.sizes import format_size
from queuectl.spool import STREAMS, Spool
from queuectl.views import run_title
from queuectl.visible import visible

_LONG = 18  # lines of output that are shown without a frame of their own to scroll in
_HEIGHT = 420


def asked_for() -> str:
    """Return the id in the address; without one there is a field to type it in."""
    run_id = st.query_params.get("id", "")
    if not run_id:
        st.info("A run has its page under its id.", icon=":material/info:")
        typed = st.text_input("Id of a run", key="typed id", max_chars=64)
        if not typed:
            st.stop()
        st.query_params["id"] = run_id = typed
    return str(run_id)[:100]


def body(run_id: str) -> None:
    """Show the run."""
    found = widgets.look(lambda store, now: one_run(store, now, run_id))
    if found is None:
        return
    if st.session_state.get("run state") != (run_id, found.run.state):  # what is offered, and whether it is followed
        st.session_state["run state"] = (run_id, found.run.state)
        st.rerun()
    _head(found)
    _tiles(found)
    if len(found.attempts) > 1 or found.run.lease is not None:
        charts.draw(charts.time_line(bars(found)), key="time line", alt_text="The waits and attempts of the run")
    output, why, attempts, spec, origin = st.tabs(
        ["Output", "Why", "Attempts", "Spec", "Origin"], key="tab", on_change="rerun", bind="query-params"
    )
    if output.open:
        with output:
            _output(found)
    if why.open:
        with why:
            widgets.answer(found.answer)
    if attempts.open:
        with attempts:
            _attempts(found)
    if spec.open:
        with spec:
            widgets.spec(found.run.spec)
    if origin.open:
        with origin:
            _origin(found)
    widgets.stamp(found.now, None if found.run.state.is_final else 2)


def _head(found: OneRun) -> None:
    run = found.run
    with st.container(horizontal=True, vertical_alignment="center", key="run head"):
        widgets.badge(run.state)
        st.markdown(quoted(run_title(run)))
        if run.stop is not None:
            st.badge("is being ended", icon=":material/stop_circle:", color="orange")
    if run.reason:
        show = st.error if run.state is State.DEAD else st.warning if run.state is State.FAILED else st.info
        again = f", tried again {ago(run.run_at, found.now)}" if run.state is State.FAILED else ""
        show(f"{quoted(run.reason)}{again}", icon=":material/info:")
    elif run.is_held:
        st.info("Waits until the run of its job before it is over.", icon=":material/hourglass_top:")


def _tiles(found: OneRun) -> None:
    run = found.run
    with st.grid(4, min_column_width=130, key="run tiles"):
        st.metric("Created", ago(run.created_at, found.now), border=True, help=exact(run.created_at))
        st.metric("Waited", duration(found.waited), border=True, help="From when it was due to its first attempt.")
        st.metric("Took", duration(took(run, found.now)), border=True, help="Its last attempt.")
        st.metric("Attempts", f"{run.attempts} / {run.max_attempts}", border=True)


def _output(found: OneRun) -> None:
    executions = found.executions
    if not executions:
        st.caption("No attempt has begun yet.")
        return
    labels = {f"{each.number} · {each.ended or 'under way'} · {each.name}": each for each in executions}
    with st.grid(3, min_column_width=170, vertical_alignment="bottom", key="output choice"):
        label = st.selectbox("Attempt", [visible(each) for each in labels], key="output attempt")
        stream = st.segmented_control("Stream", STREAMS, default="stdout", required=True, key="stream") or "stdout"
        wanted = st.text_input("Search", key="output search", placeholder="Lines with…", icon=":material/search:")
    chosen = next((each for shown_as, each in labels.items() if visible(shown_as) == label), executions[0])
    spool = Spool(str(shown().settings.db))
    if wanted:
        lines = list(islice(matching_lines(spool, chosen.name, stream, wanted), MOST_LINES + 1))
        more = f"The first {MOST_LINES} lines that match." if len(lines) > MOST_LINES else f"{len(lines)} lines match."
        st.caption(more)
        text = "\n".join(lines[:MOST_LINES])
    else:
        output = end_of_output(spool, chosen.name, stream)
        text = output.text
        if output.before:
            st.caption(
                f"The end; {format_size(output.before)} stand before it: {quoted(f'queuectl logs {found.run.id}')}."
            )
    if text:
        is_long = text.count("\n") >= _LONG
        follows = chosen.ended is None if is_long else None
        with st.container(height=_HEIGHT if is_long else "content", key="output", autoscroll=follows):
            st.code(text, language=None, wrap_lines=True)
    else:
        st.caption("No line matches." if wanted else f"Nothing on {stream}.")


def _attempts(found: OneRun) -> None:
    if not found.attempts:
        st.caption("No attempt has ended yet.")
        return
    columns = ("Attempt", "Started", "Took", "Outcome", "Stdout", "Stderr", "CPU", "Memory", "Runner")
    widgets.table(
        [
            {
                "Attempt": each.number,
                "Started": exact(each.started_at),
                "Took": duration(each.duration.total_seconds()),
                "Outcome": shortened(str(each.outcome)),
                "Stdout": _size(each.stdout_bytes),
                "Stderr": _size(each.stderr_bytes),
                "CPU": duration(each.cpu_seconds),
                "Memory": NONE if each.max_rss_bytes is None else _size(each.max_rss_bytes),
                "Runner": each.runner,
            }
            for each in reversed(found.attempts)
        ],
        dict.fromkeys(columns),
        key="attempts table",
        alt="The attempts that have ended, the latest first",
        rows_high=12,
    )


def _origin(found: OneRun) -> None:
    run, applied = found.run, found.applied
    facts = {
        "Id": quoted(run.id),
        "Job": quoted(run.job) if run.job else "none: it was queued by hand",
        "Came into the queue": exact(run.created_at),
        "Slot": exact(run.slot),
        "Due": "after the run before" if run.is_held else exact(run.run_at),
        "Finished": exact(run.finished_at),
        "Interruptions": str(run.interruptions),
    }
    if applied:
        dirty = " with changes that were not committed" if applied.is_dirty else ""
        facts |= {
            "Declared": f"by apply {applied.apply}, {exact(applied.at)}",
            "Who": quoted(applied.by),
            "Commit": f"{quoted(applied.commit[:12])}{dirty}" if applied.commit else NONE,
        }
    st.table(facts, border="horizontal", width="content")
    if found.before:
        st.page_link(
            widgets.page("Run"),
            label=f"The run before: {quoted(found.before.id)}",
            icon=":material/arrow_back:",
            query_params={"id": found.before.id},
        )


def _size(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def _offer(run_id: str) -> None:
    from queuectl.dashboard import acting

    run = widgets.look(lambda store, _: store.run(run_id))
    if run is not None:
        acting.offer(acting.run_acts(run), key="run")


def main() -> None:
    """Show the run that is asked for, and go on looking at it until it is over."""
    run_id = asked_for()
    widgets.title(f"Run {quoted(run_id)}")
    if shown().allows_actions:
        _offer(run_id)
    _, state = st.session_state.get("run state", (run_id, None))
    is_over = state is not None and state.is_final
    st.fragment(body, run_every=None if is_over else widgets.every(2), key="run")(run_id)


if __name__ == "__main__":  # as Streamlit runs a page
    main()
