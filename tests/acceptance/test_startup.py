"""What a command imports before it is needed is paid for by every script that calls it."""

import subprocess
import sys

import pytest

HEAVY = {
    "apscheduler",
    "concurrent.futures.process",
    "multiprocessing",
    "pydantic",
    "rich",
    "streamlit",
    "tomlkit",
    "tree_sitter",
}


def python(queuectl, code):
    """Return the last line that a script wrote to stderr; stdout is the command's in it."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=queuectl.folder,
        env=queuectl.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()[-1]


def imported(queuectl, *arguments):
    """Return which heavy modules one command imports."""
    return set(
        eval(
            python(
                queuectl,
                "import sys; from queuectl.cli import main; "
                f"code = main({list(arguments)!r}); assert code == 0, code; "
                f"print(sorted(set({sorted(HEAVY)!r}) & set(sys.modules)), file=sys.stderr)",
            )
        )
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["enqueue", "--", "true"],
        ["status"],
        ["list"],
        ["show", "r1"],
        ["jobs"],
        ["dlq", "list"],
        ["why", "r1"],
        ["cancel", "r1"],
    ],
    ids=" ".join,
)
def test_small_commands_import_nothing_heavy(queuectl, arguments):
    queuectl("enqueue", "true")

    assert imported(queuectl, *arguments) == set()


def test_garbage_is_looked_for_once_the_command_line_is_complete_and_not_in_it(queuectl):
    told = python(
        queuectl,
        "import atexit, gc, sys; sys.argv[1:] = ['status']; from queuectl.__main__ import main; "
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000, file=sys.stderr)); main()",
    )

    assert told == "True True"


def test_a_settings_file_that_was_checked_before_is_not_checked_again(queuectl):
    (queuectl.folder / "queuectl.toml").write_text("workers = 2\n")
    first = imported(queuectl, "enqueue", "--", "true")

    assert ("pydantic" in first, imported(queuectl, "enqueue", "--", "true")) == (True, set())


def test_validating_needs_no_pool_and_no_positions(queuectl):
    queuectl.manifest('[jobs.a]\ncommand = "true"\n')

    assert imported(queuectl, "validate", "nightly.toml") == {"pydantic"}


def test_a_worker_imports_the_standard_library_and_a_few_files_of_ours(queuectl):
    code = "import sys, queuectl.pool; print(*sorted(m for m in sys.modules if m.startswith('queuectl')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "queuectl.store" not in done.stdout
    assert "queuectl.cli" not in done.stdout
