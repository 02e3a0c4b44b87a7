"""The local pool with real worker processes."""

import contextlib
import os
import selectors
import signal
import sys
from pathlib import Path

import pytest

from queuectl.outcome import Cancelled, Exited, Lost, Released
from queuectl.output import read_output
from queuectl.pool import LocalPool
from queuectl.process import Interrupt
from tests.support.factories import make_run, make_spec
from tests.support.waiting import eventually


@pytest.fixture
def make_pool(spool):
    """Start pools that are closed with the test."""
    with contextlib.ExitStack() as stack:

        def make(size, **keys):
            selector = stack.enter_context(selectors.DefaultSelector())
            opened = LocalPool(size, spool, selector, runner=1, output_limit=1 << 20, **keys)
            stack.callback(opened.close)
            return opened

        yield make


@pytest.fixture
def pool(make_pool):
    return make_pool(2, begins_within=60)


def runs(*commands, **keys):
    return [
        make_run(number=number, id=f"r{number}", spec=make_spec(command=command, **keys))
        for number, command in enumerate(commands, start=1)
    ]


def answers(pool, count):
    """Collect so many answers; return the outcomes by the number of the run."""
    found = {}

    def collect():
        found.update({run.number: attempt.outcome for run, attempt in pool.collect()})
        return len(found) >= count

    eventually(collect)
    return found


def worker_of(marker):
    """Return the pid of the worker that started the job which wrote its parent's pid to ``marker``."""
    return int(eventually(lambda: marker.exists() and marker.read_text().strip()))


def test_every_run_is_answered_once(pool):
    pool.start(runs(*[f"exit {number % 3}" for number in range(1, 21)]))

    assert answers(pool, 20) == {number: Exited(number % 3) for number in range(1, 21)}
    assert (pool.in_flight, pool.collect()) == ({}, [])


def test_no_run_waits_behind_a_long_one_while_a_worker_idles(pool):
    pool.start(runs("sleep 30", "true", "true", "true"))

    assert answers(pool, 3) == {2: Exited(0), 3: Exited(0), 4: Exited(0)}


def test_a_program_is_looked_for_where_each_job_s_own_path_says(pool, spool, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which-one").write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / name / "which-one").chmod(0o755)
    (tmp_path / "two.env").write_text(f"PATH={tmp_path}/two:/usr/bin:/bin\n")
    ways = [
        {"env": {"PATH": f"{tmp_path}/one:/usr/bin:/bin"}},
        {"env_file": str(tmp_path / "two.env")},
        {"env": {"PATH": "one:/usr/bin:/bin"}, "cwd": str(tmp_path)},
        {"env": {"PATH": "/usr/bin:/bin"}, "env_file": str(tmp_path / "two.env")},
    ]
    started = [
        make_run(number=number, id=f"r{number}", spec=make_spec(command=("which-one",), **way))
        for number, way in enumerate(ways, start=1)
    ]

    pool.start(started)

    missing = Exited(127, "cannot start `which-one`: not found")
    assert answers(pool, 4) == {1: Exited(0), 2: Exited(0), 3: Exited(0), 4: missing}
    wrote = [b"".join(read_output(spool.output(run.execution, "stdout"))) for run in started[:3]]
    assert wrote == [b"one\n", b"two\n", b"one\n"]


def test_a_program_that_was_installed_since_the_last_runs_is_found(make_pool, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    early, late = runs(("latest",), ("latest",))
    pool = make_pool(1, begins_within=60)
    pool.start([early])
    assert answers(pool, 1) == {1: Exited(127, "cannot start `latest`: not found")}

    (tmp_path / "latest").symlink_to("/bin/true")
    pool.start([late])

    assert answers(pool, 1) == {2: Exited(0)}


def test_what_a_worker_said_is_heard_though_it_died_with_something_unread(make_pool, tmp_path):
    """The end of its line is told before what it said: the run that it began was given back, and ran twice."""
    other, begun = runs("true", f"echo $PPID > {tmp_path}/pid; sleep 60")
    pool = make_pool(1)
    pool.start([begun])
    worker = worker_of(tmp_path / "pid")
    os.kill(worker, signal.SIGSTOP)
    [line] = pool._lines
    line.tell(Interrupt.WITHDRAW, other)
    os.kill(worker, signal.SIGKILL)

    assert answers(pool, 1) == {2: Lost("its worker was killed")}


def test_what_is_in_a_journal_was_begun_whatever_was_heard_of_it(make_pool, tmp_path):
    [begun] = runs(f"echo $PPID > {tmp_path}/pid; sleep 60")
    pool = make_pool(1)
    pool.start([begun])
    worker = worker_of(tmp_path / "pid")
    os.kill(worker, signal.SIGSTOP)
    pool._lines[0]._socket.recv(1 << 20)  # as if it had been lost
    os.kill(worker, signal.SIGKILL)

    assert answers(pool, 1) == {1: Lost("its worker was killed")}


def test_the_journals_of_workers_that_died_do_not_stay(pool, spool, tmp_path):
    for number in (1, 2, 3):
        [run] = runs(f"echo $PPID > {tmp_path}/{number}; sleep 60")
        pool.start([run])
        os.kill(worker_of(tmp_path / str(number)), signal.SIGKILL)
        assert answers(pool, 1) == {1: Lost("its worker was killed")}
        pool.settled()

    assert spool.journals(1) == []


def test_a_command_that_ends_while_something_writes_without_end_has_ended(make_pool):
    """The pipe was read once more after a full chunk: it would have blocked, and the run was called lost."""
    pool = make_pool(2, begins_within=60)
    pool.start(runs(*["setsid yes & sleep 0.05"] * 12, grace_period=0.0))

    assert answers(pool, 12) == {number: Exited(0) for number in range(1, 13)}


def test_no_memory_is_told_that_was_only_the_worker_s(pool):
    pool.start(runs("true", """exec python3 -c 'b"x" * (100 << 20)'"""))
    ended = {}

    def both():
        ended.update({run.number: attempt for run, attempt in pool.collect()})
        return len(ended) == 2

    eventually(both)
    assert ended[1].max_rss_bytes is None
    assert 100 << 20 < ended[2].max_rss_bytes < 200 << 20


def test_a_job_leads_a_group_of_its_own_and_has_no_terminal(pool, spool):
    job = (
        "import os\n"
        "print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getppid() != os.getpid())\n"
        "try: os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    [run] = runs((sys.executable, "-c", job))
    pool.start([run])

    assert answers(pool, 1) == {1: Exited(0)}
    assert b"".join(read_output(spool.output(run.execution, "stdout"))) == b"True True\nNo such device or address\n"


def test_a_worker_that_waits_is_in_nobodys_folder(pool, tmp_path):
    marker = tmp_path / "worker"
    pool.start(runs(f"echo $PPID > {marker}; pwd", cwd=str(tmp_path)))
    assert answers(pool, 1) == {1: Exited(0)}

    eventually(lambda: Path(f"/proc/{worker_of(marker)}/cwd").readlink() == Path("/"))


def test_a_worker_goes_on_with_its_lock_only_where_nothing_was_left(spool, tmp_path):
    pid = tmp_path / "pid"
    daemon = f"setsid sh -c 'trap \"\" TERM; echo $$ > {pid}; exec sleep 300'"
    stubborn = f"{daemon} & until [ -s {pid} ]; do sleep 0.01; done"
    with (
        selectors.DefaultSelector() as selector,
        contextlib.closing(LocalPool(1, spool, selector, runner=1, output_limit=1 << 20, begins_within=60)) as pool,
    ):
        pool.start(runs("true", "true", stubborn, "true", grace_period=0.2))

        assert answers(pool, 4) == {number: Exited(0) for number in (1, 2, 3, 4)}
        assert not Path(f"/proc/{pid.read_text().strip()}").exists()
        assert len(spool.journals(1)) == 1


def test_a_killed_worker_costs_its_own_attempt_only(pool, tmp_path):
    marker = tmp_path / "worker"
    pool.start(runs(f"echo $PPID > {marker}; sleep 300", "sleep 0.3", "true"))

    os.kill(worker_of(marker), signal.SIGKILL)

    assert answers(pool, 3) == {1: Lost("its worker was killed"), 2: Exited(0), 3: Exited(0)}


def test_the_job_of_a_killed_worker_is_ended_before_it_is_called_lost(pool, tmp_path):
    marker = tmp_path / "pids"
    pool.start(runs(f"echo $PPID $$ > {marker}; sleep 300"))
    worker, job = (int(pid) for pid in eventually(lambda: marker.exists() and marker.read_text().split()))

    os.kill(worker, signal.SIGKILL)
    answers(pool, 1)

    assert not Path(f"/proc/{job}").exists() or "Z" in Path(f"/proc/{job}/stat").read_text()


def test_a_pool_whose_workers_were_all_killed_goes_on(pool, tmp_path):
    markers = [tmp_path / "first", tmp_path / "second"]
    pool.start(runs(*[f"echo $PPID > {marker}; sleep 300" for marker in markers], "true"))

    for marker in markers:
        os.kill(worker_of(marker), signal.SIGKILL)

    assert answers(pool, 3)[3] == Exited(0)


def test_an_interrupt_reaches_the_one_run_it_is_for(pool):
    first, second = runs("sleep 300", "sleep 0.5")
    pool.start([first, second])

    pool.interrupt(first, Interrupt.CANCEL)

    assert answers(pool, 2) == {1: Cancelled(), 2: Exited(0)}


def test_an_interrupt_waits_for_a_run_that_has_not_begun(pool):
    first, second, third = runs("sleep 0.02", "sleep 0.02", "sleep 300")
    pool.start([first, second, third])

    pool.interrupt(third, Interrupt.CANCEL)

    assert answers(pool, 3)[3] == Cancelled()


def test_what_has_not_begun_can_be_recalled(pool, tmp_path):
    marker = tmp_path / "began"
    pool.start(runs(f"touch {marker}1; sleep 1", f"touch {marker}2; sleep 1", f"touch {marker}3"))
    eventually(lambda: Path(f"{marker}1").exists() and Path(f"{marker}2").exists())

    pool.recall()

    assert answers(pool, 3) == {1: Exited(0), 2: Exited(0), 3: Released(began=False)}
    assert not Path(f"{marker}3").exists()


def test_workers_ignore_the_signals_that_a_terminal_sends_to_all(pool, tmp_path):
    marker = tmp_path / "worker"
    pool.start(runs(f"echo $PPID > {marker}; sleep 0.5"))
    worker = worker_of(marker)

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(worker, sig)

    assert answers(pool, 1) == {1: Exited(0)}


def test_closing_the_pool_ends_what_runs(pool, tmp_path):
    marker = tmp_path / "job"
    pool.start(runs(f"echo $$ > {marker}; sleep 300"))
    job = worker_of(marker)

    pool.close()

    eventually(lambda: not Path(f"/proc/{job}").exists())


def test_a_run_that_no_worker_begins_is_given_back(spool, tmp_path):
    marker = tmp_path / "begun"
    long, waiting = runs(f"touch {marker}; sleep 300", "true")
    with (
        selectors.DefaultSelector() as selector,
        contextlib.closing(LocalPool(1, spool, selector, runner=1, output_limit=1 << 20, begins_within=0.2)) as pool,
    ):

        def is_begun():
            if not pool.in_flight:  # at first, or given back since the only worker was not there yet
                pool.start([long])
            pool.collect()
            return marker.exists()

        eventually(is_begun)
        pool.start([waiting])

        assert answers(pool, 1) == {2: Released(began=False)}


def test_a_lost_run_is_not_over_while_a_child_lives_that_closed_its_descriptors(pool, tmp_path):
    marker = tmp_path / "pids"
    job = (
        "import os, pathlib, subprocess\n"
        "child = subprocess.Popen(['sleep', '300'])\n"  # close_fds is the default: the lock is not inherited
        f"pathlib.Path({str(marker)!r}).write_text(f'{{os.getppid()}} {{child.pid}}')\n"
        "child.wait()\n"
    )
    pool.start(runs((sys.executable, "-c", job)))
    worker, child = (int(pid) for pid in eventually(lambda: marker.exists() and marker.read_text().split()))

    os.kill(worker, signal.SIGKILL)

    assert answers(pool, 1) == {1: Lost("its worker was killed")}
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def test_a_daemon_that_closed_its_descriptors_does_not_outlive_its_attempt(pool, tmp_path):
    marker = tmp_path / "pid"
    job = (
        "import pathlib, subprocess\n"
        "null = subprocess.DEVNULL\n"
        "child = subprocess.Popen(['sleep', '300'], start_new_session=True, stdin=null, stdout=null, stderr=null)\n"
        f"pathlib.Path({str(marker)!r}).write_text(str(child.pid))\n"
    )
    pool.start(runs((sys.executable, "-W", "ignore", "-c", job)))

    assert answers(pool, 1) == {1: Exited(0)}
    child = int(marker.read_text())
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def one_worker(spool, commands):
    """Attempt the commands one after the other in one worker; return the outcomes and what each wrote to stdout."""
    started = runs(*commands, grace_period=0.2)
    with selectors.DefaultSelector() as selector:
        pool = LocalPool(1, spool, selector, runner=1, output_limit=1 << 20, begins_within=60)
        pool.start(started)
        outcomes = answers(pool, len(started))
        pool.close()
    outputs = [b"".join(read_output(spool.output(run.execution, "stdout"))) for run in started]
    return [outcomes[run.number] for run in started], outputs


def test_what_one_job_does_to_its_pipes_is_nothing_to_the_next(spool):
    spoil = (sys.executable, "-c", "import os; os.set_blocking(1, False)")
    tell = (sys.executable, "-c", "import os; print(os.get_blocking(1))")

    assert one_worker(spool, [spoil, tell]) == ([Exited(0), Exited(0)], [b"", b"True\n"])


def test_what_a_job_left_behind_writes_is_not_taken_for_the_next_one_s(spool):
    stubborn = "(trap '' TERM; while :; do echo old; done) & sleep 0.05"

    outcomes, outputs = one_worker(spool, [stubborn, "echo new"])

    assert (outcomes, outputs[0][:8], outputs[1]) == ([Exited(0)] * 2, b"old\nold\n", b"new\n")
