"""The judge is judged: a good history passes, and each thing that may not be is found by its name."""

from dataclasses import replace

import pytest

from tests.soak.history import (
    CHECKS,
    Event,
    History,
    Line,
    StoredAttempt,
    StoredRun,
    executed_again,
    parse_line,
    parse_witness,
    violations,
)

# Run `a` failed once, was lost once, and succeeded; `b` was given back unbegun, then failed for good.
A = StoredRun(
    id="a",
    state="completed",
    attempts=2,
    retries=2,
    interruptions=1,
    finished_at=20.0,
    retry_delay=1.0,
    backoff_base=2.0,
    attempts_made=(
        StoredAttempt(lease=1, number=1, outcome="exited", exit_code=3, started_at=1.0, finished_at=2.0),
        StoredAttempt(lease=4, number=2, outcome="lost", started_at=5.0, finished_at=8.0),
        StoredAttempt(lease=6, number=2, outcome="exited", exit_code=0, started_at=11.0, finished_at=19.0),
    ),
)
B = StoredRun(
    id="b",
    state="dead",
    attempts=1,
    retries=0,
    finished_at=9.0,
    attempts_made=(
        StoredAttempt(lease=1, number=1, outcome="released", began=False, started_at=1.0, finished_at=1.5),
        StoredAttempt(lease=5, number=1, outcome="exited", exit_code=7, started_at=6.0, finished_at=9.0),
    ),
)
WITNESS = (
    Event("start", "a", 1, 1, 100, 1.1),
    Event("end", "a", 1, 1, 100, 1.9, 3),
    Event("start", "a", 4, 2, 101, 5.1),
    Event("start", "b", 5, 1, 102, 6.1),
    Event("end", "b", 5, 1, 102, 8.9, 7),
    Event("start", "a", 6, 2, 103, 11.1),
    Event("end", "a", 6, 2, 103, 18.9, 0),
)
LINES = (
    Line("a", 1, "failed", "exit code 3; next attempt in 2s"),
    Line("a", 2, "failed", "lost: its worker was killed; next attempt in 2s"),
    Line("a", 2, "completed"),
    Line("b", 1, "pending", "given back by a runner before it began"),
    Line("b", 1, "dead", "exit code 7"),
)


def history(a=A, b=B, **changes):
    known = {
        "requested": frozenset("abc"),  # the `enqueue` of c was killed before it did anything
        "acknowledged": frozenset("ab"),
        "runs": {run.id: run for run in (a, b)},
        "witness": WITNESS,
        "lines": LINES,
    }
    return History(**(known | changes))


def with_attempt(run, place, **changes):
    attempts = list(run.attempts_made)
    attempts[place] = replace(attempts[place], **changes)
    return replace(run, attempts_made=tuple(attempts))


def without(run, place):
    return replace(run, attempts_made=run.attempts_made[:place] + run.attempts_made[place + 1 :])


C = StoredRun(id="c", state="pending", attempts=0, retries=0)
LATE_END = (*WITNESS[:6], Event("end", "a", 4, 2, 101, 11.2, 0), WITNESS[6])
POISONED = StoredRun(
    id="b",
    state="failed",
    attempts=0,
    retries=9,
    interruptions=5,
    attempts_made=tuple(
        StoredAttempt(lease=lease, number=1, outcome="lost", started_at=lease, finished_at=lease + 0.5)
        for lease in range(1, 6)
    ),
)

BAD = [
    ("nothing lost", history(a=replace(A, state="processing"))),
    ("nothing lost", history(acknowledged=frozenset("abc"))),
    ("nothing unexpected", history(requested=frozenset("a"))),
    ("nothing unexpected", history(witness=(*WITNESS, Event("start", "ghost", 9, 1, 104, 30.0)))),
    ("no overlap", history(witness=(*WITNESS[:5], Event("overlap", "a", 6, 2, 103, 11.0), *WITNESS[5:]))),
    ("no overlap", history(witness=LATE_END)),
    ("no more attempts than allowed", history(a=replace(A, retries=0))),
    ("no more attempts than allowed", history(b=replace(B, attempts=2))),
    ("at most once without retries", history(witness=(*WITNESS[:3], Event("start", "b", 1, 1, 99, 5.5), *WITNESS[3:]))),
    ("dead exactly when exhausted", history(b=replace(B, retries=1))),
    ("dead exactly when exhausted", history(b=replace(B, state="failed"))),
    ("dead exactly when exhausted", history(b=POISONED)),
    ("dead exactly when exhausted", history(a=replace(A, interruptions=0))),
    ("completed exactly when done", history(witness=WITNESS[:-1])),
    ("completed exactly when done", history(b=replace(B, state="completed"))),
    ("one settle an attempt", history(a=with_attempt(A, 1, outcome="timed out"))),
    ("one settle an attempt", history(b=with_attempt(B, 0, lease=5))),
    ("one settle an attempt", history(lines=(*LINES, Line("a", 2, "dead", "exit code 1")))),
    ("every line is stored", history(lines=(*LINES, Line("a", 3, "completed")))),
    ("every line is stored", history(lines=(*LINES, LINES[1]))),
    ("every start is accounted for", history(a=without(A, 1))),
    ("every start is accounted for", history(a=with_attempt(A, 1, outcome="released", began=False))),
    ("every start is accounted for", history(witness=(*WITNESS[:3], *WITNESS[2:]))),
    ("nothing starts after the end", history(a=replace(A, finished_at=10.0))),
    ("backoff is kept", history(a=replace(A, retry_delay=2.0))),
    ("backoff is kept", history(a=with_attempt(A, 1, finished_at=9.5))),
    ("no process left", history(left_processes=["worker 12 of runner 1 is left"])),
    ("no lock left", history(held_locks=["the lock of execution 3.7 is held"])),
    ("nobody ended unasked", history(troubles=["runner 2 exited with 1"])),
    ("integrity", history(integrity="row 3 missing from index runs_waiting")),
]


def test_a_good_history_passes():
    assert violations(history()) == []


def test_what_never_began_need_not_be_stored():
    assert violations(history(b=without(B, 0))) == []


def test_a_run_whose_enqueue_was_killed_after_the_commit_may_be_there():
    acknowledged = frozenset("a")

    assert violations(history(acknowledged=acknowledged)) == []


@pytest.mark.parametrize(("check", "bad"), BAD, ids=[f"{check}-{number}" for number, (check, _) in enumerate(BAD)])
def test_what_may_not_be_is_found_by_its_name(check, bad):
    assert check in {violation.check for violation in violations(bad)}


def test_there_is_a_bad_history_for_every_check():
    assert {check for check, _ in BAD} == set(CHECKS)


def test_a_run_that_was_executed_once_more_after_a_success_is_counted():
    twice = (Event("start", "b", 1, 1, 99, 1.0), Event("end", "b", 1, 1, 99, 1.2, 0), *WITNESS)

    assert (executed_again(history()), executed_again(history(witness=twice))) == (0, 1)


def test_what_jobs_write_is_read_in_their_order():
    assert parse_witness(
        "start run-7 12.34 2 4711 1700000000500000000 \nend run-7 12.34 2 4711 1700000001000000000 0\n"
    ) == [
        Event("start", "run-7", 34, 2, 4711, 1700000000.5),
        Event("end", "run-7", 34, 2, 4711, 1700000001.0, 0),
    ]


def test_half_a_line_of_a_job_is_refused():
    with pytest.raises(ValueError, match="unpack"):
        parse_witness("start run-7 12.34\n")


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("2026-12-01T02:00:00Z  completed  run-7  sh job.sh quick  attempt 1/3  4ms", "charged"),
        ("2026-12-01T02:00:00Z  failed     run-7  sh  attempt 1/3  4ms  exit code 3; next attempt in 2s", "charged"),
        ("2026-12-01T02:00:00Z  failed     run-7  sh  attempt 1/3  4ms  lost: its runner died", "lost"),
        ("2026-12-01T02:00:00Z  dead       run-7  sh  attempt 1/3  4ms  poison: 5 attempts lost", "lost"),
        ("2026-12-01T02:00:00Z  pending    run-7  sh  attempt 1/3  4ms  ended by a runner that shut down", "released"),
        (
            "2026-12-01T02:00:00Z  pending    run-7  sh  attempt 1/3  4ms  given back by a runner before it began",
            "unbegun",
        ),
        ("2026-12-01T02:00:00Z  dead       run-7  sh  attempt 1/1  4ms  ended by a runner that shut down", "released"),
    ],
)
def test_the_lines_of_a_runner_say_what_became_of_an_attempt(text, outcome):
    line = parse_line(text)

    assert (line.run, line.number, line.outcome) == ("run-7", 1, outcome)


def test_other_lines_of_a_runner_say_nothing_of_an_attempt():
    assert parse_line("warning: the database is busy; trying again") is None
