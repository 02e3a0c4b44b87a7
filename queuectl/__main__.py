"""The entry point.

Workers import this module when they start, so everything heavy is imported inside ``main``.
"""

import gc
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed by the caller, as in `queuectl list >&-`
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", encoding="utf-8"))  # noqa: SIM115, PTH123
    if sys.argv[1:] == ["--version"]:  # answered before the command line is built: scripts ask often
        from queuectl import __version__

        with suppress(OSError):  # nobody reads, or the disk is full: the command line knows what to say of that
            os.write(sys.stdout.fileno(), f"queuectl {__version__}\n".encode())
            return
    gc.disable()  # all that is imported stays; the command line looks for garbage once it is complete
    from queuectl import cli

    sys.exit(cli.main())


if __name__ == "__main__":
    main()
