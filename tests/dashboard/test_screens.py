"""The pages as Streamlit runs them, without a browser: what they show, and what they say when there is no queue."""

from datetime import timedelta

import apsw
import pytest
from streamlit.testing.v1 import AppTest

from queuectl.dashboard.launch import SHELL
from queuectl.job import NewRun, State
from queuectl.outcome import Exited
from queuectl.output import Sink
from queuectl.spool import Spool
from queuectl.store.archive import Archive
from tests.support.factories import NOW, make_job, make_spec
from tests.support.queue import AUTHOR, claim, declare, enqueue, finish

PAGES = ["overview", "runs", "jobs", "schedule", "dlq", "applies"]


def open_page(name="overview", **query):
    """Return a page as it is shown at first."""
    app = AppTest.from_file(SHELL, default_timeout=60).run()
    if name != "overview":
        app.switch_page(f"screens/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
    assert [each.value for each in app.exception] == []
    return app


def texts(app):
    """Return everything that a page says in sentences."""
    kinds = (app.error, app.warning, app.info, app.success, app.markdown, app.caption, app.title, app.code)
    return "\n".join(str(each.value) for kind in kinds for each in kind)


def tables(app):
    """Return the tables of a page, each as a list of rows."""
    return [each.value.to_dict("records") for each in app.dataframe]


def dead(store, **spec):
    """Put a run into the dead letter queue."""
    enqueue(store, retries=0, **spec)
    return finish(store, claim(store), Exited(3))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_that_there_is_no_queue_and_makes_none(path, page):
    assert "there is no queue at" in texts(open_page(page)).replace("\\", "")
    assert list(path.parent.glob("queue.db*")) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_that_the_queue_was_written_by_a_newer_queuectl(store, page):
    store._execute("PRAGMA user_version = 99")

    assert "it was written by a newer queuectl" in texts(open_page(page)).replace("\\", "")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_that_another_program_holds_the_queue(store, path, page):
    store.close()
    holder = apsw.Connection(str(path))
    holder.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE leases SET latest = latest").fetchall()

    try:
        assert "another program holds it" in texts(open_page(page)).replace("\\", "")
    finally:
        holder.close()


def test_an_empty_queue_is_told_with_how_to_fill_it(store):
    assert "queuectl enqueue" in texts(open_page())


def test_a_file_that_is_no_queue_is_told(path):
    path.write_text("precious notes " * 100)

    assert "is not a SQLite database" in texts(open_page())


def test_the_overview_says_that_all_is_well(store):
    enqueue(store, run_at=NOW + timedelta(hours=1))

    assert "All is well" in texts(open_page())


def test_the_overview_names_the_dead(store):
    died = dead(store, command="false")

    app = open_page()

    assert "1 run is dead" in texts(app)
    assert [row["Run"] for row in tables(app)[0]] == [died.id]


def test_the_overview_says_that_nobody_works_on_what_is_due(store, time):
    enqueue(store)
    time.advance(seconds=90)

    assert "No runner is alive" in texts(open_page())


def test_a_search_is_kept_in_the_address(store):
    died = dead(store, command="false")
    enqueue(store)

    app = open_page("runs", state="dead")

    assert [row["Run"] for row in tables(app)[0]] == [died.id]
    assert "**1 run**" in texts(app)


def test_runs_are_found_by_a_part_of_their_command(store):
    enqueue(store, command="rsync -a SRV/ backup/")
    enqueue(store, command="true")

    assert [row["Job or command"] for row in tables(open_page("runs", text="srv/"))[0]] == ["rsync -a SRV/ backup/"]


def test_a_search_for_a_job_that_is_gone_finds_nothing(store):
    enqueue(store)

    assert tables(open_page("runs", job="no/such")) != []  # Streamlit drops what is not among the choices


def test_older_runs_are_a_page_away_and_newer_ones_back(store):
    store.enqueue([NewRun(spec=make_spec(), run_at=NOW)] * 60, now=NOW)
    app = open_page("runs")
    newest = tables(app)[0][0]["Run"]

    app.button(key="older").click().run()
    older = [row["Run"] for row in tables(app)[0]]
    app.button(key="newer").click().run()

    assert (newest, older[0], len(older), tables(app)[0][0]["Run"]) == ("r60", "r10", 10, "r60")


def test_a_run_shows_its_attempts_and_where_its_job_comes_from(store):
    declare(store, make_job("report", retries=0))
    run = finish(store, claim(store), Exited(3))

    app = open_page("run", id=run.id)
    said = texts(app)

    assert "exit code 3" in said
    assert [str(metric.value) for metric in app.metric if metric.label == "Attempts"] == ["1 / 1"]
    assert "c0ffee" in str(open_page("run", id=run.id, tab="Origin").table[0].value)
    assert tables(open_page("run", id=run.id, tab="Attempts"))[0][0]["Outcome"] == "exit code 3"


def test_an_id_that_no_run_has_is_told(store):
    enqueue(store)

    assert "no run" in texts(open_page("run", id="r99"))
    assert "no run" in texts(open_page("run", id="'; DROP TABLE runs; <b>"))
    assert store.counts()[State.PENDING] == 1


def test_the_environment_of_a_run_is_named_without_its_values(store):
    run = enqueue(store, env={"API_KEY": "hunter2"})

    said = texts(open_page("run", id=run.id, tab="Spec"))

    assert "API_KEY" in said
    assert "hunter2" not in said


def test_looking_writes_nothing(store, path):
    run = dead(store, command="false")
    before = (path.read_bytes(), store._execute("PRAGMA data_version"))

    for page in PAGES:
        open_page(page)
    open_page("run", id=run.id)

    assert (path.read_bytes(), store._execute("PRAGMA data_version")) == before


def test_the_jobs_show_how_each_has_fared(store, time):
    declare(store, make_job("backup", schedule="@every 1h"), make_job("report", retries=0))
    finish(store, claim(store), Exited(3))
    time.advance(seconds=30)

    [rows] = tables(open_page("jobs"))

    assert [(row["Job"], row["Lately"]) for row in rows] == [("nightly/report", "✕"), ("nightly/backup", "-")]
    assert rows[0]["Success"] == 0
    assert rows[1]["Next slot"] == "in 59m 30s"


def test_a_job_tells_why_it_did_or_did_not_run(store):
    declare(store, make_job("report", retries=0))
    finish(store, claim(store), Exited(3))

    app = open_page("jobs", job="nightly/report")

    assert "exit code 3" in texts(app).replace("\\", "")
    assert "no job" in texts(open_page("jobs", job="nightly/repot"))


def test_a_paused_job_is_shown_as_paused(store):
    declare(store, make_job("backup", schedule="@every 1h"), make_job("other", schedule="@every 2h"))
    store.pause("nightly/backup", until=None, reason="<b>holiday</b>", author=AUTHOR, now=NOW)

    standing = {row["Job"]: row["Standing"] for row in tables(open_page("jobs"))[0]}

    assert standing == {"nightly/backup": "paused", "nightly/other": ""}
    assert "`<b>holiday</b>`" in texts(open_page("schedule"))
    assert "`<b>holiday</b>`" in texts(open_page())


def test_the_schedule_names_the_minute_in_which_most_begin(store):
    declare(
        store,
        make_job("a", schedule="0 6 * * *"),
        make_job("b", schedule="0 6 * * *"),
        make_job("c", schedule="0 7 * * *"),
    )

    app = open_page("schedule")

    assert "**Worst minute:** 06:00 UTC, 2 runs begin: `nightly/a`, `nightly/b`." in texts(app)
    assert [(row["Job"], row["In 24 h"]) for row in tables(app)[0]] == [
        ("nightly/a", 1),
        ("nightly/b", 1),
        ("nightly/c", 1),
    ]


def test_the_dead_are_grouped_by_job_and_reason(store):
    for command in ("false", "false", "true"):
        dead(store, command=command)
    declare(store, make_job("report", retries=0))
    finish(store, claim(store), Exited(7))

    said = texts(open_page("dlq"))

    assert "**4 dead runs** of 2 kinds" in said
    assert "`nightly/report` `exit code 7`" in said
    assert "`queued by hand` `exit code 3`" in said


def test_an_apply_shows_who_changed_what_from_which_commit(store):
    declare(store, make_job("report", command="old"))
    declare(store, make_job("report", command="new <img>"))

    [rows] = tables(open_page("applies"))
    app = open_page("applies", number="2")

    assert [(row["By"], row["Commit"], row["Created"], row["Changed"]) for row in rows] == [
        ("ada@atlas", "c0ffee", 0, 1),
        ("ada@atlas", "c0ffee", 1, 0),
    ]
    assert app.code[0].value == "~ nightly/report\n-     command = 'old'\n+     command = 'new <img>'"
    assert "There is no apply" in texts(open_page("applies", number="<b>9"))


HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ :red[red] :smile: `tick` \x1b[31m\u202e"


def test_hostile_text_stays_text(store):
    run = dead(store, command=HOSTILE)

    for app in (open_page(), open_page("runs"), open_page("run", id=run.id), open_page("run", id=run.id, tab="Spec")):
        said = texts(app) + str(tables(app))
        assert "\x1b" not in said
        assert "\u202e" not in said
        # Markdown shows what is in a code span as it is; these commands are nowhere outside of one.
        for text in (*app.markdown, *app.error, *app.title):
            assert "<img" not in outside_code(text.value)
    with Archive(run_path(store), read_only=True) as reader:
        assert reader.run(run.id) == run


def outside_code(markdown):
    """Return what of a Markdown text is not in a code span."""
    import re

    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown)


def run_path(store):
    """Return where a store is."""
    return store.path


@pytest.mark.parametrize("lines", [1, 500])
def test_output_is_shown_as_it_is_however_long(store, lines):
    enqueue(store)
    run = claim(store)
    Spool(str(store.path)).prepare()
    sink = Sink(Spool(str(store.path)).output(run.execution, "stdout"), 1 << 20)
    sink.write(b"<b>saved</b>\n" * lines)
    sink.close()

    assert open_page("run", id=run.id).code[0].value == "\n".join(["<b>saved</b>"] * lines)
