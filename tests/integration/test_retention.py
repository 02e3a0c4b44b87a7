"""What is kept for how long, piece by piece, beside the work."""

import errno
from datetime import timedelta
from pathlib import Path

import pytest

from queuectl.job import Overlap, State
from queuectl.outcome import Exited
from queuectl.retention import FOR_EVER, Retention, Sweeper, retention_of, sweep
from queuectl.spool import Spool
from queuectl.store import Store
from tests.support.factories import NOW, make_job
from tests.support.queue import claim, declare, enqueue, finish, register, tick

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "queue.db") as opened:
        Spool(str(opened.path)).prepare()
        yield opened


def end(store, *, at, outcome=None, **spec):
    """Put a run into the queue that is over at a time, and has written something."""
    enqueue(store, **{"retries": 0} | spec)
    claimed = claim(store, now=at)
    write(store, claimed.execution)
    return finish(store, claimed, outcome or Exited(0), now=at)


def write(store, execution):
    path = Path(Spool(str(store.path)).output(execution, "stdout"))
    path.parent.mkdir(exist_ok=True)
    path.write_text("done")
    path.with_name(path.name + ".tail").write_text("12345678done")
    return path


def outputs(store):
    return sorted(path.name for path in Path(Spool(str(store.path)).root, "output").rglob("*") if path.is_file())


def ids(store):
    return [run.id for run in reversed(store.runs())]


def kept(*, keep=0, **ages):
    return Retention(ages={State(state): age for state, age in ages.items()}, keep=keep)


def test_runs_go_when_they_have_been_kept_for_as_long_as_their_state_says(store):
    end(store, at=NOW)
    end(store, at=NOW, outcome=Exited(1))
    end(store, at=NOW + 5 * DAY)
    enqueue(store)

    assert sum(sweep(store, kept(completed=30 * DAY), now=NOW + 31 * DAY)) == 1
    assert ids(store) == ["r2", "r3", "r4"]
    assert outputs(store) == ["2.2.stdout", "2.2.stdout.tail", "3.3.stdout", "3.3.stdout.tail"]
    rows = store._execute("SELECT channel, runs, detail FROM purges")
    assert rows == [("runner", 1, "completed for more than 30d")]


def test_without_a_setting_nothing_goes(store):
    end(store, at=NOW)

    assert sum(sweep(store, FOR_EVER, now=NOW + 3000 * DAY)) == 0
    assert ids(store) == ["r1"]


def test_the_settings_are_the_retention():
    settings = {"completed": 86400.0, "dead": None, "cancelled": None, "skipped": 60.0, "keep": 3}

    assert retention_of(settings) == kept(completed=DAY, skipped=timedelta(minutes=1), keep=3)


def test_the_newest_runs_of_each_job_stay_whatever_their_age(store):
    declare(store, *(make_job(name, schedule="@daily", overlap=Overlap.ALLOW) for name in ("a", "b")))
    for day in range(1, 4):
        tick(store, NOW + day * DAY)
        for _ in "ab":
            finish(store, claim(store, now=NOW + day * DAY), now=NOW + day * DAY)
    end(store, at=NOW)

    sweep_all = list(sweep(store, kept(completed=DAY, keep=2), now=NOW + 300 * DAY))

    assert sum(sweep_all) == 3
    assert sorted(run.job for run in store.runs()) == ["nightly/a", "nightly/a", "nightly/b", "nightly/b"]


def test_a_slot_whose_run_went_does_not_fire_again_even_if_the_clock_goes_back(store):
    declare(store, make_job(schedule="@daily"))
    for day in (1, 2):
        tick(store, NOW + day * DAY)
        finish(store, claim(store, now=NOW + day * DAY), now=NOW + day * DAY)
    slots = [run.slot for run in store.runs()]
    assert sum(sweep(store, kept(completed=timedelta(hours=1)), now=NOW + 9 * DAY)) == 2

    declare(store, make_job(schedule="0 0 * * *"), now=NOW)  # as new from that time on, which is two slots ago
    tick(store, NOW + 3 * DAY)

    assert [run.slot for run in store.runs()] == [max(slots) + DAY]


def test_a_one_shot_job_whose_run_went_does_not_run_again_when_it_is_declared_differently(store):
    declare(store, make_job())
    finish(store, claim(store))
    assert sum(sweep(store, kept(completed=DAY), now=NOW + 2 * DAY)) == 1

    declare(store, make_job(description="says more"))
    assert store.runs() == []

    declare(store, make_job(description="says more", revision=2))
    assert len(store.runs()) == 1


def test_one_piece_is_small_and_the_next_comes_when_its_time_has_come(store):
    runner = register(store)
    for _ in range(250):
        enqueue(store)
    for run in store.claim(limit=250, runner=runner, now=NOW):
        finish(store, run)
    sweeper = Sweeper(store, kept(completed=DAY))

    assert sweeper.patience() is None
    sweeper.turn(begins=True, now=NOW + 2 * DAY)
    assert store.counts()[State.COMPLETED] == 150
    assert 0 < sweeper.patience() <= 1
    sweeper.turn(begins=True, now=NOW + 2 * DAY)  # too soon: four fifths of the time belong to the work
    assert store.counts()[State.COMPLETED] == 150


def test_a_run_whose_hook_is_not_delivered_stays(store):
    run = end(store, at=NOW)
    store._execute(
        "INSERT INTO hooks (run, lease, hook, what, facts, called_at, due_at)"
        " VALUES (?, 1, 'on_dead', '{}', '{}', 0, 0)",
        (run.number,),
    )

    assert sum(sweep(store, kept(completed=DAY), now=NOW + 2 * DAY)) == 0
    store._execute("UPDATE hooks SET ended_at = 1, fate = 'delivered'")
    assert sum(sweep(store, kept(completed=DAY), now=NOW + 2 * DAY)) == 1


def test_what_fails_is_told_and_left_to_the_next_sweep(store, monkeypatch):
    end(store, at=NOW)
    sweeper = Sweeper(store, kept(completed=DAY))

    with monkeypatch.context() as patch:
        patch.setattr("queuectl.purge.remove_output", failing)
        with pytest.raises(OSError, match="read-only"):
            sweeper.turn(begins=True, now=NOW + 2 * DAY)
    assert sweeper.patience() is None
    assert outputs(store) == ["1.1.stdout", "1.1.stdout.tail"]

    list(sweep(store, kept(completed=DAY), now=NOW + 2 * DAY))
    assert outputs(store) == []


def failing(path):
    raise OSError(errno.EROFS, "read-only file system", path)


def test_a_run_that_changes_meanwhile_stays(store):
    run = end(store, at=NOW)
    stretch = store.expired(State.COMPLETED, before=NOW + DAY, after=None, keep=0, limit=9)
    assert [each.number for each in stretch] == [run.number]

    pieces = sweep(store, kept(completed=DAY), now=NOW + 2 * DAY)
    store._execute("UPDATE runs SET updated_at = updated_at + 1, finished_at = finished_at + 1")
    seen = store.numbered([run.number])
    store._execute("UPDATE runs SET updated_at = updated_at + 1")
    assert store.purge(seen) == []
    assert next(pieces) == 1


def test_outputs_of_runs_that_are_gone_are_swept_and_others_are_left_alone(store):
    stays = end(store, at=NOW)
    orphan = write(store, "2.9")
    unborn = write(store, "77.1")  # of a queue that counted further: nobody knows
    notes = orphan.with_name("notes.txt")
    notes.write_text("somebody's")
    end(store, at=NOW)
    store._execute("DELETE FROM runs WHERE number = 2")

    assert sum(sweep(store, FOR_EVER, now=NOW)) == 0
    assert not orphan.exists()
    assert unborn.exists()
    assert notes.exists()
    assert f"1.{store.attempts(stays)[0].lease}.stdout" in outputs(store)


def test_a_folder_of_outputs_goes_when_no_run_will_write_into_it_any_more(store):
    folder = Path(Spool(str(store.path)).root, "output")
    (folder / "0").mkdir()
    store._execute("UPDATE sqlite_sequence SET seq = 999") if store._execute("SELECT 1 FROM sqlite_sequence") else None
    list(sweep(store, FOR_EVER, now=NOW))
    assert (folder / "0").exists()

    enqueue(store)
    store._execute("UPDATE runs SET number = 1000")
    store._execute("UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'runs'")
    list(sweep(store, FOR_EVER, now=NOW))

    assert not (folder / "0").exists()


def test_what_a_runner_left_that_is_recorded_as_stopped_is_swept(store):
    spool = Spool(str(store.path))
    stopped, running = register(store), register(store)
    store.stop_runner(stopped, now=NOW)
    left = [Path(path(runner)) for runner in (stopped, running) for path in (spool.runner_lock, spool.wake)]
    journals = [Path(f"{spool.journal(runner, 1)}.1") for runner in (stopped, running)]
    for path in (*left, *journals):
        path.touch()

    list(sweep(store, FOR_EVER, now=NOW))

    assert [path.exists() for path in (*left, *journals)] == [False, False, True, True, False, True]


def test_the_expired_are_found_by_their_index(store):
    keys = {"state": "dead", "before": 1, "finished_at": 0, "number": 0, "keep": 1, "limit": 9}
    rows = store._execute("EXPLAIN QUERY PLAN " + store._statements["expired_runs"], keys)

    assert any("runs_finished" in row[3] for row in rows)
    assert not any("B-TREE" in row[3] for row in rows)
