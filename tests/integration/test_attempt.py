import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from queuectl import fence
from queuectl.attempt import Workbench, execute
from queuectl.environment import base_environment
from queuectl.journal import Journal, attempt_in, read_journals
from queuectl.order import order_of
from queuectl.outcome import NEVER_BEGAN, Cancelled, Exited, Lost, Released, Signalled, TimedOut
from queuectl.output import Follower, Sink, read_output
from queuectl.presence import Presence
from queuectl.process import Interrupt
from queuectl.spec import Limits
from tests.support.factories import make_run, make_spec
from tests.support.waiting import eventually


@pytest.fixture
def bench(spool):
    """Return a workbench; the runner whose attempts are made at it lives."""
    presence = Presence(spool, 1)

    def make(*, journal="w", **keys):
        journal = Journal(spool.journal(1, journal)) if isinstance(journal, str) else journal
        return Workbench(
            spool=spool, journal=journal, environ=base_environment(), **({"output_limit": 1 << 20, "line": None} | keys)
        )

    yield make
    presence.close()


@pytest.fixture
def attempt(spool, bench):
    """Execute a command and return its attempt, and what it wrote to stdout and stderr."""

    def run(command, *, line=None, **keys):
        present = make_run(spec=make_spec(command=command, **keys))
        ended = executed(present, bench(line=line))
        streams = [b"".join(read_output(spool.output(present.execution, name))) for name in ("stdout", "stderr")]
        return ended, *streams

    return run


def executed(run, bench):
    """Execute a run's command at a bench and return the attempt."""
    with contextlib.chdir("."):  # and come back
        return attempt_in(execute(order_of(run, bench.spool), bench))


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_command_s_exit_code_and_both_streams_are_kept_apart(attempt):
    ended, stdout, stderr = attempt("echo out; echo err >&2; exit 3")

    assert (ended.outcome, stdout, stderr) == (Exited(3), b"out\n", b"err\n")
    assert (ended.stdout_bytes, ended.stderr_bytes) == (4, 4)


def test_an_array_runs_without_a_shell(attempt):
    ended, stdout, _ = attempt(("printf", "%s|", "a b", "$HOME", "*", "'\"; rm -rf"))

    assert (ended.outcome, stdout) == (Exited(0), b"a b|$HOME|*|'\"; rm -rf|")


def test_a_shell_of_one_s_own_runs_the_line(attempt):
    ended, stdout, _ = attempt("false | true; echo $0", shell=("bash", "-euo", "pipefail", "-c"))

    assert (ended.outcome, stdout) == (Exited(1), b"")


def test_bytes_that_are_no_text_are_kept_as_they_are(attempt):
    _, stdout, _ = attempt(r"printf '\377\000\033[31m'")

    assert stdout == b"\xff\x00\x1b[31m"


def test_a_command_that_writes_nothing_leaves_no_file(attempt, spool):
    attempt("true")

    assert list(Path(spool.root, "output").iterdir()) == []


def test_stdin_is_empty(attempt):
    assert attempt("cat; echo end")[1] == b"end\n"


def test_a_job_is_told_who_it_is(attempt):
    _, stdout, _ = attempt("env | grep ^QUEUECTL_ | sort")

    names = [line.split("=")[0] for line in stdout.decode().splitlines()]
    assert names == [
        "QUEUECTL_ATTEMPT",
        "QUEUECTL_DB",
        "QUEUECTL_EXECUTION",
        "QUEUECTL_JOB",
        "QUEUECTL_MANIFEST",
        "QUEUECTL_MAX_ATTEMPTS",
        "QUEUECTL_RUN_ID",
        "QUEUECTL_SCHEDULED_AT",
    ]
    assert "QUEUECTL_SCHEDULED_AT=2026-12-01T02:00:00Z" in stdout.decode().splitlines()


def test_the_job_s_variables_win_over_the_file_s_and_these_over_the_runner_s(attempt, tmp_path, monkeypatch):
    monkeypatch.setenv("A", "runner"), monkeypatch.setenv("B", "runner"), monkeypatch.setenv("C", "runner")
    (tmp_path / "secrets.env").write_text("# secrets\nexport B='file'\nC=file\n\n")

    _, stdout, _ = attempt("echo $A $B $C", env={"C": "job"}, env_file=str(tmp_path / "secrets.env"))

    assert stdout == b"runner file job\n"


def test_a_job_runs_in_its_folder(attempt, tmp_path):
    _, stdout, _ = attempt("pwd", cwd=str(tmp_path))

    assert stdout.decode().strip() == str(tmp_path)


@pytest.mark.parametrize(
    ("command", "keys", "code", "message"),
    [
        (("no-such-program",), {}, 127, "cannot start `no-such-program`: not found"),
        (("/no/such/program",), {}, 127, "cannot start `/no/such/program`: not found"),
        (("/etc/passwd",), {}, 126, "cannot start `/etc/passwd`: Permission denied"),
        ("true", {"cwd": "/no/such/folder"}, 126, "cannot start in `/no/such/folder`: no such folder"),
        (("true", "x" * 200_000), {}, 126, "cannot start `true`: Argument list too long"),
        ("true", {"env_file": "/no/such.env"}, 126, "cannot read `/no/such.env`: No such file or directory"),
        ("true", {"shell": ("no-such-shell", "-c")}, 127, "cannot start `no-such-shell`: not found"),
    ],
)
def test_a_command_that_cannot_start_says_why(attempt, command, keys, code, message):
    ended, _, stderr = attempt(command, **keys)

    assert ended.outcome == Exited(code, message)
    assert stderr.decode() == f"queuectl: {message}\n"


def test_a_signal_that_the_command_got_is_named(attempt):
    assert attempt("kill -SEGV $$")[0].outcome == Signalled(signal.SIGSEGV)


def test_signals_have_their_default_effect_in_a_job(attempt):
    assert attempt("kill -PIPE $$; kill -INT $$")[0].outcome == Signalled(signal.SIGPIPE)


def test_a_time_out_ends_the_whole_tree(attempt, tmp_path):
    child = tmp_path / "child"

    ended, _, _ = attempt(f"sleep 300 & echo $! > {child}; wait", timeout=0.3, grace_period=5)

    assert ended.outcome == TimedOut(0.3)
    assert not is_running(int(child.read_text()))


def test_what_ignores_sigterm_is_killed_after_the_grace_period(attempt, tmp_path):
    child = tmp_path / "child"
    command = f"trap '' TERM; (trap '' TERM; sleep 300) & echo $! > {child}; while :; do sleep 1; done"

    ended, _, _ = attempt(command, timeout=0.2, grace_period=0.2)

    assert ended.outcome == TimedOut(0.2)
    assert not is_running(int(child.read_text()))


def test_a_stopped_process_is_ended_too(attempt):
    ended, _, _ = attempt("kill -STOP $$; sleep 300", timeout=0.2, grace_period=5)

    assert ended.outcome == TimedOut(0.2)


def test_a_job_may_clean_up_when_its_time_is_over(attempt):
    ended, stdout, _ = attempt("trap 'echo bye; exit 0' TERM; sleep 300 & wait", timeout=0.2)

    assert (ended.outcome, stdout) == (TimedOut(0.2), b"bye\n")


def test_a_background_child_that_holds_the_pipes_does_not_hold_the_worker(attempt, tmp_path):
    child = tmp_path / "child"
    began = time.monotonic()

    ended, stdout, _ = attempt(f"sleep 300 & echo $! > {child}; echo done")

    assert (ended.outcome, stdout) == (Exited(0), b"done\n")
    assert time.monotonic() - began < 60
    assert not is_running(int(child.read_text()))


def test_a_daemon_that_left_the_session_is_ended_too(attempt, tmp_path):
    child = tmp_path / "child"
    script = f"setsid sh -c 'echo $$ > {child}; exec sleep 300' & while [ ! -s {child} ]; do sleep 0.01; done"

    ended, _, _ = attempt(script, grace_period=0.2)

    assert ended.outcome == Exited(0)
    eventually(lambda: not is_running(int(child.read_text())))


@pytest.mark.parametrize(
    ("interrupt", "outcome"),
    [(Interrupt.CANCEL, Cancelled()), (Interrupt.RELEASE, Released()), (Interrupt.KILL, Released())],
)
def test_an_interrupt_ends_the_attempt(attempt, interrupt, outcome):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(f"{interrupt} 1.7".encode())

        assert attempt("sleep 300", line=theirs)[0].outcome == outcome


def test_an_interrupt_for_another_execution_is_not_heeded(attempt):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(f"{Interrupt.KILL} 1.6".encode())

        assert attempt("true; sleep 0.1", line=theirs)[0].outcome == Exited(0)


def test_an_attempt_whose_runner_has_died_is_ended(attempt):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        threading.Timer(0.2, ours.close).start()

        assert attempt("sleep 300", line=theirs)[0].outcome == Lost("the runner died")


def test_an_attempt_is_not_begun_for_a_runner_that_is_dead_already(attempt, tmp_path):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with theirs:
        ended, _, _ = attempt(f"touch {tmp_path}/effect", line=theirs)

    assert (ended.outcome, (tmp_path / "effect").exists()) == (Released(began=False), False)


def test_the_run_lock_is_held_by_the_job_and_free_afterwards(attempt, spool):
    lock = f"{spool.journal(1, 'w')}.1"
    held = []
    threading.Thread(target=lambda: held.append(eventually(lambda: fence.is_held(lock)))).start()

    ended, _, _ = attempt("sleep 0.5")

    assert (held, fence.is_held(lock)) == ([True], False)
    assert read_journals([lock])["1.7"].attempt == ended


def test_an_attempt_is_not_begun_once_its_runner_is_dead(attempt, bench, spool, tmp_path):
    present = make_run(
        spec=make_spec(command=f"touch {tmp_path}/effect"), runner=2
    )  # nobody holds the lock of runner 2

    ended = executed(present, bench())

    assert (ended.outcome, (tmp_path / "effect").exists()) == (Released(began=False), False)


def test_an_attempt_that_was_withdrawn_is_not_begun(attempt, tmp_path):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for execution in ("1.6", "1.7"):
            ours.send(f"{Interrupt.WITHDRAW} {execution}".encode())
        ended, _, _ = attempt(f"touch {tmp_path}/effect", line=theirs)

    assert (ended.outcome, (tmp_path / "effect").exists()) == (Released(began=False), False)


def test_a_full_journal_goes_on_in_the_next_file(spool, bench):
    journal = Journal(spool.journal(1, "w"))
    for number in range(1, 901):
        executed(make_run(number=number, spec=make_spec(command=("true",))), bench(journal=journal))

    files = spool.journals(1, "w")
    entries = read_journals(files)
    assert 1 < len(files) < 5
    assert [entries[f"{number}.7"].attempt.outcome for number in range(1, 901)] == [Exited(0)] * 900
    assert [execution for execution, entry in entries.items() if entry.is_last and entry.path == journal.path] == [
        "900.7"
    ]


def test_a_gigabyte_would_not_fit_and_the_beginning_and_the_end_are_kept(spool, bench):
    run = make_run(spec=make_spec(command="seq 1 100000"))

    ended = executed(run, bench(output_limit=2000))
    kept = b"".join(read_output(spool.output(run.execution, "stdout")))

    whole = "".join(f"{number}\n" for number in range(1, 100_001)).encode()
    assert ended.stdout_bytes == len(whole)
    assert kept.startswith(whole[:1000])
    assert kept.endswith(whole[-1000:])
    assert f"[… {len(whole) - 2000:,} bytes dropped by queuectl …]".encode() in kept


def test_a_stream_is_followed_through_its_beginning_its_middle_and_its_end(tmp_path):
    path = str(tmp_path / "1.1.stdout")
    sink, follower = Sink(path, limit=20), Follower(path)
    assert follower.read() == b""

    seen = []
    for piece in (b"01234", b"56789ab", b"cdef", b"g" * 30, b"xyz"):
        sink.write(piece)
        seen.append(follower.read())
    sink.close()

    dropped = "\n[… 20 bytes dropped by queuectl …]\n".encode()
    assert seen == [b"01234", b"56789ab", b"cdef", dropped + b"g" * 10, b"xyz"]
    assert (
        b"".join(read_output(path))
        == b"0123456789" + "\n[… 29 bytes dropped by queuectl …]\n".encode() + b"g" * 7 + b"xyz"
    )


@pytest.mark.parametrize(
    ("limits", "command", "shown"),
    [
        ({"memory": 512 << 20}, "ulimit -v", "524288"),
        ({"cpu": 60}, "ulimit -t", "60"),
        ({"open_files": 256}, "ulimit -n", "256"),
        ({"nice": 7}, "nice", "7"),
        ({"memory": 512 << 20, "nice": 7}, "echo $(ulimit -v) $(nice)", "524288 7"),
    ],
    ids=str,
)
def test_a_job_runs_within_its_limits(attempt, limits, command, shown):
    ended, stdout, _ = attempt(command, limits=Limits(**limits))

    assert (ended.outcome, stdout.decode()) == (Exited(0), f"{shown}\n")


def test_arguments_pass_the_limits_untouched(attempt):
    ended, stdout, _ = attempt(("printf", "%s|", "a b", "$HOME", "'\";"), limits=Limits(open_files=64))

    assert (ended.outcome, stdout) == (Exited(0), b"a b|$HOME|'\";|")


def test_a_job_that_takes_too_much_processor_time_is_ended_by_the_kernel(attempt):
    ended, _, _ = attempt("while :; do :; done", limits=Limits(cpu=1), timeout=60)

    assert ended.outcome in (Signalled(signal.SIGXCPU), Signalled(signal.SIGKILL))


def test_a_runner_that_died_without_reading_leaves_a_command_its_patience(spool, bench, tmp_path):
    """Its end is told as an error to who had written to it: the run was called lost at once."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.send(b"1.1")
    threading.Timer(0.1, ours.close).start()

    ended = executed(make_run(spec=make_spec(command="sleep 0.3")), bench(line=theirs))

    assert ended.outcome == Exited(0)
    theirs.close()


def test_what_cannot_be_written_down_is_not_begun_and_says_why(spool, bench, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    journal = Journal(spool.journal(1, "w"))
    monkeypatch.setattr(journal, "_next_file", full)

    ended = executed(make_run(spec=make_spec(command="exit 3")), bench(journal=journal))

    assert ended.outcome == NEVER_BEGAN
    assert ended.outcome.trouble == "No space left on device"
