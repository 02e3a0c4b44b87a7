"""What is on record, in dated sentences: one test for each kind of answer."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from queuectl.evidence import Ahead, Declaration, Folded, Intervention, SlotEvidence, Times, times_at, unattended
from queuectl.job import HELD, Overlap, State, Stop
from queuectl.lifecycle import WITHDRAWN
from queuectl.outcome import Exited, Lost, TimedOut
from queuectl.pause import Pause
from queuectl.why import Kind
from queuectl.why_job import moment, why_job, why_job_at
from queuectl.why_run import why_run
from tests.support.evidence import DECLARED, HOUR, MINUTE, known_job, known_run, make_life, skipped
from tests.support.factories import NOW, make_attempt, make_run

SECOND = timedelta(seconds=1)
DAY = 24 * HOUR
BEFORE, SINCE = NOW - 10 * MINUTE, NOW + 2 * HOUR  # a downtime around the slot at NOW
DOWN = (make_life(NOW - DAY, BEFORE), make_life(SINCE, id=2, pid=9))
GAP = "no runner was alive from 2026-12-01T01:50:00Z to 2026-12-01T04:00:00Z"


def utc(text):
    return datetime.fromisoformat(f"{text}Z")


def sentences(answer, kind):
    return [fact.sentence for fact in answer.facts if fact.kind is kind]


# --- runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "conclusion"),
    [
        (
            known_run(state=State.COMPLETED, finished_at=NOW, attempt=2),
            "r1 ran: completed at 2026-12-01T02:00:00Z, attempt 2 of 4",
        ),
        (
            known_run(state=State.DEAD, finished_at=NOW, attempt=4, reason="exit code 3"),
            "r1 is dead since 2026-12-01T02:00:00Z: exit code 3; 4 of 4 attempts were made",
        ),
        (
            known_run(
                state=State.CANCELLED,
                finished_at=NOW,
                reason="cancelled before it ran",
                interventions=[Intervention(at=NOW, act="cancel", by="ada@atlas")],
            ),
            "r1 is cancelled since 2026-12-01T02:00:00Z by ada@atlas: cancelled before it ran",
        ),
        (
            known_run(
                state=State.CANCELLED,
                finished_at=NOW,
                reason="cancelled before it ran",
                job=known_job(overlap=Overlap.REPLACE).job,
            ),
            (
                "r1 is cancelled since 2026-12-01T02:00:00Z by the next slot "
                '(overlap = "replace"): cancelled before it ran'
            ),
        ),
        (
            known_run(
                state=State.CANCELLED,
                finished_at=NOW,
                reason=WITHDRAWN,
                job=known_job(overlap=Overlap.REPLACE).job,
            ),
            "r1 is cancelled since 2026-12-01T02:00:00Z: withdrawn by its manifest",
        ),
        (
            known_run(state=State.PENDING, run_at=NOW + HOUR, attempt=0),
            "r1 waits for its time: due at 2026-12-01T03:00:00Z, in 1h",
        ),
        (
            known_run(state=State.FAILED, run_at=NOW + 4 * SECOND, reason="exit code 3"),
            "r1 waits for its retry: attempt 2 of 4 is due at 2026-12-01T02:00:04Z, in 4s; the last: exit code 3",
        ),
        (
            known_run(
                state=State.PENDING, run_at=HELD, attempt=0, other=make_run(number=5, id="r5", started_at=NOW - HOUR)
            ),
            "r1 waits until r5 (began at 2026-12-01T01:00:00Z, runs) is over",
        ),
        (
            known_run(state=State.PENDING, attempt=0),
            "r1 is due since 2026-12-01T02:00:00Z, but no runner was ever started",
        ),
        (
            known_run(state=State.PENDING, attempt=0, runners=[make_life(NOW - DAY, NOW - HOUR)]),
            "r1 is due since 2026-12-01T02:00:00Z, but no runner is alive since 2026-12-01T01:00:00Z",
        ),
        (
            known_run(
                state=State.PENDING,
                attempt=0,
                runners=[make_life(busy=3)],
                ahead=Ahead(higher=1, earlier=10_001),
            ),
            (
                "r1 is due since 2026-12-01T02:00:00Z: what is claimed before it: 1 run of a larger priority and "
                "more than 10,000 runs of its own that came earlier; there is runner 1 (pid 7 on atlas) with 2 of 2 "
                "workers busy"
            ),
        ),
        (
            known_run(state=State.PENDING, attempt=0, runners=[make_life()], ahead=Ahead(higher=0, earlier=0)),
            (
                "r1 is due since 2026-12-01T02:00:00Z: nothing is claimed before it; "
                "there is runner 1 (pid 7 on atlas) with 0 of 2 workers busy"
            ),
        ),
        (
            known_run(started_at=NOW - MINUTE, runners=[make_life()]),
            "r1 runs for 1m: attempt 1 of 4 on runner 1 (pid 7 on atlas), since 2026-12-01T01:59:00Z",
        ),
        (
            known_run(started_at=NOW - MINUTE, stop=Stop.AFTER_ATTEMPT),
            "r1 runs for 1m: attempt 1 of 4, since 2026-12-01T01:59:00Z; it is to stop: after attempt",
        ),
        (
            known_run(runners=[make_life(heartbeat_at=NOW - MINUTE, is_alive=False)]),
            (
                "r1 ran on runner 1 (pid 7 on atlas), which died after 2026-12-01T01:59:00Z: "
                "the next runner finds out what became of it"
            ),
        ),
    ],
    ids=lambda value: value.run.state if hasattr(value, "run") else "",
)
def test_the_conclusion_says_where_a_run_is(known, conclusion):
    assert why_run(known, now=NOW).conclusion == conclusion


def test_a_missed_slot_names_the_time_in_which_no_runner_was_alive_and_who_began_and_ended_it():
    known = known_run(skipped("missed", created_at=SINCE), runners=DOWN)

    answer = why_run(known, now=SINCE)

    assert answer.conclusion == f"r8 did not run: {GAP}; then it was missed"
    assert [(fact.at, fact.sentence) for fact in answer.facts if fact.kind is Kind.RUNNER] == [
        (BEFORE, GAP),
        (BEFORE, "runner 1 (pid 7 on atlas) stopped"),
        (SINCE, "runner 2 (pid 9 on atlas) started"),
    ]


def test_a_runner_that_died_was_last_heard_of_before_it_was_found_dead():
    dead = make_life(NOW - DAY, SINCE, heartbeat_at=BEFORE, died=True)

    answer = why_run(known_run(skipped("missed", created_at=SINCE), runners=[dead, DOWN[1]]), now=SINCE)

    assert answer.conclusion == f"r8 did not run: {GAP}; then it was missed"
    found_dead = "runner 1 (pid 7 on atlas) was last heard of; it was found dead at 2026-12-01T04:00:00Z"
    assert found_dead in sentences(answer, Kind.RUNNER)


def test_a_suspend_is_a_silence_of_a_runner_that_lived_on():
    asleep = make_life(NOW - DAY, silences=((BEFORE, SINCE),))

    answer = why_run(known_run(skipped("missed", created_at=SINCE), runners=[asleep]), now=SINCE)

    assert answer.conclusion == f"r8 did not run: {GAP}; then it was missed"
    slept = "runner 1 (pid 7 on atlas) gave no sign for 2h 10m: the machine slept, or its clock was set forward"
    assert slept in sentences(answer, Kind.RUNNER)


def test_a_clock_that_was_set_back_is_told():
    runner = make_life(NOW - DAY, silences=((NOW + MINUTE, NOW - HOUR),))
    known = known_run(skipped("missed", created_at=NOW + HOUR), runners=[runner])

    told = "the clock was set back from 2026-12-01T02:01:00Z, as runner 1 (pid 7 on atlas) saw it"
    assert told in sentences(why_run(known, now=NOW + HOUR), Kind.RUNNER)


def test_runners_that_leave_schedules_alone_do_not_count_for_slots():
    lodger = make_life(NOW - DAY, has_schedule=False)
    known = known_run(skipped("missed", created_at=SINCE), runners=[lodger, *DOWN])

    assert why_run(known, now=SINCE).conclusion == (
        "r8 did not run: no runner that looks at schedules was alive from 2026-12-01T01:50:00Z to "
        "2026-12-01T04:00:00Z; then it was missed"
    )


@pytest.mark.parametrize(
    ("reason", "keys", "conclusion"),
    [
        ("overlap", {"other": make_run(number=7, id="r7", state=State.COMPLETED, started_at=NOW - HOUR,
                                       finished_at=NOW + HOUR)},
         ('r8 did not run: r7 (began at 2026-12-01T01:00:00Z, ended at 2026-12-01T03:00:00Z) was not over '
         '(overlap = "skip")')),
        ("overlap", {}, 'r8 did not run: a run before it was not over (overlap = "skip")'),
        ("paused", {"pauses": [Pause(scope="nightly", begins_at=NOW - HOUR, until=NOW + HOUR, by="ada@atlas",
                                     reason="the disk is full")]},
         ("r8 did not run: nightly was paused since 2026-12-01T01:00:00Z until 2026-12-01T03:00:00Z by ada@atlas: "
         "the disk is full")),
        ("coalesced", {"runners": DOWN, "other": make_run(number=9, id="r9", slot=NOW + HOUR)},
         f"r8 did not run: {GAP}; of the slots since then only the newest counts, 2026-12-01T03:00:00Z with run r9"),
        ("missed", {"runners": [make_life(NOW - DAY)]},
         ('r8 did not run: its slot was looked at at 2026-12-01T04:00:00Z, 2h late; then it was missed '
         '(catchup = "latest")')),
    ],
)  # fmt: skip
def test_a_skipped_slot_says_what_it_gave_way_to(reason, keys, conclusion):
    known = known_run(skipped(reason, created_at=SINCE), job=known_job().job, **keys)

    found = why_run(known, now=SINCE).conclusion

    assert found.removesuffix(' (catchup = "latest")') == conclusion.removesuffix(' (catchup = "latest")')


def test_a_one_shot_that_was_declared_too_late_says_by_how_much():
    run = skipped("missed", slot=None, run_at=NOW, scheduled_at=NOW, created_at=NOW + 40 * DAY)

    assert why_run(known_run(run), now=NOW + 40 * DAY).conclusion == (
        "r8 did not run: it was declared 40d after its time, 2026-12-01T02:00:00Z"
    )


def test_attempts_tell_how_they_ended_where_and_what_they_last_wrote():
    run = make_run(state=State.FAILED, run_at=NOW + MINUTE, attempt=3)
    ended = [
        make_attempt(replace(run, lease=lease, runner=1, attempts=number), outcome, seconds=2)
        for lease, number, outcome in ((1, 1, Exited(3)), (2, 2, Lost("its runner died")), (3, 2, TimedOut(2.0)))
    ]
    known = known_run(run, attempts=ended, last_words={1: "cat: no such file"}, runners=[make_life()])

    assert sentences(why_run(known, now=NOW), Kind.ATTEMPT) == [
        "attempt 1 ended after 2s on runner 1 (pid 7 on atlas): exit code 3; it last wrote: cat: no such file",
        "attempt 2 ended after 2s on runner 1 (pid 7 on atlas): lost: its runner died",
        "attempt 2 ended after 2s on runner 1 (pid 7 on atlas): timed out after 2 s",
    ]
    assert sentences(why_run(known, now=NOW), Kind.RETRY) == ["attempt 4 of 4 is due"]


def test_facts_come_in_the_order_of_their_times():
    run = make_run(
        state=State.COMPLETED, slot=NOW, created_at=NOW + MINUTE, started_at=NOW + HOUR, finished_at=NOW + 2 * HOUR
    )
    known = known_run(
        run,
        job=known_job(timezone="Europe/Berlin", spread=600.0).job,
        declarations=[
            DECLARED,
            replace(DECLARED, apply=5, at=NOW + HOUR, action="update", fields={"command": ("a", "b")}),
        ],
        interventions=[Intervention(at=NOW + 30 * MINUTE, act="retry", by="bob@atlas")],
        runners=[make_life(NOW - DAY)],
    )

    answer = why_run(known, now=NOW + 3 * HOUR)

    assert [(fact.kind, fact.sentence) for fact in answer.facts] == [
        (Kind.DECLARED, "declared by apply 4 of ada@atlas, commit c0ffeec0ff"),
        (Kind.SLOT, "slot 2026-12-01T02:00:00Z (03:00:00 +0100 Europe/Berlin); it begins 3m 16s later by its spread"),
        (Kind.QUEUE, "queued, 1m after the slot"),
        (Kind.PERSON, "given back to the queue by bob@atlas"),
        (Kind.DECLARED, "changed by apply 5 of ada@atlas, commit c0ffeec0ff: `command`"),
        (Kind.END, "completed"),
    ]
    assert [fact.at for fact in answer.facts] == sorted(fact.at for fact in answer.facts)


@pytest.mark.parametrize(
    ("at", "conclusion"),
    [
        (NOW - SECOND, "was not in the queue at 2026-12-01T01:59:59Z: it was queued at 2026-12-01T02:00:00Z"),
        (NOW + MINUTE, "waited at 2026-12-01T02:01:00Z for its time, 2026-12-01T02:10:00Z"),
        (NOW + 15 * MINUTE, "waited at 2026-12-01T02:15:00Z: there was runner 1 (pid 7 on atlas) with 2 workers"),
        (NOW + 20 * MINUTE, "ran at 2026-12-01T02:20:00Z: attempt 1 from 2026-12-01T02:20:00Z to 2026-12-01T02:21:00Z"),
        (NOW + 25 * MINUTE, "waited at 2026-12-01T02:25:00Z, after attempt 1: exit code 3"),
        (NOW + 31 * MINUTE, "was over at 2026-12-01T02:31:00Z: dead since 2026-12-01T02:30:00Z"),
        (NOW + 2 * HOUR, ("has not come to 2026-12-01T04:00:00Z; now it is dead since 2026-12-01T02:30:00Z: exit "
                         "code 3; 1 of 4 attempts were made")),
    ],
)  # fmt: skip
def test_at_a_time_a_run_is_where_it_was_then(at, conclusion):
    due, began, end = NOW + 10 * MINUTE, NOW + 20 * MINUTE, NOW + 30 * MINUTE
    run = make_run(
        state=State.DEAD, scheduled_at=due, run_at=due, started_at=began, finished_at=end, reason="exit code 3"
    )
    attempt = replace(make_attempt(run, Exited(3)), started_at=began, finished_at=began + MINUTE)

    answer = why_run(known_run(run, attempts=[attempt], runners=[make_life()]), now=NOW + HOUR, at=at)

    assert answer.conclusion == f"r1 {conclusion}"


# --- jobs ------------------------------------------------------------------------------------------------------


def test_a_job_says_what_became_of_its_latest_slot_and_when_the_next_is():
    latest = known_run(skipped("missed", created_at=SINCE), runners=DOWN)
    known = known_job("0 3 * * *", timezone="Europe/Berlin", next_slot=NOW + DAY, latest=latest)

    answer = why_job(known, now=SINCE)

    assert answer.conclusion == (
        f"nightly/report: run r8 of slot 2026-12-01T02:00:00Z (03:00:00 +0100 Europe/Berlin) did not run: {GAP}; then "
        "it was missed; next at 2026-12-02T02:00:00Z (03:00:00 +0100 Europe/Berlin), in 22h"
    )
    assert answer.facts[-1].kind is Kind.NEXT


@pytest.mark.parametrize(
    ("known", "conclusion"),
    [
        (
            known_job(next_slot=NOW + HOUR),
            (
                "has not run yet: it was declared by apply 4 of ada@atlas, commit c0ffeec0ff at 2026-11-30T02:00:00Z; "
                "next at 2026-12-01T03:00:00Z, in 1h"
            ),
        ),
        (
            known_job(next_slot=NOW - HOUR, runners=[make_life(NOW - DAY, NOW - 2 * HOUR)]),
            (
                "slot 2026-12-01T01:00:00Z has not run yet: no runner is alive since 2026-12-01T00:00:00Z; "
                "next at 2026-12-01T02:30:00Z, in 30m"
            ),
        ),
        (
            known_job(next_slot=NOW - SECOND, runners=[make_life()]),
            (
                "slot 2026-12-01T01:59:59Z has not run yet: a runner is about to look at it; "
                "next at 2026-12-01T02:30:00Z, in 30m"
            ),
        ),
        (
            known_job(
                removed_at=NOW,
                declarations=[DECLARED, replace(DECLARED, apply=6, at=NOW, action="remove", commit=None)],
            ),
            (
                "has not run yet: it was declared by apply 4 of ada@atlas, commit c0ffeec0ff at 2026-11-30T02:00:00Z; "
                "it is not declared any more: apply 6 of ada@atlas removed it at 2026-12-01T02:00:00Z"
            ),
        ),
        (
            known_job(
                enabled=False,
                declarations=[replace(DECLARED, action="update", fields={"enabled": (True, False)}, is_dirty=True)],
                latest=known_run(state=State.COMPLETED, finished_at=NOW),
            ),
            (
                "run r1 ran: completed at 2026-12-01T02:00:00Z, attempt 1 of 4; it is disabled by apply 4 of "
                "ada@atlas, commit c0ffeec0ff (the files differed from it) at 2026-11-30T02:00:00Z"
            ),
        ),
        (
            known_job(None, latest=known_run(state=State.COMPLETED, finished_at=NOW)),
            (
                "run r1 ran: completed at 2026-12-01T02:00:00Z, attempt 1 of 4; "
                "it runs again once its `revision` or `run_at` changes"
            ),
        ),
        (
            known_job(None, latest=known_run(state=State.PENDING, run_at=NOW + HOUR, attempt=0)),
            "run r1 waits for its time: due at 2026-12-01T03:00:00Z, in 1h",
        ),
        (
            known_job(next_slot=NOW + HOUR, declarations=(), pauses=[Pause(scope="", begins_at=NOW, by="ada@atlas")]),
            (
                "has not run yet; its slots pass without a run: everything was paused since 2026-12-01T02:00:00Z "
                "by ada@atlas"
            ),
        ),
        (
            known_job(
                next_slot=NOW + HOUR,
                declarations=(),
                pauses=[Pause(scope="nightly", begins_at=NOW, until=NOW + 3 * DAY, by="ada@atlas")],
            ),
            "has not run yet; next at 2026-12-04T02:30:00Z, in 3d, when the pause of nightly is over",
        ),
    ],
    ids=["new", "nobody", "any moment", "removed", "disabled", "one-shot over", "one-shot waits", "paused", "until"],
)
def test_the_conclusion_says_when_a_job_runs_next_or_why_it_does_not(known, conclusion):
    assert why_job(known, now=NOW).conclusion == f"nightly/report: {conclusion}"


def ask(known, local, found=None, now=NOW, instant=None):
    asked = moment(known, datetime.fromisoformat(local), instant or utc(local))
    return why_job_at(known, asked, found or (SlotEvidence(slot=asked.slot) if asked.slot else None), now=now)


def test_a_time_that_the_schedule_does_not_name_is_told_field_by_field():
    answer = ask(known_job("30 2 1,15 * 1", timezone="UTC"), "2026-12-01T02:00")

    assert answer.conclusion == (
        "nightly/report: was not due at 2026-12-01 02:00 UTC: minute `30` is not 0; "
        "the slot before is 2026-11-30T02:30:00Z, the one after 2026-12-01T02:30:00Z"
    )
    assert sentences(answer, Kind.SCHEDULE) == [
        "`30 2 1,15 * 1` does not name Tue 2026-12-01 02:00 UTC",
        "minute `30` does not match 0",
        "hour `2` matches 2",
        "day of month `1,15` matches 1",
        "month `*` matches 12",
        "day of week `1` does not match 2",
        "both day fields are set: one that matches is enough",
    ]


@pytest.mark.parametrize(
    ("schedule", "local", "conclusion"),
    [
        ("30 2 * * *", "2027-03-28T02:30",
         "slot 2027-03-28T01:00:00Z (03:00:00 +0200 Europe/Berlin) is due, in 116d 23h"),
        ("*/30 2 * * *", "2027-03-28T02:30",
         ("is not due at 2027-03-28 02:30 Europe/Berlin: `*/30 2 * * *` names it, but the clocks of Europe/Berlin "
         "skipped it, and what follows elapsed time is not made up for; the slot before is 2027-03-27T01:30:00Z "
         "(02:30:00 +0100 Europe/Berlin), the one after 2027-03-29T00:00:00Z (02:00:00 +0200 Europe/Berlin)")),
    ],
)  # fmt: skip
def test_a_time_that_the_clocks_skip_is_made_up_for_or_not(schedule, local, conclusion):
    answer = ask(known_job(schedule, timezone="Europe/Berlin"), local, instant=utc("2027-03-28T01:30"))

    assert answer.conclusion == f"nightly/report: {conclusion}"
    assert "the clocks of Europe/Berlin skipped this minute" in sentences(answer, Kind.SCHEDULE)


def test_a_time_that_the_clocks_show_twice_says_so():
    answer = ask(known_job(timezone="Europe/Berlin"), "2027-10-31T02:30", instant=utc("2027-10-31T00:30"))

    assert "the clocks of Europe/Berlin showed this minute twice" in sentences(answer, Kind.SCHEDULE)


def test_a_slot_that_ran_or_was_skipped_is_told_with_its_run():
    found = SlotEvidence(slot=NOW, run=known_run(skipped("missed", created_at=SINCE), runners=DOWN))

    answer = ask(known_job("0 2 * * *"), "2026-12-01T02:00", found, now=SINCE)

    assert answer.conclusion == (
        f"nightly/report: run r8 of slot 2026-12-01T02:00:00Z did not run: {GAP}; then it was missed"
    )
    assert GAP in sentences(answer, Kind.RUNNER)


@pytest.mark.parametrize(
    ("known", "found", "now", "conclusion"),
    [
        (known_job("0 2 * * *"), SlotEvidence(slot=NOW), NOW + HOUR, "has no run on record: it was purged"),
        (known_job("0 2 * * *", next_slot=NOW, runners=[make_life(NOW - DAY, BEFORE)]), SlotEvidence(slot=NOW),
         NOW + HOUR, "has not run yet: no runner is alive since 2026-12-01T01:50:00Z"),
        (known_job("0 2 * * *", next_slot=NOW + DAY),
         SlotEvidence(slot=NOW, folded=Folded(first=NOW - DAY, last=NOW, count=4400, recorded_at=NOW)), NOW + HOUR,
         ("did not run: it is one of 4,400 slots from 2026-11-30T02:00:00Z to 2026-12-01T02:00:00Z that were too many "
         "to run or record")),
        (known_job("0 2 * * *"), SlotEvidence(slot=NOW, anew=replace(DECLARED, apply=5, at=NOW + SECOND)), NOW + HOUR,
         "did not run: apply 5 of ada@atlas, commit c0ffeec0ff began the slots anew at 2026-12-01T02:00:01Z"),
        (known_job("0 2 * * *", pauses=[Pause(scope="nightly", begins_at=NOW - DAY, by="ada@atlas")]),
         SlotEvidence(slot=NOW), NOW - HOUR, ("is due, and will not run: nightly was paused since 2026-11-30T02:00:00Z "
         "by ada@atlas")),
    ],
    ids=["purged", "not looked at", "folded", "anew", "paused"],
)  # fmt: skip
def test_a_slot_without_a_run_says_why_there_is_none(known, found, now, conclusion):
    answer = ask(known, "2026-12-01T02:00", found, now=now)

    assert answer.conclusion == f"nightly/report: slot 2026-12-01T02:00:00Z {conclusion}"


@pytest.mark.parametrize(
    ("known", "conclusion"),
    [
        (known_job(declarations=[replace(DECLARED, at=NOW + HOUR)]),
         ("was not declared at 2026-12-01 02:30 UTC: apply 4 of ada@atlas, commit c0ffeec0ff declared it at "
         "2026-12-01T03:00:00Z")),
        (known_job(removed_at=NOW, declarations=[DECLARED, replace(DECLARED, apply=5, at=NOW, action="remove",
                                                                   commit=None)]),
         "was not declared any more at 2026-12-01 02:30 UTC: apply 5 of ada@atlas removed it at 2026-12-01T02:00:00Z"),
        (known_job(enabled=False), "was disabled at 2026-12-01 02:30 UTC"),
        (known_job(None), "was not queued at 2026-12-01 02:30 UTC"),
        (known_job(None, latest=known_run(state=State.COMPLETED, finished_at=NOW)),
         "run r1 was over at 2026-12-01T02:30:00Z: completed since 2026-12-01T02:00:00Z"),
    ],
    ids=["not yet", "removed", "disabled", "no run", "one-shot"],
)  # fmt: skip
def test_at_a_time_without_a_schedule_a_job_says_what_it_was(known, conclusion):
    answer = ask(known, "2026-12-01T02:30", now=NOW + HOUR)

    assert answer.conclusion == f"nightly/report: {conclusion}"


# --- what is on record -----------------------------------------------------------------------------------------


def test_what_later_applies_changed_is_taken_back():
    def applied(number, action, **fields):
        return Declaration(apply=number, at=NOW + number * HOUR, by="ada@atlas", action=action, fields=fields)

    known = known_job(
        "0 5 * * *",
        timezone="Europe/Berlin",
        declarations=[
            applied(1, "create"),
            applied(2, "update", schedule=("0 3 * * *", "0 4 * * *"), timezone=("UTC", "Europe/Berlin")),
            applied(3, "remove", schedule=("0 4 * * *", None), timezone=("Europe/Berlin", None)),
            applied(4, "create"),
            applied(5, "update", enabled=(False, True), command=("a", "b")),
        ],
    )

    found = [times_at(known, NOW + hours * HOUR) for hours in (0, 1, 2, 3, 4, 5)]

    assert [(times.is_declared, times.is_enabled) for times in found] == [
        (False, False), (True, False), (True, False), (False, False), (True, False), (True, True)
    ]  # fmt: skip
    assert found[1] == Times(is_declared=True, is_enabled=False, schedule="0 3 * * *", timezone="UTC")
    assert (found[2].schedule, found[2].timezone) == ("0 4 * * *", "Europe/Berlin")
    assert (found[5].schedule, found[5].timezone) == ("0 5 * * *", "Europe/Berlin")


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        ([], [(None, None)]),
        ([make_life(NOW - HOUR)], []),
        ([make_life(NOW - HOUR, NOW + HOUR)], []),
        ([make_life(NOW + MINUTE)], [(None, NOW + MINUTE)]),
        ([make_life(NOW - HOUR, NOW - MINUTE)], [(NOW - MINUTE, None)]),
        ([make_life(NOW - HOUR, NOW - MINUTE), make_life(NOW + MINUTE)], [(NOW - MINUTE, NOW + MINUTE)]),
        ([make_life(NOW - HOUR, NOW - SECOND), make_life(NOW + SECOND)], []),
        ([make_life(NOW - HOUR, NOW - MINUTE), make_life(NOW - 2 * HOUR)], []),
    ],
    ids=["none", "alive", "stopped later", "first", "last", "between", "handed over", "two"],
)
def test_times_without_a_runner_touch_the_time_that_is_asked_about(lives, expected):
    assert unattended(lives, NOW, NOW + 2 * MINUTE, now=NOW + 2 * HOUR) == expected


def test_a_job_that_is_not_declared_names_no_slots():
    known = known_job("0 2 * * *", declarations=[replace(DECLARED, at=NOW + HOUR)])

    assert moment(known, NOW.replace(tzinfo=None), NOW).slot is None


@pytest.mark.parametrize(
    ("schedule", "zone", "local", "instant", "slot"),
    [
        ("30 2 * * *", "UTC", "2026-12-01T02:30:59", "2026-12-01T02:30:59", "2026-12-01T02:30:00"),
        ("@every 1s", "UTC", "2026-12-01T02:30:07", "2026-12-01T02:30:07", "2026-12-01T02:30:07"),
        ("@every 20s", "UTC", "2026-12-01T02:30:01", "2026-12-01T02:30:01", "2026-12-01T02:30:20"),
        ("*/30 2 * * *", "Europe/Berlin", "2027-10-31T02:30:00", "2027-10-31T00:30:00", "2027-10-31T00:30:00"),
        ("*/30 2 * * *", "Europe/Berlin", "2027-10-31T02:30:00", "2027-10-31T01:30:00", "2027-10-31T01:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2027-10-31T02:30:00", "2027-10-31T01:30:00", "2027-10-31T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2027-03-28T02:30:00", "2027-03-28T01:30:00", "2027-03-28T01:00:00"),
    ],
)
def test_of_the_slots_of_a_minute_the_one_that_is_meant_is_told(schedule, zone, local, instant, slot):
    known = known_job(schedule, timezone=zone)

    assert moment(known, datetime.fromisoformat(local), utc(instant)).slot == utc(slot)
