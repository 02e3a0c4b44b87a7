"""What `queuectl watch` draws, for terminals of every size."""

from datetime import timedelta

import pytest
from rich.cells import cell_len

from queuectl.cli.frame import Scene, draw
from queuectl.cli.watch import Rate
from queuectl.job import State
from queuectl.spec import JobSpec
from queuectl.views import run_record
from tests.support.factories import NOW, make_run

RUNNER = {"id": 1, "host": "ada", "pid": 12, "workers": 4, "alive": True}


def running(usual=None, **overrides):
    run = make_run(state=State.PROCESSING, started_at=NOW - timedelta(seconds=90), **overrides)
    return run_record(run) | {"usual_seconds": usual}


def record(**overrides):
    return {
        "runs": dict.fromkeys(State, 0),
        "runners": [RUNNER],
        "running": [],
        "next_runs": [],
        "next_slots": [],
        "newest_dead": [],
        **overrides,
    }


def lines(scene, width=80, height=24):
    return [line.rstrip() for line in draw(scene, width=width, height=height).plain.split("\n")]


def scene(**overrides):
    return Scene(db="/srv/queue.db", now=NOW, record=record(**overrides))


def test_an_empty_queue_is_drawn_calmly():
    assert lines(scene(), height=14) == [
        "queuectl  /srv/queue.db                                     2026-12-01T02:00:00Z",
        "1 runner, 4 workers",
        "pending 0  processing 0  failed 0  completed 0  dead 0  cancelled 0  skipped 0",
        "",
        "RUNNING",
        "  nothing",
        "",
        "NEXT",
        "  nothing is due or scheduled",
        "",
        "DIED LAST",
        "  nothing",
        "",
        "q leaves; every 1s",
    ]


def test_what_runs_is_shown_beside_what_is_usual():
    drawn = lines(scene(running=[running(240.0, id="r12", job="nightly/backup")]))

    assert "  r12  1m 30s  nightly/backup  usually 4m" in drawn


def test_what_is_next_is_in_the_order_of_its_time_whether_queued_or_scheduled():
    due = run_record(make_run(id="r1", job="a/due", run_at=NOW - timedelta(minutes=1)))
    later = run_record(make_run(id="r2", job="a/later", run_at=NOW + timedelta(minutes=9)))
    slots = [{"job": "a/slot", "slot": NOW + timedelta(minutes=5)}]

    drawn = lines(scene(next_runs=[due, later], next_slots=slots))

    part = drawn[drawn.index("NEXT") + 1 :][:3]
    assert part == ["  r1    due    a/due", "  slot  in 5m  a/slot", "  r2    in 9m  a/later"]


def test_what_died_says_why_even_where_there_is_little_room():
    dead = run_record(
        make_run(id="r3", state=State.DEAD, reason="exit code 1", job="reports/a-rather-long-name-of-a-job")
    )

    drawn = lines(scene(newest_dead=[dead]), width=40)

    assert any(line.endswith("exit code 1") for line in drawn)


def test_a_hostile_name_stays_text():
    spec = JobSpec(command="printf '\x1b[2J\u202e'")

    drawn = draw(scene(running=[running(spec=spec, job=None)]), width=80, height=24).plain

    assert "\x1b" not in drawn
    assert "\\x1b[2J\\u202e" in drawn


def test_where_no_runner_lives_it_is_said():
    assert lines(scene(runners=[RUNNER | {"alive": False}]))[1] == "no runner is alive, 1 dead runner"


def test_trouble_stands_above_what_was_last_read():
    drawn = lines(Scene(db="q.db", now=NOW, record=record(), trouble="`q.db` is busy"))

    assert drawn[1:3] == ["`q.db` is busy", "1 runner, 4 workers"]


def test_trouble_before_anything_was_read_stands_alone():
    assert lines(Scene(db="q.db", now=NOW, record=None, trouble="no queue"), height=4)[1:] == [
        "no queue",
        "",
        "q leaves; every 1s",
    ]


@pytest.mark.parametrize("height", [1, 2, 5, 10, 15, 24, 60])
@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_no_line_is_too_long_and_none_too_many(width, height):
    wide = JobSpec(command="日本語" * 40)
    runs = [running(5.0, id=f"r{number}", spec=wide, job=None) for number in range(30)]
    dead = [run_record(make_run(state=State.DEAD, reason="x" * 300)) for _ in range(20)]

    drawn = lines(scene(running=runs, newest_dead=dead), width=width, height=height)

    assert len(drawn) == max(height, 1)
    assert max(cell_len(line) for line in drawn) <= width


def test_parts_that_have_no_room_say_how_much_is_left_out():
    runs = [running(id=f"r{number}") for number in range(30)]
    dead = [run_record(make_run(state=State.DEAD)) for _ in range(20)]

    drawn = lines(scene(running=runs, newest_dead=dead), height=24)

    more = [line for line in drawn if line.endswith("more")]
    shown = sum(line.startswith("  r") for line in drawn)
    assert sum(int(line.split()[1]) for line in more) + shown == 50


def test_a_rate_is_known_after_a_while_and_forgotten_after_a_purge():
    rate = Rate()
    found = []
    for at, ended in ((0, 100), (1, 101), (30, 130), (61, 191), (90, 20), (100, 30)):
        rate.see(at, ended)
        found.append(rate.a_minute())

    assert found == [None, None, 60, 90, None, 60]
