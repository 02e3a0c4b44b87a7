"""What a worker is told of a run: its command with everything around it, ready to be started.

A runner prepares many in a row. A worker does everything once for each command that it waited for, with caches that
are cold by then: what is done there takes three times as long.
"""

import marshal
from typing import Final, NamedTuple

from queuectl.fence import MARK
from queuectl.instants import format_instant
from queuectl.job import Run
from queuectl.programs import Programs
from queuectl.spec import JobSpec
from queuectl.spool import Spool

OUR_VARIABLES: Final = (
    b"QUEUECTL_DB",
    b"QUEUECTL_RUN_ID",
    b"QUEUECTL_JOB",
    b"QUEUECTL_MANIFEST",
    b"QUEUECTL_ATTEMPT",
    b"QUEUECTL_MAX_ATTEMPTS",
    b"QUEUECTL_SCHEDULED_AT",
    MARK.encode(),
)
"""By which a job knows what it is, as the system has names; an order has the values alone."""


class Order(NamedTuple):
    """One execution of a run, as it was claimed.

    ``argv`` is what is started, limits included, ``file`` where that was found, if it was looked for already, and
    ``program`` what people call it. ``env`` are the job's own variables, which go before those of ``env_file``, which
    is read at the attempt; ``ours`` are the values of ``OUR_VARIABLES``. ``timeout`` and ``grace_period`` are seconds.
    """

    execution: str
    number: int
    lease: int
    runner: int
    argv: tuple[str, ...]
    file: str | None
    program: str
    cwd: str
    env: dict[str, str]
    ours: tuple[str, ...]
    env_file: str | None
    timeout: float | None
    grace_period: float


def order_of(run: Run, spool: Spool, programs: Programs | None = None) -> Order:
    """Return what a worker has to know to attempt a run that was claimed.

    ``programs`` finds its program now, for a worker on this machine that begins soon.
    """
    spec, execution = run.spec, run.execution
    manifest, _, job = (run.job or "").partition("/")
    argv = limited(spec)
    file = None
    if programs is not None and not spec.env_file and "PATH" not in spec.env:
        file = programs.find(argv[0])  # on our own path: a folder of another one may hang, and us with it
    return Order(
        execution,
        run.attempts,
        run.lease or 0,
        run.runner or 0,
        argv,
        file,
        spec.argv[0],
        spec.cwd or "/",
        dict(spec.env),
        (
            spool.database,
            run.id,
            job,
            manifest,
            str(run.attempts),
            str(run.max_attempts),
            format_instant(run.scheduled_at),
            spool.mark(execution),
        ),
        spec.env_file,
        spec.timeout,
        spec.grace_period,
    )


def pack(order: Order) -> bytes:
    """Return an order for another process of the same Python, in a tenth of the time that pickling takes."""
    return marshal.dumps(tuple(order))


def unpack(packed: bytes | memoryview) -> Order:
    """Return the order that ``pack`` packed."""
    return Order(*marshal.loads(packed))  # noqa: S302 - from the runner to its own workers


def limited(spec: JobSpec) -> tuple[str, ...]:
    """Return the program to start and its arguments, behind a shell that sets the limits first if there are any.

    A shell can do that between the fork and the command; we cannot, since nothing of ours runs there.
    """
    limits = spec.limits
    if not limits:
        return spec.argv
    settings = {
        "-v": None if limits.memory is None else limits.memory // 1024,
        "-t": limits.cpu,
        "-n": limits.open_files,
    }
    steps = [f"ulimit {option} {value}" for option, value in settings.items() if value is not None]
    nice = () if limits.nice is None else ("nice", "-n", str(limits.nice))
    return ("/bin/sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *nice, *spec.argv)
