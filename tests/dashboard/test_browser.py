"""The dashboard in a browser, on a queue that runners have worked on."""

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from queuectl.dashboard.launch import free_port
from tests.acceptance.conftest import Queuectl, queuectl_in
from tests.support.browser import CHROMIUM, NARROW, SECONDS, WIDE, Visitor, dashboard, start_chromium
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGES = ["", "runs", "run?id=r1", "jobs", "jobs?job=nightly/report", "schedule", "dlq", "applies", "applies?number=1"]
PAGES_BY_NAME = ["Overview", "Runs", "Jobs", "Schedule", "DLQ", "Applies"]
HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ \x1b[31m"

MANIFEST = """
[jobs.report]
command = 'echo "no room for the report" >&2; exit 3'
retries = 0
[jobs.backup]
command = "echo saved"
schedule = "30 2 * * *"
tags = ["db"]
[jobs.slow]
command = 'echo first; while [ ! -e go-on ]; do sleep 0.1; done; echo second; while [ ! -e end ]; do sleep 0.1; done'
enabled = false
"""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, started once."""
    with sync_playwright() as playwright, closing(start_chromium(playwright)) as browser:
        yield browser


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queuectl]:
    """A queue with a dead run, a completed one, one that waits, and hostile text in every place that takes text."""
    command = queuectl_in(tmp_path_factory.mktemp("worked"))
    command.manifest(MANIFEST)
    command("apply", "nightly.toml")
    command("trigger", "nightly/backup")
    command("enqueue", "--id", "hostile", "--", "sh", "-c", 'printf "%s\\n" "$0" >&2; exit 1', HOSTILE)
    command("pause", "nightly/backup", "--reason", HOSTILE.replace("\x1b", ""))
    command("run", "--once", code=None)
    yield command
    for process in command.started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def link(worked: Queuectl) -> Iterator[str]:
    """The way to the dashboard of that queue."""
    with dashboard(worked.folder, worked.environ) as found:
        yield found


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(chromium: Browser, link: str) -> Iterator[Visit]:
    """Let somebody look at the queue, by this link or another."""
    with ExitStack() as stack:

        def begin(by: str = link, *, narrow: bool = False) -> Visitor:
            context = chromium.new_context(viewport=NARROW if narrow else WIDE, reduced_motion="reduce", locale="en-GB")
            stack.callback(context.close)
            return Visitor(context.new_page(), by)

        yield begin


@needs_chromium
def test_whoever_walks_through_every_page_reads_only_and_asks_nobody_else(visit, worked):
    path = worked.environ["QUEUECTL_DB"]
    with closing(apsw.Connection(path)) as witness:
        before = (Path(path).read_bytes(), witness.pragma("data_version"))
        for narrow in (False, True):
            visitor = visit(narrow=narrow)
            for name in PAGES:
                page = visitor.open(name)
                assert page.locator('[data-testid="stException"]').count() == 0, name
                assert page.get_by_role("button", name=re.compile("^(Retry|Cancel|Pause|Trigger|Resume)")).count() == 0
                width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert width <= 0, f"{name} is wider than the window"
            assert visitor.strangers == []
        assert (Path(path).read_bytes(), witness.pragma("data_version")) == before


@needs_chromium
def test_hostile_text_is_shown_and_does_nothing(visit):
    visitor = visit()
    dialogs: list[str] = []
    visitor.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    for name in ("", "runs", "run?id=hostile", "run?id=hostile&tab=Spec", "run?id=hostile&tab=Why", "schedule", "dlq"):
        page = visitor.open(name)
        page.wait_for_timeout(200)
        assert page.locator('img[src="x"], .katex, strong:text-is("bold")').count() == 0, name
    page = visitor.open("run?id=hostile")
    page.get_by_role("radio", name="stderr").click()

    expect(page.locator('[data-testid="stCode"]')).to_contain_text(HOSTILE.replace("\x1b", "\\x1b"), timeout=SECONDS)
    assert dialogs == []


@needs_chromium
def test_output_is_followed_while_it_is_written_and_the_end_is_seen(visit, worked):
    worked.manifest(MANIFEST.replace("enabled = false", ""))
    worked("apply", "nightly.toml")
    [slow] = [run["id"] for run in worked.json("list") if run["job"] == "nightly/slow"]
    runner = worked.start("run")
    page = visit().open(f"run?id={slow}&tab=Output")

    expect(page.locator('[data-testid="stCode"]')).to_contain_text("first", timeout=SECONDS)
    (worked.folder / "go-on").touch()
    expect(page.locator('[data-testid="stCode"]')).to_contain_text("second", timeout=SECONDS)
    (worked.folder / "end").touch()
    expect(page.get_by_text("completed").first).to_be_visible(timeout=SECONDS)
    runner.terminate()
    runner.wait(timeout=60)


@needs_chromium
def test_what_is_new_appears_and_filter_and_place_stay(visit, worked):
    def die() -> None:
        worked("enqueue", '{"command": "exit 99", "retries": 0}')
        worked("run", "--once", code=None)

    die()
    page = visit(narrow=True).open("runs?state=dead&text=exit+99")
    expect(page.get_by_text("1 run, all there are")).to_be_visible(timeout=SECONDS)
    main = page.locator('[data-testid="stMain"]')
    main.evaluate("main => main.scrollTo(0, 120)")
    place = main.evaluate("main => main.scrollTop")

    die()

    expect(page.get_by_text("2 runs, all there are")).to_be_visible(timeout=SECONDS)
    assert main.evaluate("main => main.scrollTop") == place
    assert page.get_by_placeholder("In id, command or reason").input_value() == "exit 99"
    assert "state=dead" in page.url


@needs_chromium
def test_a_dead_run_is_retried_where_actions_are_allowed_and_it_is_recorded_who_did_it(visit, worked):
    worked("enqueue", "--id", "again", "--retries", "0", "false")
    worked("run", "--once", code=None)
    with dashboard(worked.folder, worked.environ, ["--allow-actions"]) as link:
        page = visit(link).open("run?id=again")
        page.get_by_role("button", name="Retry…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("back into the queue", timeout=SECONDS)
        assert worked.json("show", "again")["state"] == "dead"

        dialog.get_by_role("button", name="Retry").click()

        expect(page.get_by_text("again: back in the queue").first).to_be_visible(timeout=SECONDS)
    assert worked.json("show", "again")["state"] == "pending"
    assert "given back to the queue by" in worked("why", "again").stdout


@needs_chromium
def test_a_run_opens_by_a_click_and_pages_are_reached_by_keyboard(visit):
    visitor = visit()
    page = visitor.open("runs?state=dead")
    table = page.locator('[data-testid="stDataFrame"]').first
    table.wait_for()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 30, box["y"] + 32 + 16)  # the first row: the header is as high as a row
    expect(page).to_have_url(re.compile(r"/run\?id="), timeout=SECONDS)

    visitor.open("jobs")
    page.keyboard.press("Tab")
    reached = set()
    for _ in range(40):
        reached.add(page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''").strip())
        page.keyboard.press("Tab")
    unreached = [name for name in PAGES_BY_NAME if not any(name in each for each in reached)]
    assert unreached == []


def status_of(port: int, *, host: str | None = None, path: str = "/") -> int:
    """Return how the server answers a request for ``host``."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def is_reachable(address: str, port: int) -> bool:
    with closing(socket.socket()) as caller:
        caller.settimeout(5)
        return caller.connect_ex((address, port)) == 0


def check_safety(port: int) -> None:
    eventually(lambda: status_of(port), within=60)
    for path in ("/", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/static/index.html"):
        assert status_of(port, path=path) == 403, path
        assert status_of(port, path=path, host="evil.example") == 400, path


def test_the_dashboard_is_on_this_machine_only_whatever_the_environment_says(queuectl):
    exposed = {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true"}
    with dashboard(queuectl.folder, {**queuectl.environ, **exposed}) as link:
        port = int(re.search(r":(\d+)/", link)[1])

        check_safety(port)
        assert not is_reachable("127.0.0.2", port)


def test_streamlit_run_is_as_safe(queuectl, tmp_path):
    port = free_port(0)
    command = [Path(sys.executable).parent / "streamlit", "run", ROOT / "dashboard_app.py", f"--server.port={port}"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(queuectl.environ), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        check_safety(port)
        assert not is_reachable("127.0.0.2", port)
        assert process.stderr is not None
        assert process.stderr.readline().startswith(f"http://127.0.0.1:{port}/?token=")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_port_that_is_taken_is_named(queuectl):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = queuectl("dashboard", "--port", str(taken.getsockname()[1]), code=1)

    assert "name another with `--port`" in told.stderr


def test_without_streamlit_the_command_says_what_to_install(queuectl, tmp_path):
    (tmp_path / "streamlit.py").write_text("raise ModuleNotFoundError('no', name='streamlit')")

    told = queuectl("dashboard", code=1, PYTHONPATH=str(tmp_path))

    assert "pip install '.[dashboard]'" in told.stderr
