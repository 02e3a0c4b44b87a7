"""The manifests that come with queuectl, run for real."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkout(queuectl):
    """A copy of what the demo needs, in the command's folder."""
    for name in ("manifests", "docs"):
        shutil.copytree(REPOSITORY / name, queuectl.folder / name)
    shutil.copy(REPOSITORY / "queuectl.toml", queuectl.folder)
    return queuectl


def test_make_demo_does_real_nightly_work(checkout):
    for _ in range(2):  # it can be repeated
        done = subprocess.run(
            ["sh", "manifests/demo.sh"],
            cwd=checkout.folder,
            env=checkout.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    made = checkout.folder / ".queuectl" / "nightly"
    assert len(list((made / "backups").glob("queue-*.db"))) in (1, 2)  # two in one second are one
    assert list(made.rglob("*.tar.gz"))
    assert "copied and verified" in done.stdout


def test_the_demo_shows_what_a_queue_must_be_able_to_do(checkout, tmp_path):
    checkout("apply", "manifests/demo.toml")
    checkout("run", "--drain", "--workers", "1", code=1, DEMO_DIR=str(tmp_path / "demo"))

    states = dict(checkout.states())
    assert states == {
        "demo/whenever": "completed",
        "demo/normal": "completed",
        "demo/urgent": "completed",
        "demo/third-time-lucky": "completed",
        "demo/time-out": "dead",
        "demo/hopeless": "dead",
        "demo/hostile-argument": "completed",
    }
    runs = {run["job"]: run for run in checkout.json("list")}
    assert runs["demo/third-time-lucky"]["attempts"] == 3
    assert runs["demo/hopeless"]["attempts"] == 1
    started = [runs[f"demo/{name}"]["started_at"] for name in ("urgent", "normal", "whenever")]
    assert started == sorted(started)


def test_the_time_out_of_the_demo_leaves_nothing_alive(checkout, tmp_path):
    checkout("apply", "manifests/demo.toml")
    checkout("run", "--drain", code=1)

    marker = f"QUEUECTL_EXECUTION={tmp_path}/queue.db:"  # only processes of jobs have it

    alive = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            if marker.encode() in environ.read_bytes():
                alive.append(environ.parent.name)
    assert alive == []
