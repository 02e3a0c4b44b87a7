"""Questions in SQL from the command line."""

import json

import pytest


def test_a_question_is_answered_in_a_table_and_in_json(queuectl):
    queuectl("enqueue", "--id", "x", "--tag", "t", "true")
    query = "SELECT id, state, finished_at FROM v_runs"

    assert queuectl("sql", query).stdout.splitlines()[1].split() == ["x", "pending", "-"]
    assert queuectl.json("sql", query) == [{"id": "x", "state": "pending", "finished_at": None}]


def test_a_queue_that_is_not_there_reads_as_empty_and_is_not_made(queuectl, tmp_path):
    assert queuectl.json("sql", "SELECT * FROM v_runs") == []
    assert not (tmp_path / "queue.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["DELETE FROM runs"], 64, "only reading is possible"),
        (["SELEC 1"], 64, "syntax error"),
        (["SELECT 1", "--timeout", "0"], 64, "`--timeout` must be more than 0"),
        (["SELECT 1 AS a, 2 AS a", "--json"], 64, "two columns are named `a`"),
        (["WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n", "--timeout", "0.1s"],
         124, "no answer within 0.1 s"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_an_error_in_one_sentence(queuectl, arguments, code, message):
    queuectl("enqueue", "true")

    assert message in queuectl("sql", *arguments, code=code).stderr


def test_hostile_values_are_shown_inert_and_bytes_as_sql_writes_them(queuectl):
    queuectl("enqueue", "--id", "x", "echo '\x1b[31m\u202e'")

    assert r"\x1b[31m\u202e" in queuectl("sql", "SELECT command FROM v_runs").stdout
    assert queuectl("sql", "SELECT x'00ff' AS b, 9e999 AS i, 1.5 AS f").stdout.splitlines()[1].split() == [
        "x'00ff'",
        "inf",
        "1.5",
    ]
    found = json.loads(queuectl("sql", "SELECT x'00ff' AS b, 9e999 AS i, 1.5 AS f", "--json").stdout)
    assert found == [{"b": "x'00ff'", "i": "inf", "f": 1.5}]
