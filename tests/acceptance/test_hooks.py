"""Hooks: what is done outside about the end of an attempt, and never to it."""

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from queuectl import clock
from queuectl.hook import Hook
from queuectl.outcome import Exited
from queuectl.store import Store
from tests.acceptance.conftest import COMMAND
from tests.support.queue import claim, enqueue, finish
from tests.support.waiting import eventually


class Endpoint:
    """A web server on loopback that answers as it is told, and keeps what it got."""

    def __init__(self):
        self.got = []
        self.answers = []  # the next ones; then 204
        self.release = threading.Event()
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.got.append((self.path, dict(self.headers), body))
                answer = endpoint.answers.pop(0) if endpoint.answers else 204
                if answer == "hang":
                    endpoint.release.wait(60)
                    return
                if answer == "drip":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not endpoint.release.wait(0.1):
                        self.wfile.write(b"X: y\r\n")
                    return
                self.send_response(answer)
                if 300 <= answer < 400:
                    self.send_header("Location", f"{endpoint.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def endpoint():
    server = Endpoint()
    yield server
    server.close()


def job(queuectl, keys, command="exit 3", name="bad"):
    queuectl.manifest(f"[jobs.{name}]\ncommand = {json.dumps(command)}\nretries = 0\n{keys}\n")
    queuectl("apply", "nightly.toml")


def hooks(queuectl, run="r1"):
    return queuectl.json("show", run)["hooks"]


def fates(queuectl, run="r1"):
    return [(each["hook"], each["tries"], each["fate"], each["detail"]) for each in hooks(queuectl, run)]


def test_a_command_has_the_facts_in_its_environment_and_its_output_is_kept(queuectl):
    job(queuectl, """on_dead = 'echo "$QUEUECTL_JOB $QUEUECTL_STATE $QUEUECTL_REASON $A"; pwd'\nenv = { A = "b" }""")
    queuectl("run", "--drain", code=1)

    [found] = hooks(queuectl)
    assert (found["hook"], found["fate"], found["detail"]) == ("on_dead", "delivered", "exit code 0")
    assert found["output"] == f"bad dead exit code 3 b\n{queuectl.folder}\n"


def test_a_queuectl_that_a_hook_calls_uses_the_same_queue(queuectl):
    job(queuectl, "on_dead = 'queuectl show \"$QUEUECTL_RUN_ID\" --json'")
    queuectl("run", "--drain", code=1)

    assert json.loads(hooks(queuectl)[0]["output"])["state"] == "dead"


def test_show_tells_what_became_of_the_hooks(queuectl):
    job(queuectl, "on_dead = { command = 'exit 9', retries = 1 }")
    queuectl("run", "--drain", code=1)

    line = queuectl("show", "r1").stdout.splitlines()[-1].split()
    assert (line[0], line[2:4], line[4:]) == ("on_dead", ["2", "failed"], ["exit", "code", "9"])


def test_a_hook_that_fails_changes_nothing_of_the_run(queuectl):
    job(queuectl, "on_success = 'exit 1'", command="true", name="good")
    queuectl("run", "--drain")

    assert queuectl.states() == [("nightly/good", "completed")]
    assert fates(queuectl) == [("on_success", 1, "failed", "exit code 1")]


@pytest.mark.parametrize(
    ("keys", "detail"),
    [
        ("on_dead = ['/no/such/program']", "did not start: /no/such/program: No such file or directory"),
        ("on_dead = { command = 'sleep 60', timeout = '300ms' }", "timed out after 0.3 s"),
        ("on_dead = { command = 'trap \"\" TERM; sleep 60', timeout = '300ms' }", "timed out after 0.3 s"),
        ("on_dead = 'kill -9 $$'", "signal 9"),
        (
            "on_dead = { url = 'http://127.0.0.1:1/$NOT_SET', retries = 0 }",
            "did not start: `$NOT_SET` of its address is",
        ),
        ("on_dead = { url = 'http://127.0.0.1:1/token', retries = 0 }", "http://127.0.0.1:1/…: Connection refused"),
    ],
)
def test_how_a_hook_failed_is_recorded(queuectl, keys, detail):
    job(queuectl, keys)
    queuectl("run", "--drain", code=1)

    [(_, tries, fate, found)] = fates(queuectl)
    assert (tries, fate, found[: len(detail)]) == (1, "failed", detail)


def test_what_a_hook_leaves_behind_is_ended_with_it(queuectl):
    job(queuectl, "on_dead = 'sleep 300 & echo $!'")
    queuectl("run", "--drain", code=1)

    pid = int(hooks(queuectl)[0]["output"])
    eventually(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split())


def test_a_hook_that_writes_without_end_is_kept_in_bounds(queuectl):
    job(queuectl, "on_dead = { command = 'yes', timeout = '500ms' }")
    queuectl("run", "--drain", code=1)

    assert len(hooks(queuectl)[0]["output"]) == 4096


def test_an_address_gets_the_facts_once(queuectl, endpoint):
    job(queuectl, f"on_dead = {{ url = '{endpoint.url}/services/$TOKEN' }}\nenv = {{ TOKEN = 'hush' }}")
    queuectl("run", "--drain", code=1)

    [(path, headers, body)] = endpoint.got
    assert path == "/services/hush"
    assert headers["Content-Type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", headers["Idempotency-Key"])
    assert (headers["X-Queuectl-Hook"], headers["X-Queuectl-Try"]) == ("on_dead", "1")
    assert headers["User-Agent"].startswith("queuectl/")
    assert (body["job"], body["state"], body["exit_code"], body["run"]) == ("nightly/bad", "dead", 3, "r1")
    assert fates(queuectl) == [("on_dead", 1, "delivered", "HTTP 204")]


def test_what_is_meant_for_the_job_does_not_keep_an_address_from_being_called(queuectl, endpoint):
    job(queuectl, f"on_dead = {{ url = '{endpoint.url}/$PYTHONHOME' }}\nenv = {{ PYTHONHOME = 'nowhere' }}")
    queuectl("run", "--drain", code=1)

    assert [path for path, *_ in endpoint.got] == ["/nowhere"]


def test_two_queues_that_call_one_address_have_different_keys(queuectl, endpoint):
    for name in ("one.db", "two.db"):
        queue = str(queuectl.folder / name)
        run = json.dumps({"command": "true", "on_success": {"url": endpoint.url}})
        queuectl("enqueue", "--db", queue, run)
        queuectl("run", "--drain", "--db", queue)

    assert len({headers["Idempotency-Key"] for _, headers, _ in endpoint.got}) == 2


def test_no_secret_of_an_address_is_shown(queuectl, endpoint):
    endpoint.answers = [500, 302]
    job(queuectl, f"on_dead = {{ url = '{endpoint.url}/hush-hush', retries = 1 }}")
    told = queuectl("run", "--drain", code=1)
    shown = queuectl("show", "r1").stdout + queuectl("plan", "nightly.toml").stdout
    queuectl.manifest(f"[jobs.bad]\ncommand = 'true'\non_dead = {{ url = '{endpoint.url}/hush-too' }}\n")
    shown += queuectl("plan", "nightly.toml").stdout + queuectl("apply", "nightly.toml").stdout
    shown += json.dumps(queuectl.json("applies")) + json.dumps(hooks(queuectl))

    assert "on_dead: 'POST http://127.0.0.1:" in shown
    assert "hush" not in told.stdout + told.stderr + shown


def test_a_redirect_is_a_failure_and_not_followed(queuectl, endpoint):
    endpoint.answers = [307]
    job(queuectl, f"on_dead = {{ url = '{endpoint.url}/a', retries = 0 }}")
    queuectl("run", "--drain", code=1)

    assert [path for path, *_ in endpoint.got] == ["/a"]
    assert fates(queuectl)[0][3].startswith("HTTP 307 to another address: redirects are not followed")


def test_an_address_that_failed_is_tried_again_with_the_same_key(queuectl, endpoint):
    endpoint.answers = [503]
    job(queuectl, f"on_dead = {{ url = '{endpoint.url}/a', retries = 1 }}")
    queuectl("run", "--drain", code=1)

    keys = [(headers["Idempotency-Key"], headers["X-Queuectl-Try"]) for _, headers, _ in endpoint.got]
    assert [each for _, each in keys] == ["1", "2"]
    assert keys[0][0] == keys[1][0]
    assert fates(queuectl) == [("on_dead", 2, "delivered", "HTTP 204")]


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_an_address_that_hangs_or_drips_is_ended_at_its_time_out(queuectl, endpoint, answer):
    endpoint.answers = [answer]
    job(queuectl, f"on_dead = {{ url = '{endpoint.url}/a', timeout = '1s', retries = 0 }}")
    queuectl("run", "--drain", code=1)

    [(_, tries, fate, detail)] = fates(queuectl)
    assert (tries, fate) == (1, "failed")
    assert "timed out" in detail


def test_hooks_that_hang_hold_no_run_up(queuectl):
    """However many of them hang, every run is claimed and settled; the rest waits for a courier with a free hand."""
    queuectl.manifest(
        "".join(
            f"[jobs.job-{number}]\ncommand = 'true'\non_success = {{ command = 'sleep 600', timeout = '10m' }}\n"
            for number in range(300)
        )
    )
    queuectl("apply", "nightly.toml")
    runner = queuectl.start("run")

    eventually(lambda: queuectl.json("status")["runs"]["completed"] == 300)
    assert [each["fate"] for each in hooks(queuectl, "r300")] == [None]

    began = time.monotonic()
    runner.terminate()
    assert runner.wait(60) == 0
    assert time.monotonic() - began < 30  # the bound is 4.5 s; this machine may be slow


def test_a_second_signal_does_not_wait_for_hooks(queuectl):
    job(queuectl, "on_dead = { command = 'echo $$ > pid; sleep 600', timeout = '10m' }")
    runner = queuectl.start("run")
    pid = int(eventually(lambda: (queuectl.folder / "pid").exists() and (queuectl.folder / "pid").read_text()))
    runner.terminate()
    runner.terminate()
    eventually(lambda: runner.poll() is not None or runner.terminate())
    eventually(lambda: not Path(f"/proc/{pid}").exists())

    assert fates(queuectl) == [("on_dead", 0, None, "cut short: the runner ended")]


def test_what_a_runner_did_not_deliver_the_next_one_does(queuectl, endpoint):
    """It died after it had settled and before anybody knew of the hook."""
    with Store(Path(queuectl.environ["QUEUECTL_DB"])) as store:
        enqueue(store, retries=0, on_dead=Hook(url=f"{endpoint.url}/a"))
        finish(store, claim(store), Exited(1), now=clock.now())
    assert fates(queuectl) == [("on_dead", 0, None, None)]

    queuectl("run", "--drain")

    assert [body["run"] for _, _, body in endpoint.got] == ["r1"]
    assert fates(queuectl) == [("on_dead", 1, "delivered", "HTTP 204")]


def test_a_runner_that_is_killed_takes_its_courier_and_the_hook_along_and_the_next_delivers(queuectl):
    job(queuectl, "on_dead = { command = 'echo $$ >> pids; [ -e go ] || sleep 600', timeout = '10m' }")
    runner = queuectl.start("run")
    pids = queuectl.folder / "pids"
    eventually(lambda: pids.exists() and pids.read_text())
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    eventually(lambda: not Path(f"/proc/{int(pids.read_text().split()[0])}").exists())
    (queuectl.folder / "go").touch()

    queuectl.start("run")
    eventually(lambda: hooks(queuectl)[0]["fate"] == "delivered")
    assert len(pids.read_text().split()) == 2


def test_a_courier_that_is_killed_is_replaced_and_the_hook_delivered_again(queuectl):
    job(
        queuectl, "on_dead = { command = 'echo x >> tries; [ $(wc -l < tries) = 2 ] || kill -9 $PPID', timeout = '1s' }"
    )
    with subprocess.Popen(
        [COMMAND, "run"], cwd=queuectl.folder, env=queuectl.environ, stdout=subprocess.DEVNULL
    ) as runner:
        eventually(lambda: hooks(queuectl) and hooks(queuectl)[0]["fate"] == "delivered", within=90)
        runner.terminate()

    assert fates(queuectl) == [("on_dead", 2, "delivered", "exit code 0")]


def test_a_hook_of_an_ad_hoc_run(queuectl):
    queuectl("enqueue", '{"command": "true", "on_success": ["echo", "well done"]}')
    queuectl("run", "--drain")

    assert hooks(queuectl)[0]["output"] == "well done\n"


def test_mistakes_in_hooks_are_told_with_their_place(queuectl):
    queuectl.manifest(
        '[defaults]\non_success = 3\n[jobs.a]\ncommand = "true"\non_dead = { ulr = "https://a.example" }\n'
    )

    told = queuectl("validate", "nightly.toml", code=65).stderr.splitlines()
    wrong_kind = "`on_success` must be a command or a table, not a whole number: 3"
    assert told[1].startswith(f"  nightly.toml:4:14  `[defaults]`: {wrong_kind} (for example")
    assert told[2] == "  nightly.toml:7:11  job `a`: `on_dead` has an unknown key `ulr` (did you mean `url`?)"


def test_plan_shows_hooks_that_changed(queuectl):
    job(queuectl, "on_dead = 'mail ada'")
    queuectl.manifest("[jobs.bad]\ncommand = 'exit 3'\nretries = 0\non_dead = ['mail', 'bob']\n")

    assert (
        "      on_dead: 'mail ada (timeout 30 s, retries 0)' → 'mail bob (timeout 30 s, retries 0)'  nightly.toml:6:11"
        in queuectl("plan", "nightly.toml").stdout.splitlines()
    )


def test_a_runner_that_cannot_start_a_courier_goes_on_and_says_so(queuectl, tmp_path):
    """It ended with its attempts under way, once the Python that it was started with had been replaced."""
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    with (tmp_path / "errors").open("w") as errors:
        runner = subprocess.Popen(
            [python, "-m", "queuectl", "run"],
            cwd=queuectl.folder,
            env={**queuectl.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    queuectl.started.append(runner)
    eventually(lambda: queuectl.json("status")["runners"])
    python.unlink()

    job(queuectl, 'on_success = "true"', command="true", name="good")

    eventually(lambda: "no hook can be delivered" in (tmp_path / "errors").read_text())
    assert runner.poll() is None
