"""Takes the pictures in `docs/images/`, of a day in the life of a queue: `python -m tests.dashboard.screenshots`.

Each page in light, in dark and on a narrow screen. Look at every one of them before you commit it.
"""

import io
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from queuectl import clock
from queuectl.job import NewRun, Run, State
from queuectl.lifecycle import settle
from queuectl.outcome import Exited, Outcome, TimedOut
from queuectl.output import Sink
from queuectl.plan import plan
from queuectl.presence import Presence
from queuectl.selector import Selector
from queuectl.slots import first_slot
from queuectl.spool import Spool
from queuectl.store import Author
from queuectl.store.archive import Archive
from tests.support.browser import NARROW, WIDE, Visitor, dashboard, start_chromium
from tests.support.factories import make_attempt, make_job, make_manifest, make_spec

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
AUTHOR: Final = Author(user="ada", host="atlas", git_commit="5f2c1d9ab04e77", git_dirty=False)
_TALL: Final = 1300
LOOKS: Final = {"light": ("light", WIDE), "dark": ("dark", WIDE), "narrow": ("light", NARROW)}

# Name, schedule, seconds it takes, share of attempts that fail, exit code of those.
JOBS: Final = (
    ("nightly", "db-backup", "30 2 * * *", 312, 0.0, 1, "pg_dump --format=custom shop | zstd > /srv/backup/shop.zst"),
    ("nightly", "rotate-logs", "0 3 * * *", 9, 0.0, 1, "logrotate --state /var/lib/logrotate.state logrotate.conf"),
    ("nightly", "reindex", "0 3 * * *", 95, 0.0, 1, "psql shop --command 'REINDEX DATABASE shop'"),
    ("reports", "sales", "*/30 * * * *", 21, 0.05, 3, "python -m reports.sales --since yesterday"),
    ("reports", "stock", "15 * * * *", 48, 0.3, 3, "python -m reports.stock"),
    ("sync", "warehouse", "*/10 * * * *", 7, 0.02, 1, "rsync -a warehouse:/export/ /srv/import/"),
    ("sync", "mailbox", "@every 5m", 2.4, 0.01, 1, "mbsync --all"),
    ("media", "thumbnails", "*/15 * * * *", 33, 0.03, 137, "thumbnailer --queue /srv/media/incoming"),
)  # fmt: skip


def fill(store: Archive, now: datetime) -> None:
    """Live through the day before ``now``: slots come, attempts succeed and fail, some runs die."""
    dice = random.Random(7)
    begin = now - timedelta(hours=24)
    _declare(store, begin)
    runner = store.register_runner(host="atlas", pid=4711, workers=4, now=begin)
    at = begin
    while at < now - timedelta(minutes=2):
        at += timedelta(minutes=1)
        for before in (40, 20, 0):
            store.beat(runner, now=at - timedelta(seconds=before))
        if at == begin + timedelta(hours=19):
            _declare(store, at, {"reports/stock": "python -m reports.stock --warehouse all"})
        _fire(store, at)
        for run in store.claim(limit=50, runner=runner, now=at):
            _finish(store, run, dice, at, now)


def _fire(store: Archive, at: datetime) -> None:
    for due in store.due_jobs(now=at):
        runs = [NewRun(spec=due.job.spec, run_at=due.next_slot, slot=due.next_slot)]
        store.fire(due, runs, after=first_slot(due.job, at), now=at)


def keep_up(store: Archive, dice: random.Random) -> None:
    """Do what has come due since, as a runner would."""
    now = clock.now()
    runner = store.running_runners()[0].id
    store.beat(runner, now=now)
    _fire(store, now)
    for run in store.claim(limit=10, runner=runner, now=now):
        _finish(store, run, dice, now, now + timedelta(minutes=1))


def _declare(store: Archive, at: datetime, changed: Mapping[str, str] = MappingProxyType({})) -> None:
    for manifest in sorted({name for name, *_ in JOBS}):
        jobs = [
            make_job(
                name, manifest=manifest, schedule=schedule,
                command=changed.get(f"{owner}/{name}", command), retries=1, retry_delay=30.0, timeout=900.0,
                tags=(manifest,), env={"PGHOST": "db.internal"} if "psql" in command or "pg_" in command else {},
            )
            for owner, name, schedule, _, _, _, command in JOBS
            if owner == manifest
        ]  # fmt: skip
        found = make_manifest(*jobs, name=manifest, path=f"/srv/jobs/{manifest}.toml")
        with store.transaction():
            planned = plan([found], store.stored_jobs([manifest]), store.owners(), now=at, first_slot=first_slot)
            store.apply(planned, author=AUTHOR, now=at)


def _finish(store: Archive, run: Run, dice: random.Random, at: datetime, now: datetime) -> None:
    known = ((seconds, share, code) for owner, name, _, seconds, share, code, _ in JOBS if run.job == f"{owner}/{name}")
    seconds, share, code = next(known, (1, 0.0, 1))
    is_trouble = run.job == "reports/stock" and timedelta(hours=3) < now - at < timedelta(hours=6)
    outcome: Outcome = Exited(code if dice.random() < (0.8 if is_trouble else share) else 0)
    if outcome == Exited(3) and dice.random() < 0.2:
        outcome = TimedOut(900.0)
    took = 900 if isinstance(outcome, TimedOut) else seconds * dice.uniform(0.8, 1.4)
    ended = min(at + timedelta(seconds=took), now - timedelta(seconds=30))
    sink = Sink(Spool(str(store.path)).output(run.execution, "stdout"), 1 << 20)
    sink.write(f"{run.spec.line.split()[0]}: begins, {at:%H:%M:%S}\n".encode())
    sink.write(b"".join(b"  %d rows read\n" % (number * 1000) for number in range(1, 9)))
    sink.close()
    if outcome != Exited(0):
        errors = Sink(Spool(str(store.path)).output(run.execution, "stderr"), 1 << 20)
        errors.write(
            b"Traceback (most recent call last):\n  ...\nConnectionError: stock.internal:5432 refused the connection\n"
        )
        errors.close()
    attempt = make_attempt(run, outcome)
    attempt = type(attempt)(**{**attempt.__dict__, "started_at": at, "finished_at": ended, "cpu_seconds": took / 3,
                               "max_rss_bytes": 48 << 20, "stdout_bytes": 900, "runner": run.runner})  # fmt: skip
    after = settle(run, outcome, now=ended, jitter=0)
    store.settle([(run, after, attempt)])


@contextmanager
def under_way(store: Archive, now: datetime) -> Iterator[str]:
    """Leave one run running, on a runner that lives, with its output being written; yield its id."""
    spool = Spool(str(store.path))
    spool.prepare()
    runner = store.running_runners()[0].id
    began = now - timedelta(seconds=40)
    [run_id, *_] = [store.trigger(store.job(name), now=began) for name in ("nightly/reindex", "media/thumbnails")]
    store.enqueue([NewRun(spec=make_spec(command="convert scan.tiff archive/scan.pdf"), run_at=now)], now=now)
    runs = store.claim(limit=2, runner=runner, now=began)
    sink = Sink(spool.output(runs[0].execution, "stdout"), 1 << 20)
    for number in range(1, 61):
        sink.write(f"index {number:>3} of 84: public.orders_{number:02}_idx rebuilt\n".encode())
    store.beat(runner, now=now)
    presence = Presence(spool, runner)
    try:
        yield run_id
    finally:
        presence.close()
        sink.close()


def save(shot: bytes, path: Path) -> None:
    """Write a picture as small as it can be without showing it."""
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(200, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def _at_rest(visitor: Visitor) -> bytes:
    """Return a picture during which nothing was drawn anew: what is about to change is pale."""
    for _ in range(20):
        visitor.settled()
        visitor.page.wait_for_timeout(150)  # what was pale has its colours again
        if visitor.is_at_rest():
            shot = visitor.page.screenshot()
            if visitor.is_at_rest():
                return shot
    raise SystemExit("it does not come to rest: the machine is too busy")


def take(store: Archive, visitor: Visitor, pages: Mapping[str, str], look: str, size: ViewportSize) -> None:
    """Take the picture of every page in one look; the overview whole."""
    for name, path in pages.items():
        keep_up(store, random.Random(1))
        page = visitor.page
        page.set_viewport_size(ViewportSize(width=size["width"], height=_TALL) if name == "overview" else size)
        visitor.open(path)
        page.wait_for_timeout(1500)  # charts and tables are drawn after the script has run
        save(_at_rest(visitor), IMAGES / f"dashboard-{name}-{look}.png")
    assert visitor.strangers == [], visitor.strangers


def main() -> int:
    """Take all pictures."""
    IMAGES.mkdir(exist_ok=True)
    now = clock.now()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "queue.db")
        environ = {**os.environ, "QUEUECTL_DB": str(path), "HOME": folder}
        with (
            Archive(path, durability="normal") as store,
            sync_playwright() as playwright,
            closing(start_chromium(playwright)) as chromium,
        ):
            Spool(str(path)).prepare()
            fill(store, now)
            [dead] = store.search(Selector(states=(State.DEAD,)), limit=1, seconds=60).runs
            with under_way(store, clock.now()) as running, dashboard(Path(folder), environ) as link:
                pages = {
                    "overview": "",
                    "runs": "runs",
                    "run": f"run?id={running}",
                    "dead-run": f"run?id={dead.id}&tab=Why",
                    "jobs": "jobs",
                    "job": "jobs?job=reports/stock",
                    "schedule": "schedule",
                    "dlq": "dlq",
                    "applies": "applies?number=5",
                }
                for look, (scheme, size) in LOOKS.items():
                    context = chromium.new_context(
                        viewport=size, color_scheme=scheme, reduced_motion="reduce", locale="en-GB", timezone_id="UTC"
                    )
                    take(store, Visitor(context.new_page(), link), pages, look, size)
                    context.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
