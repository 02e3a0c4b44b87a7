import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.waiting import eventually


def test_an_ad_hoc_run_goes_all_the_way(queuectl):
    run_id = queuectl("enqueue", "--", "echo", "hello", "world").stdout.strip()

    line = queuectl("run", "--drain").stdout
    run = queuectl.json("show", run_id)

    assert re.fullmatch(rf"\S+Z  completed  {run_id}  echo hello world  attempt 1/4  \S+\n", line)
    assert (run["state"], run["attempts"], run["max_retries"], run["command"]) == (
        "completed",
        1,
        3,
        ["echo", "hello", "world"],
    )
    assert queuectl("logs", run_id).stdout == "hello world\n"


def test_enqueue_prints_the_id_only(queuectl):
    assert queuectl("enqueue", "true").stdout == "r1\n"
    assert queuectl("enqueue", "--id", "mine", "true").stdout == "mine\n"


def test_options_after_the_program_are_the_program_s(queuectl):
    run_id = queuectl("enqueue", "ls", "-l", "--retries", "9").stdout.strip()

    assert queuectl.json("show", run_id)["command"] == ["ls", "-l", "--retries", "9"]


def test_every_option_of_enqueue_reaches_the_run(queuectl, tmp_path):
    queuectl(
        *("enqueue", "--id", "job1", "--priority", "7", "--timeout", "1m", "--retries", "0", "--tag", "a"),
        *("--env", "GREETING=hi there", "--cwd", str(tmp_path), "echo $GREETING from $PWD"),
    )
    queuectl("run", "--drain")

    run = queuectl.json("show", "job1")
    assert (run["priority"], run["max_retries"], run["tags"], run["spec"]["timeout"]) == (7, 0, ["a"], 60.0)
    assert queuectl("logs", "job1").stdout == f"hi there from {tmp_path}\n"


def test_a_json_object_is_a_run(queuectl):
    queuectl("enqueue", '{"id":"job1","command":"sleep 0","max_retries":5}')

    run = queuectl.json("show", "job1")
    assert (run["command"], run["max_retries"], run["state"]) == ("sleep 0", 5, "pending")


def test_lines_of_standard_input_are_runs_in_one_transaction(queuectl):
    lines = "\n".join(["true", "", 'echo "a b"', json.dumps({"id": "x", "command": ["true"]})])

    assert queuectl("enqueue", "-", input=lines).stdout == "r1\nr2\nx\n"


def test_one_bad_line_of_standard_input_queues_nothing(queuectl):
    found = queuectl("enqueue", "-", input='true\n{"comand": "x"}\n', code=64)

    assert "line 2" in found.stderr
    assert "nothing was queued" in found.stderr
    assert queuectl.json("list") == []


def test_every_printed_id_is_that_of_its_line(queuectl):
    expected = {}
    for number in range(1, 251):
        if number % 3 == 0:
            expected[f"mine-{number}"] = ["echo", str(number)]
        else:
            expected[f"r{number}"] = f"echo {number}"
    lines = [
        command if isinstance(command, str) else json.dumps({"id": run_id, "command": command})
        for run_id, command in expected.items()
    ]

    ids = queuectl("enqueue", "-", input="\n".join(lines)).stdout.split()

    assert ids == list(expected)
    assert {run["id"]: run["command"] for run in queuectl.json("list")} == expected


def test_two_that_enqueue_many_at_once_are_told_the_ids_of_their_own_runs(queuectl):
    def lines(who: str) -> str:
        return "".join(f"echo {who} {number}\n" for number in range(1000))

    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda who: queuectl("enqueue", "-", input=lines(who)).stdout.split(), "ab"))

    commands = {run["id"]: run["command"] for run in queuectl.json("list")}
    assert len(commands) == 2000
    for who, ids in zip("ab", found, strict=True):
        assert "".join(f"{commands[each]}\n" for each in ids) == lines(who)


def test_a_bad_line_late_in_a_batch_is_named_and_queues_nothing(queuectl):
    found = queuectl("enqueue", "-", input="true\n" * 300 + "\n" + '{"command": "", "prio": 1}\n', code=64)

    assert found.stderr.splitlines()[:3] == [
        "error: line 302: the run has 2 problems",
        "  `command` must not be empty",
        "  unknown key `prio`; nothing was queued",
    ]
    assert queuectl.json("list") == []


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"a\0b\n", b'{"command": "\\ud800"}\n', b'{"command": 1}\n', b"{\n"])
def test_hostile_standard_input_is_refused_with_its_line(queuectl, line):
    assert "line 1" in queuectl("enqueue", "-", input=line, code=64).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeout", "0", "true"], "`--timeout` must be more than 0"),
        (["--timeout", "soon", "true"], "`--timeout` must be a duration"),
        (["--env", "A", "true"], "`--env` must be NAME=VALUE"),
        (["--env", "QUEUECTL_X=1", "true"], "QUEUECTL_"),
        (["--run-at", "2026-12-01T02:00:00", "true"], "`--run-at` must have an offset"),
        (["--run-at", "2026-12-01T02:00:00Z", "--in", "1m", "true"], "say the same in two ways"),
        (["--id", "r5", "true"], "`--id` must not be `r` and a number"),
        (["--id", "a/b", "true"], "`--id` must be"),
        (["--id", "x", "-"], "`--id` is for a single run"),
        (["--priority", "x", "true"], "--priority"),
        ([""], "must not be empty"),
        ([], "missing argument"),
        (["--nope", "true"], "no such option"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(queuectl, arguments, message):
    found = queuectl("enqueue", *arguments, input="", code=64)

    assert message in found.stderr
    assert found.stderr.startswith("error: ")
    assert queuectl.json("list") == []


def test_an_id_is_unique(queuectl):
    queuectl("enqueue", "--id", "x", "true")

    assert "there is a run `x` already" in queuectl("enqueue", "--id", "x", "true", code=1).stderr


def test_a_run_with_a_time_to_come_waits_for_it(queuectl):
    queuectl("enqueue", "--in", "1h", "true")

    queuectl("run", "--drain")

    assert [run["state"] for run in queuectl.json("list")] == ["pending"]


def test_a_failing_run_is_retried_with_backoff_and_then_dead(queuectl):
    queuectl("enqueue", '{"id": "x", "command": "exit 3", "retries": 2, "retry_delay": 0.05}')

    out = queuectl("run", "--drain", code=1).stdout
    run = queuectl.json("show", "x")

    assert [line.split("  ")[1].strip() for line in out.splitlines()] == ["failed", "failed", "dead"]
    assert "next attempt in 100ms" in out
    assert (run["state"], run["attempts"], run["reason"]) == ("dead", 3, "exit code 3")
    assert [attempt["exit_code"] for attempt in run["attempts_made"]] == [3, 3, 3]


def test_larger_priorities_run_first(queuectl):
    for priority in ("1", "9", "5"):
        queuectl("enqueue", "--id", f"p{priority}", "--priority", priority, "true")

    out = queuectl("run", "--drain", "--workers", "1").stdout

    assert re.findall(r"  (p\d)  ", out) == ["p9", "p5", "p1"]


def test_once_does_not_wait_for_retries(queuectl):
    queuectl("enqueue", "--retries", "3", "exit 1")

    queuectl("run", "--once")

    assert [run["state"] for run in queuectl.json("list")] == ["failed"]


def test_a_runner_that_waits_is_woken_by_an_enqueue(queuectl):
    runner = queuectl.start("run")
    eventually(lambda: queuectl.json("status")["runners"])
    queuectl("enqueue", "--id", "x", "true")

    eventually(lambda: queuectl.json("show", "x")["state"] == "completed")

    runner.terminate()
    assert runner.wait(30) == 0


def test_two_runners_share_a_queue_and_every_run_is_executed_once(queuectl, tmp_path):
    witness = tmp_path / "witness"
    queuectl("enqueue", "-", input="".join(f"echo {number} >> {witness}\n" for number in range(200)))

    runners = [queuectl.start("run", "--drain", "--workers", "2") for _ in range(2)]

    assert [runner.wait(60) for runner in runners] == [0, 0]
    assert sorted(map(int, witness.read_text().split())) == list(range(200))


def test_jobs_that_enqueue_reach_the_same_queue(queuectl):
    queuectl("enqueue", "queuectl enqueue --id child true")

    queuectl("run", "--drain")

    assert queuectl.json("show", "child")["state"] == "completed"


def test_nothing_is_left_beside_the_database_but_outputs(queuectl, tmp_path):
    queuectl("enqueue", "echo out")
    queuectl("run", "--drain")

    [attempt] = queuectl.json("show", "r1")["attempts_made"]  # a busy machine may give the run back before it begins
    [file] = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("queue.db*/**/*") if path.is_file()]
    assert re.fullmatch(r"queue\.db\.d/output/0/1\.\d+\.stdout", file)
    assert attempt["outcome"] == "exited"
