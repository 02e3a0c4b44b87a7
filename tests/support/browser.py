"""The dashboard as a process of its own, and Debian's Chromium to look at it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Error, Page, Playwright, ViewportSize

from tests.support.waiting import eventually

CHROMIUM: Final = shutil.which("chromium")
COMMAND: Final = Path(sys.executable).parent / "queuectl"

WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
NARROW: Final[ViewportSize] = {"width": 390, "height": 844}

# Those after the first three keep Chromium itself from asking its maker's hosts for anything.
_FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_HERE: Final = re.compile(r"(?:https?|wss?)://127\.0\.0\.1:\d+/|data:|blob:")
_RESTING: Final = '[data-testid="stApp"][data-test-script-state="notRunning"]'
SECONDS: Final = 60_000  # milliseconds that a busy machine may take for anything


def start_chromium(playwright: Playwright) -> Browser:
    """Start the system's Chromium with a profile of its own."""
    assert CHROMIUM is not None
    return playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)


@contextmanager
def dashboard(folder: Path, environ: Mapping[str, str], options: Sequence[str] = ()) -> Iterator[str]:
    """Run the dashboard of a queue on a free port and yield its link."""
    process = subprocess.Popen(
        [COMMAND, "dashboard", "--port", "0", *options],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=60)


@dataclass
class Visitor:
    """Somebody who looks at the dashboard; ``strangers`` are requests that went to other hosts."""

    page: Page
    link: str
    strangers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(SECONDS)
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("websocket", lambda socket: self._note(socket.url))
        self._is_in = False

    def open(self, path: str = "") -> Page:
        """Open a page of the dashboard, and wait until it stands."""
        base = self.link.partition("?")[0]
        if not self._is_in:
            self._knock()
            self._is_in = True
        self.page.goto(f"{base}{path}")
        self.settled()
        return self.page

    def _knock(self) -> None:
        """Come in by the link, once the server listens."""

        def comes_in() -> bool:
            try:
                self.page.goto(self.link)
            except Error:  # nobody listens yet
                return False
            return True

        eventually(comes_in, within=60)

    def settled(self) -> None:
        """Wait until the page has a heading and its script has run."""
        self.page.locator("h1").first.wait_for()
        self.page.locator(_RESTING).wait_for()

    def is_at_rest(self) -> bool:
        """Whether no script of the page runs."""
        return self.page.locator(_RESTING).count() > 0

    def _note(self, url: str) -> None:
        if not _HERE.match(url):
            self.strangers.append(url)
