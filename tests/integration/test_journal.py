"""The journal on a real file, also one that a machine left behind which stopped while it was written."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.frozen import changed
from queuectl.journal import Journal, attempt_in, read_journals, record_line
from queuectl.outcome import Cancelled, Exited, Lost, Released, Signalled, TimedOut
from queuectl.records import to_micros
from tests.support.factories import make_attempt, make_run

_RUNS = [make_run(number=number, lease=10 * number) for number in range(1, 40)]
_ATTEMPTS = {run.execution: make_attempt(run, Exited(run.number % 3)) for run in _RUNS}


def line_of(attempt):
    cpu = attempt.cpu_seconds
    return record_line(
        attempt.lease,
        attempt.number,
        attempt.runner,
        to_micros(attempt.started_at),
        to_micros(attempt.finished_at),
        attempt.outcome,
        attempt.stdout_bytes,
        attempt.stderr_bytes,
        None if cpu is None else round(cpu * 1_000_000),
        attempt.max_rss_bytes,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What a worker writes that begins one execution more than it ends."""
    journal = Journal(str(tmp_path_factory.mktemp("running") / "1.1"))
    for run in _RUNS:
        journal.begin(run.execution)
        journal.end(line_of(_ATTEMPTS[run.execution]))
    journal.begin("99.990")
    journal.let_go()
    return Path(journal.path).read_bytes()


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return what a journal of these bytes says."""
    path = tmp_path_factory.mktemp("running") / "1.1.1"

    def found(data):
        path.write_bytes(data)
        return read_journals([str(path)])

    return found


def test_a_journal_says_what_began_and_how_it_ended(written, read):
    found = read(written)

    assert {execution: entry.attempt for execution, entry in found.items()} == _ATTEMPTS | {"99.990": None}
    assert [execution for execution, entry in found.items() if entry.is_last] == ["99.990"]
    assert {entry.worker for entry in found.values()} == {os.getpid()}


@pytest.mark.parametrize(
    "outcome",
    [
        Exited(0),
        Exited(127, 'cannot start `x"\n\\`: not found'),
        Signalled(9),
        TimedOut(1.5),
        Cancelled(),
        Lost("its worker\nwas killed"),
        Released(),
        Released(began=False),
    ],
)
@pytest.mark.parametrize("usage", [{}, {"cpu_seconds": 0.000755, "max_rss_bytes": 1 << 20}])
def test_a_line_tells_of_an_attempt_what_there_is_to_tell(outcome, usage):
    attempt = changed(make_attempt(_RUNS[0], outcome), stdout_bytes=3, **usage)

    line = line_of(attempt)

    assert b"\n" not in line
    assert attempt_in(line) == attempt


@given(begin=st.integers(0, 12_000), length=st.integers(0, 12_000))
def test_a_hole_in_a_journal_hides_attempts_and_swaps_none(written, read, begin, length):
    hole = written[:begin] + bytes(len(written[begin : begin + length])) + written[begin + length :]

    for execution, entry in read(hole).items():
        assert entry.attempt is None or entry.attempt == _ATTEMPTS[execution]


@pytest.mark.parametrize("hole", range(1, 8))
def test_a_hole_in_a_name_makes_no_other(read, hole):
    name = b"100.990"
    holed = name[: hole - 1] + b"\0" + name[hole:]

    assert read(b"worker 1\n" + holed + b'\n[990,1,1,0,0,"exited",0,null,null,null,0,0,null,null]\n') == {}


@given(begin=st.integers(0, 12_000), rubbish=st.binary(max_size=400))
def test_a_damaged_journal_is_read_as_far_as_it_can_be(written, read, begin, rubbish):
    read(written[:begin] + rubbish + written[begin + len(rubbish) :])


@given(st.binary(max_size=1000))
def test_any_file_can_be_read_as_a_journal(read, data):
    read(data)


@pytest.mark.parametrize(
    "record",
    [
        b"[]",
        b"[990]",
        b"[990,1,1,0,0,0,0,0,0,0,0,0,0,0]",
        b'[990,1,1,0,0,"melted",0,null,null,null,0,0,0,0]',
        b'[990,1,1,"x",0,"exited",0,null,null,null,0,0,0,0]',
        b'[990,1,1,1e400,0,"exited",0,null,null,null,0,0,0,0]',
        b'[[],1,1,0,0,"exited",0,null,null,null,0,0,0,0]',
        b'[990,1,1,0,0,"exited",0,null,null,null,0,0,0',
        b"[" * 50_000,
    ],
)
def test_a_record_that_makes_no_sense_is_none(read, record):
    assert read(b"worker 1\n99.990\n" + record + b"\n")["99.990"].attempt is None
