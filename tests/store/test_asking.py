"""Questions in SQL: the views that stay, what they say, and that nothing can be changed by asking."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from queuectl.errors import NotInTime, UsageError
from queuectl.outcome import Exited
from queuectl.store.archive import Archive
from queuectl.views import attempt_record, run_record
from tests.support.factories import NOW, make_job
from tests.support.queue import claim, declare, enqueue, finish

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "sql.md"
VIEWS = ("v_runs", "v_attempts", "v_jobs", "v_dlq")
FOR_EVER = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def queue(store):
    """A dead run of a job, and a waiting one of nobody."""
    declare(
        store,
        make_job("backup", command=("df", "-h"), description="Disk", tags=("disk",), retries=0, schedule="@daily"),
    )
    enqueue(store, given_id="dead", command="exit 3", retries=0)
    finish(store, claim(store), Exited(3), now=NOW + timedelta(seconds=2))
    enqueue(store, given_id="waits", command="sleep 1")
    return store


def ask(store, sql, seconds=30.0):
    answer = store.ask(sql, seconds=seconds)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_and_the_view_have_the_same_columns_in_the_same_order(store, view):
    text = PAGE.read_text(encoding="utf-8")
    section = re.search(rf"^## {view}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]

    columns = store.ask(f"SELECT * FROM {view}", seconds=9).columns
    assert re.findall(r"^\| `(\w+)` ", section, re.MULTILINE) == list(columns)


def test_a_run_in_the_view_is_the_run_of_the_json_document(queue):
    run = queue.run("dead")
    [row] = ask(queue, "SELECT * FROM v_runs WHERE id = 'dead'")
    record = run_record(run)

    same = ("id", "command", "state", "attempts", "job", "manifest", "interruptions", "priority", "reason", "slot")
    assert {key: row[key] for key in same} == {key: record[key] for key in same}
    assert (row["max_attempts"], row["exit_code"], json.loads(row["tags"])) == (1, 3, [])
    for key in ("scheduled_at", "run_at", "created_at", "updated_at", "started_at", "finished_at"):
        assert row[key] == record[key].isoformat(timespec="milliseconds").replace("+00:00", "Z"), key


def test_what_a_spec_leaves_out_has_its_default(queue):
    [row] = ask(queue, "SELECT max_attempts, description, tags, finished_at FROM v_runs WHERE id = 'waits'")

    assert row == {"max_attempts": 4, "description": "", "tags": "[]", "finished_at": None}


def test_an_attempt_in_the_view_is_the_attempt_of_the_json_document(queue):
    run = queue.run("dead")
    [row] = ask(queue, "SELECT * FROM v_attempts WHERE run = 'dead'")
    record = attempt_record(queue.attempts(run)[0])

    same = ("outcome", "exit_code", "signal", "timeout", "detail", "seconds", "runner", "stdout_bytes", "stderr_bytes")
    assert {key: row[key] for key in same} == {key: record[key] for key in same}
    assert row["execution"] == run.execution_of(queue.attempts(run)[0])


def test_a_job_in_the_view_has_its_schedule_and_its_newest_run(queue):
    queue.trigger(queue.job("nightly/backup"), now=NOW)
    [row] = ask(queue, "SELECT * FROM v_jobs")

    assert (row["job"], row["schedule"], row["declared"], row["enabled"]) == ("nightly/backup", "@daily", 1, 1)
    assert (json.loads(row["command"]), json.loads(row["tags"])) == (["df", "-h"], ["disk"])
    assert (row["latest_run"], row["latest_state"]) == ("r3", "pending")


def test_the_dlq_in_the_view_is_that_of_the_verb(queue):
    [row] = ask(queue, "SELECT id, died_at, exit_code, reason FROM v_dlq")

    assert row == {"id": "dead", "died_at": "2026-12-01T02:00:02.000Z", "exit_code": 3, "reason": "exit code 3"}


def test_the_runs_in_a_state_are_found_by_its_index(queue):
    rows = queue._execute("EXPLAIN QUERY PLAN SELECT id FROM v_runs WHERE state = 'dead' ORDER BY number DESC LIMIT 9")

    assert any("runs_dead" in row[3] for row in rows)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "UPDATE runs SET state = 'completed', finished_at = 1",
        "INSERT INTO leases VALUES (1) RETURNING latest",
        "DROP VIEW v_runs",
        "CREATE TEMP TABLE t (x)",
        "ATTACH '{folder}/other.db' AS other",
        "DETACH main",
        "VACUUM INTO '{folder}/other.db'",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 99",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA writable_schema = ON",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "REINDEX",
        "ANALYZE",
        "SELECT load_extension('{folder}/evil.so')",
        "WITH gone AS (SELECT 1) DELETE FROM runs",
        "EXPLAIN DELETE FROM runs",
    ],
)
def test_nothing_but_reading_is_possible(queue, tmp_path, sql):
    before = queue.data_version(), queue.counts()

    with pytest.raises(UsageError):
        queue.ask(sql.format(folder=tmp_path), seconds=9)
    assert (queue.data_version(), queue.counts()) == before
    assert not list(tmp_path.glob("other*"))
    assert enqueue(queue).id  # and the store can write as before


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1; DELETE FROM runs", "only reading is possible"),
        ("SELECT 1; SELECT 2", "there is a second statement"),
        ("", "there is no question"),
        ("-- nothing", "there is no question"),
        ("SELEC 1", "syntax error"),
        ("SELECT nobody FROM v_runs", "no such column: nobody"),
        ("SELECT ?", "no parameters"),
        ("SELECT :id", "no parameters"),
        ("SELECT CAST(x'ff' AS TEXT)", "not UTF-8"),
        ("SELECT zeroblob(1e12)", "too big"),
        ("SELECT zeroblob(1e8)", "too big"),
        ("SELECT abs(-9223372036854775808)", "integer overflow"),
        ('SELECT * FROM "\x1b[31m"', r"\x1b[31m"),
        ("SELECT json('{')", "malformed JSON"),
    ],
)
def test_what_is_no_question_is_refused_in_a_sentence(queue, sql, message):
    with pytest.raises(UsageError) as caught:
        queue.ask(sql, seconds=9)
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_mistyped_view_is_answered_with_the_one_like_it(queue):
    with pytest.raises(UsageError) as caught:
        queue.ask("SELECT * FROM v_rnus", seconds=9)
    assert "did you mean `v_runs`" in caught.value.hint


def test_tables_may_be_described(queue):
    assert [row["name"] for row in ask(queue, "PRAGMA table_info(leases)")] == ["latest"]
    assert ask(queue, "SELECT name FROM pragma_table_info('leases')") == [{"name": "latest"}]


def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_answered(queue):
    with pytest.raises(NotInTime, match=r"no answer within 0\.05 s"):
        queue.ask(FOR_EVER, seconds=0.05)
    assert ask(queue, "SELECT 1 AS one") == [{"one": 1}]


def test_an_answer_without_rows_has_its_columns(queue):
    answer = queue.ask("SELECT id, state FROM v_runs WHERE 0", seconds=9)

    assert (answer.columns, answer.rows) == (("id", "state"), [])


def test_a_queue_that_is_opened_for_reading_only_answers_too(queue):
    with Archive(queue.path, read_only=True) as store:
        assert len(ask(store, "SELECT id FROM v_runs")) == 2
