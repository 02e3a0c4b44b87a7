"""What the pages read, as values: how things have gone, what is wrong, what the coming day holds."""

from datetime import timedelta

from queuectl.dashboard.reads.overview import Weight, overview
from queuectl.dashboard.reads.run import bars, end_of_output, matching_lines, one_run
from queuectl.dashboard.reads.runs import Chosen, choices, run_list
from queuectl.dashboard.reads.schedule import day
from queuectl.dashboard.reads.trends import trend
from queuectl.dashboard.words import quoted
from queuectl.lifecycle import cancel
from queuectl.outcome import Exited
from queuectl.output import Sink
from queuectl.spool import Spool
from tests.support.factories import NOW, make_job
from tests.support.queue import AUTHOR, claim, declare, enqueue, finish

MINUTE = timedelta(minutes=1)


def remarks(store, now=NOW):
    """Return what the overview has to say, the worst first."""
    return [(each.weight, each.sentence) for each in overview(store, now).remarks]


def test_how_many_waited_is_reckoned_backwards_from_what_waits_now(store):
    for _ in range(3):
        enqueue(store, retries=0)
    finish(store, claim(store), Exited(0))
    finish(store, claim(store, now=NOW + 10 * MINUTE), Exited(3), now=NOW + 10 * MINUTE)
    left = store.run("r3")
    store.change(left, cancel(left, now=NOW + 20 * MINUTE))

    found = trend(store, NOW + 22 * MINUTE, "1 h")

    steps = {each.at: each for each in found.steps}
    assert [steps[NOW + n * MINUTE].waiting for n in (-5, 0, 5, 10, 15, 20)] == [0, 2, 2, 1, 1, 0]
    assert (steps[NOW].completed, steps[NOW + 10 * MINUTE].dead, steps[NOW + 20 * MINUTE].cancelled) == (1, 1, 1)
    assert [each.at for each in found.steps if each.is_open] == [NOW + 20 * MINUTE]


def test_a_time_in_which_nothing_happened_is_flat(store):
    assert trend(store, NOW, "24 h").is_flat


def test_all_is_well_where_nothing_is_due(store):
    enqueue(store, run_at=NOW + MINUTE)

    assert remarks(store) == []


def test_what_is_due_without_a_runner_is_a_fault(store):
    enqueue(store)

    assert remarks(store, NOW + 5 * MINUTE) == [(Weight.FAULT, "No runner is alive. 1 run is due, the oldest for 5m.")]


def test_a_slot_that_nobody_has_looked_at_is_a_fault(store):
    declare(store, make_job("backup", schedule="@every 1h"))

    assert remarks(store, NOW + 65 * MINUTE) == [
        (Weight.FAULT, "A slot that was due 5m ago has not been looked at, for no runner is alive.")
    ]


def test_an_attempt_past_its_time_out_is_a_fault_and_a_dead_runner_too(store):
    enqueue(store, timeout=60.0)
    claim(store)

    assert remarks(store, NOW + 2 * MINUTE) == [
        (Weight.FAULT, "Runner 1 on `atlas` has died."),
        (Weight.FAULT, "`true` (`r1`) runs for 2m, past its time-out."),
    ]


def test_the_dead_are_a_fault_for_a_day_and_a_warning_from_then_on(store):
    enqueue(store, retries=0)
    finish(store, claim(store), Exited(3))

    weights = [
        next(weight for weight, sentence in remarks(store, now) if "dead" in sentence)
        for now in (NOW + 5 * MINUTE, NOW + timedelta(hours=25))
    ]

    assert weights == [Weight.FAULT, Weight.WARNING]


def test_the_slots_of_a_paused_job_are_no_load(store):
    declare(store, make_job("a", schedule="0 6 * * *"), make_job("b", schedule="0 6 * * *"))
    store.pause("nightly/b", until=None, reason=None, author=AUTHOR, now=NOW)

    found = day(store, NOW + MINUTE)

    assert found.worst == ()
    assert [(each.name, each.is_paused, each.count) for each in found.jobs] == [
        ("nightly/a", False, 1),
        ("nightly/b", True, 1),
    ]
    assert [count for at, count in found.load if count] == [1]


def test_a_manifest_is_chosen_as_a_whole(store):
    declare(store, make_job("a", tags=("db",)), make_job("b"))
    enqueue(store)

    assert choices(store, NOW).jobs == ("nightly/*", "nightly/a", "nightly/b")
    assert choices(store, NOW).tags == ("db",)
    assert [run.job for run in run_list(store, NOW, Chosen(job="nightly/*")).runs] == ["nightly/b", "nightly/a"]


def test_the_life_of_a_run_is_waits_and_attempts(store):
    enqueue(store, retry_delay=60.0)
    run = finish(store, claim(store, now=NOW + MINUTE), Exited(3), now=NOW + MINUTE)

    found = one_run(store, NOW + 3 * MINUTE, run.id)

    assert [(bar.kind, bar.begin, bar.end) for bar in bars(found)] == [("failed", 0.0, 1.0), ("waited", 1.0, 180.0)]


def test_output_is_shown_from_its_end_and_searched_without_regard_to_case(store):
    run = enqueue(store)
    run = claim(store)
    spool = Spool(str(store.path))
    spool.prepare()
    sink = Sink(spool.output(run.execution, "stdout"), 1 << 20)
    sink.write(b"x" * 100_000 + b"\nlast \x1b[31mline\n")
    sink.close()

    end = end_of_output(spool, run.execution, "stdout")

    assert (end.before, end.text) == (100_001, "last \\x1b[31mline\n")
    found = list(matching_lines(spool, run.execution, "stdout", "LINE"))
    assert [line.split(maxsplit=1)[1] for line in found] == ["last \\x1b[31mline"]


def test_foreign_text_is_quoted_whatever_it_contains():
    assert [quoted(text) for text in ("a", "`", "a`b``c", " a", "", "a\nb", "\x1b")] == [
        "`a`",
        "`` ` ``",
        "```a`b``c```",
        "`  a `",
        "`-`",
        "`a\\nb`",
        "`\\x1b`",
    ]
