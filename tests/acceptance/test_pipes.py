"""A reader that is gone before anything was said: no verb minds."""

import os
import subprocess

from tests.acceptance.conftest import COMMAND
from tests.unit.test_examples import LEAVES

# What verbs are called with so that they print; the others are asked for their help.
ARGUMENTS = {
    "validate": ["nightly.toml"],
    "plan": ["nightly.toml"],
    "apply": ["nightly.toml"],
    "applies": [],
    "run": ["--drain"],
    "worker start": ["--drain"],
    "worker list": [],
    "worker stop": ["--all"],
    "worker unit": [],
    "enqueue": ["true"],
    "wait": ["bad"],
    "status": [],
    "list": [],
    "jobs": [],
    "show": ["bad"],
    "logs": ["bad"],
    "why": ["bad"],
    "metrics": [],
    "next": [],
    "simulate": ["nightly.toml"],
    "trigger": ["nightly/report"],
    "pause": ["nightly"],
    "resume": ["nightly"],
    "cancel": ["later"],
    "retry": ["later"],
    "dlq list": [],
    "dlq show": ["bad"],
    "dlq retry": ["bad"],
    "dlq purge": ["--all", "--yes"],
    "backup": ["copy.db"],
    "restore": ["copy.db", "--db", "restored.db"],
    "doctor": [],
    "config get": ["workers"],
    "config set": ["workers", "3"],
    "config unset": ["workers"],
    "config list": [],
    "init": ["elsewhere"],
    "completion": ["bash"],
}


def test_no_verb_minds_that_nobody_reads(queuectl):
    queuectl("apply", str(queuectl.manifest('[jobs.report]\ncommand = "echo output"\nschedule = "30 2 * * *"\n')))
    queuectl("enqueue", "--id", "bad", "--retries", "0", "echo output; false")
    queuectl("run", "--drain", code=1)
    queuectl("enqueue", "--id", "later", "--in", "1h", "true")

    minding = {}
    for name in LEAVES:
        arguments = ARGUMENTS.get(name, ["--help"])
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [COMMAND, *name.split(), *arguments],
            cwd=queuectl.folder,
            env=queuectl.environ,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(writing)
        if done.returncode not in (0, 1) or "Traceback" in done.stderr or "Errno" in done.stderr:
            minding[name] = (done.returncode, done.stderr)

    assert minding == {}
