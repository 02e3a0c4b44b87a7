"""What an imported command reads is what cron gave it to read, whichever shell it is for."""

import subprocess

import pytest

from queuectl.crontab import fed


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    "command",
    ["cat", "cat # no newline", "read x; cat; echo $x", "exec cat", "cat | tr a-z b-za; echo end", "cat; cat \\"],
)
@pytest.mark.parametrize("stdin", ["one\ntwo\n", "\n", "STDIN\nSTDIN_\n$HOME `x` \\ 'q'\n", "a'''\"\n"])
def test_a_command_reads_what_cron_gave_it_to_read(shell, command, stdin):
    under_cron = subprocess.run([shell, "-c", command], input=stdin, capture_output=True, text=True, check=False)

    now = subprocess.run(
        [shell, "-c", fed(command, stdin)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )

    assert (now.stdout, now.returncode) == (under_cron.stdout, under_cron.returncode)


def test_another_shell_inherits_what_one_of_posix_has_begun_to_read():
    script = fed('exec "$0" -c "$1"', "a\nb\n")

    done = subprocess.run(["/bin/sh", "-c", script, "/bin/bash", "cat"], capture_output=True, text=True, check=True)

    assert done.stdout == "a\nb\n"
