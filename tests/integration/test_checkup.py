from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from queuectl import mounts
from queuectl.checkup import Finding, Verdict, examine
from queuectl.errors import DatabaseUnavailable
from queuectl.lifecycle import cancel
from queuectl.mounts import file_system
from queuectl.presence import Presence
from queuectl.spool import Spool
from queuectl.store import Store
from tests.support.factories import NOW
from tests.support.queue import enqueue, register


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "queue.db") as opened:
        yield opened


def about(store, subject, *, shell="/bin/sh"):
    return [finding for finding in examine(store, shell=shell, now=NOW) if finding.subject == subject]


def test_a_sound_queue_has_no_fault(store):
    assert [finding for finding in examine(store, shell="/bin/sh", now=NOW) if finding.verdict is Verdict.FAULT] == []


def test_a_row_that_points_nowhere_is_a_fault(store):
    enqueue(store)
    store._connection.execute("PRAGMA foreign_keys = OFF; UPDATE runs SET job = 99")

    [finding] = about(store, "database")
    assert (finding.verdict, finding.fact) == (Verdict.FAULT, "a row of `runs` points nowhere")


def test_files_that_others_may_use_are_named(store):
    store.path.chmod(0o644)

    [finding] = about(store, "file modes")
    assert (finding.verdict, finding.fact) == (Verdict.WARNING, f"others may use `{store.path}`")


def test_a_clock_that_was_set_back_is_noticed(store):
    run = enqueue(store)
    store.change(run, replace(cancel(run, now=NOW), updated_at=NOW + timedelta(hours=2)))

    [finding] = about(store, "clock")
    assert (finding.verdict, finding.fact) == (Verdict.WARNING, "runs changed 2h in the future")


def test_a_shell_that_is_not_there_is_a_fault(store):
    [finding] = about(store, "shell", shell="/bin/no-such-shell")

    assert finding.verdict is Verdict.FAULT


def test_a_runner_is_alive_as_long_as_it_holds_its_lock(store):
    spool = Spool(str(store.path))
    spool.prepare()
    runner = register(store)
    assert [finding.fact for finding in about(store, "runners")] == [f"runner {runner}, pid 1 on atlas: died"]

    presence = Presence(spool, runner)

    assert about(store, "runners") == [
        Finding("runners", Verdict.OK, f"runner {runner}, pid 1 on atlas: alive, last heard 0ms ago")
    ]
    presence.close()


@pytest.fixture
def mountinfo(tmp_path, monkeypatch):
    path = tmp_path / "mountinfo"
    path.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:1 / /mnt rw shared:1 - tmpfs tmpfs rw\n"
        f"3 2 0:2 / {tmp_path}/team\\040share rw - nfs4 server:/team rw\n"
    )
    monkeypatch.setattr(mounts, "_MOUNTINFO", path)
    return tmp_path


@pytest.mark.parametrize(("path", "kind"), [("/etc/passwd", "ext4"), ("/mnt", "tmpfs"), ("/mntx", "ext4")])
def test_the_file_system_is_that_of_the_innermost_mount(mountinfo, path, kind):
    assert file_system(Path(path)) == kind


def test_a_queue_is_not_made_on_a_network_file_system(mountinfo):
    path = mountinfo / "team share" / "queue.db"

    with pytest.raises(DatabaseUnavailable, match=r"network file system \(nfs4\)"):
        Store(path)
    assert not path.parent.exists()
