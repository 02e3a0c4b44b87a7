"""`queuectl metrics`, and what a runner tells those who scrape it."""

import json
import re
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from queuectl import clock
from queuectl.errors import DatabaseBusy
from queuectl.exposition import registry_of
from queuectl.store import Store
from tests.acceptance.conftest import COMMAND
from tests.support.waiting import eventually

GRAFANA = Path(__file__).parent.parent.parent / "docs" / "grafana" / "queuectl.json"
JOBS = """
[jobs.good]
command = "true"

[jobs.bad]
command = "exit 3"
retries = 0
"""


@pytest.fixture
def busy(queuectl):
    """A queue in which two jobs and an ad-hoc run have ended."""
    queuectl.manifest(JOBS)
    queuectl("apply", "nightly.toml")
    queuectl("enqueue", "true")
    queuectl("run", "--drain", code=1)
    return queuectl


def scraped(queuectl):
    families = list(text_string_to_metric_families(queuectl("metrics", "--prometheus").stdout))
    return {family.name: family for family in families}


def values(family):
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_each_job_has_a_line_and_what_belongs_to_none_the_last(busy):
    lines = busy("metrics").stdout.splitlines()

    assert [line.split()[:4] for line in lines] == [
        ["JOB", "COMPLETED", "FAILED", "DEAD"],
        ["nightly/bad", "0", "0", "1"],
        ["nightly/good", "1", "0", "0"],
        ["(ad-hoc)", "1", "0", "0"],
    ]


def test_a_purge_takes_nothing_from_the_numbers(busy):
    before = busy.json("metrics")["jobs"]
    busy("dlq", "purge", "--all", "--yes")

    assert busy.json("metrics")["jobs"] == before


def test_only_what_is_recent_is_shown_on_request(busy):
    assert len(busy.json("metrics", "--since", "1h")["jobs"]) == 3


def test_the_json_has_times_and_percentiles(busy):
    document = busy.json("metrics")

    assert document["status"]["runs"]["dead"] == 1
    bad, good, adhoc = document["jobs"]
    assert (bad["job"], bad["attempts"], bad["ended_without_attempt"]) == ("nightly/bad", {"dead": 1}, {})
    assert 0 <= good["seconds_p50"] <= good["seconds_p95"]
    assert adhoc["job"] is None
    assert adhoc["waited_seconds"] > 0


def test_a_queue_that_does_not_exist_has_no_numbers_and_is_not_made(queuectl):
    assert queuectl.json("metrics")["jobs"] == []
    assert scraped(queuectl)["queuectl_runs_enqueued"].samples[0].value == 0
    assert not Path(queuectl.environ["QUEUECTL_DB"]).exists()


def test_prometheus_reads_the_same_numbers(busy):
    found = scraped(busy)

    assert values(found["queuectl_runs"])[("dead",)] == 1
    assert values(found["queuectl_dlq_runs"]) == {(): 1}
    assert values(found["queuectl_attempts"])[("exited",)] == 3
    assert values(found["queuectl_runs_ended"])[("completed",)] == 2
    assert values(found["queuectl_job_attempts"]) == {
        ("ad-hoc", "completed"): 1,
        ("nightly/bad", "dead"): 1,
        ("nightly/good", "completed"): 1,
    }
    assert list(values(found["queuectl_job_last_success_timestamp_seconds"])) == [("nightly/good",)]
    buckets = [sample for sample in found["queuectl_attempt_wait_seconds"].samples if sample.name.endswith("_bucket")]
    assert [sample.value for sample in buckets] == sorted(sample.value for sample in buckets)
    assert buckets[-1].labels == {"le": "+Inf"}
    assert buckets[-1].value == 3


def test_a_job_that_was_removed_is_no_label_any_more(busy):
    busy.manifest('[jobs.good]\ncommand = "true"\n')
    busy("apply", "nightly.toml")

    assert {labels[0] for labels in values(scraped(busy)["queuectl_job_attempts"])} == {"ad-hoc", "nightly/good"}


def test_the_names_are_those_that_prometheus_asks_for(busy):
    """What `promtool check metrics` looks at: a help, base units, `_total` on counters alone, no type in the name."""
    for name, family in scraped(busy).items():
        assert family.documentation, name
        assert re.fullmatch(r"queuectl_[a-z_]+", name)
        assert not re.search(r"_(milliseconds|minutes|hours|ms|gauge|counter|histogram|total|count|sum|bucket)$", name)
        assert {sample.name for sample in family.samples} <= (
            {f"{name}_total"}
            if family.type == "counter"
            else {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
            if family.type == "histogram"
            else {name}
        )
        assert family.type in ("counter", "gauge", "histogram"), name


def test_a_file_for_the_collector_is_replaced_whole_and_keeps_its_mode(busy):
    file = busy.folder / "queuectl.prom"
    file.write_text("old")
    file.chmod(0o644)
    busy("metrics", "--prometheus", "--output", "queuectl.prom")

    assert file.read_text() == re.sub(
        r"(?m)^(queuectl_oldest_due_age_seconds) .*", r"\1 0.0", busy("metrics", "--prometheus").stdout
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in busy.folder.glob("*.prom*")] == ["queuectl.prom"]


@pytest.mark.parametrize(
    "options",
    [["--output", "x"], ["--prometheus", "--json"], ["--prometheus", "--since", "1h"], ["--since", "tomorrow"]],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_refused(queuectl, options):
    assert queuectl("metrics", *options, code=64).stderr.startswith("error: ")
    assert list(queuectl.folder.iterdir()) == []


def test_every_metric_that_the_grafana_dashboard_asks_for_exists(busy):
    names = {"queuectl_scrape_success"}  # only where it is scraped
    for family in scraped(busy).values():
        names |= {sample.name for sample in family.samples}
    asked = set(re.findall(r"\bqueuectl_\w+", " ".join(expressions(json.loads(GRAFANA.read_text())))))

    assert asked - names == set()
    assert len(asked) > 10


def expressions(document):
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            yield from expressions(value)
    elif isinstance(document, list):
        for value in document:
            yield from expressions(value)


class Served:
    """A runner that serves its metrics."""

    def __init__(self, queuectl):
        self.process = subprocess.Popen(
            [COMMAND, "run", "--metrics-listen", "127.0.0.1:0"],
            cwd=queuectl.folder,
            env=queuectl.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        line = self.process.stderr.readline().decode()
        self.url = line.removeprefix("metrics: ").strip()
        self.port = int(re.search(r":(\d+)/", self.url)[1])

    def scrape(self):
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            text = answer.read().decode()
        return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture
def served(queuectl):
    runner = Served(queuectl)
    yield runner
    runner.process.kill()
    runner.process.wait()
    runner.process.stderr.close()


def test_a_runner_serves_what_it_does(queuectl, served):
    eventually(lambda: values(served.scrape()["queuectl_runners_alive"])[()] == 1)
    queuectl("enqueue", "true")

    found = eventually(
        lambda: (found := served.scrape()) and values(found["queuectl_runs"])[("completed",)] == 1 and found
    )
    assert values(found["queuectl_workers"])[()] == 4
    assert values(found["queuectl_scrape_success"])[()] == 1
    served.process.terminate()
    assert served.process.wait(30) == 0


def test_a_scrape_that_cannot_read_the_queue_says_so_and_the_next_one_works(tmp_path):
    path = tmp_path / "queue.db"
    opened = iter([DatabaseBusy(str(path)), Store(path)])

    def open_store():
        found = next(opened)
        if isinstance(found, Exception):
            raise found
        return found

    registry = registry_of(open_store, clock.now)
    failed, worked = ({family.name: family for family in registry.collect()} for _ in range(2))

    assert [(name, values(family)) for name, family in failed.items()] == [("queuectl_scrape_success", {(): 0.0})]
    assert values(worked["queuectl_scrape_success"]) == {(): 1.0}


def test_clients_that_say_nothing_or_go_away_hold_nobody_up(queuectl, served):
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(5)]
    with socket.create_connection(("127.0.0.1", served.port)) as rude:
        rude.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")

    assert values(served.scrape()["queuectl_scrape_success"])[()] == 1
    queuectl("enqueue", "true")
    eventually(lambda: queuectl.json("status")["runs"]["completed"] == 1)
    served.process.terminate()
    assert served.process.wait(30) == 0
    assert served.process.stderr.read() == b""
    for each in silent:
        each.close()


def test_a_port_that_is_taken_is_refused_and_nothing_begins(queuectl):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = queuectl("run", "--drain", "--metrics-listen", f"127.0.0.1:{port}", code=1)

    assert f"cannot serve metrics at `127.0.0.1:{port}`: Address already in use" in refused.stderr
    assert not Path(queuectl.environ["QUEUECTL_DB"]).exists()


@pytest.mark.parametrize("written", ["9464", "127.0.0.1", ":9464", "host:70000", "a b:1", "[::1]", "::1:9464"])
def test_what_is_no_address_is_refused(queuectl, written):
    assert "must be a host and a port" in queuectl("run", "--metrics-listen", written, code=64).stderr


def test_nobody_pays_for_prometheus_who_did_not_ask(queuectl):
    code = "import sys; from queuectl.cli import main; main(['metrics']); print('prometheus_client' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=queuectl.folder,
        env=queuectl.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "False"
