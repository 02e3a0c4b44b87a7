"""The entry point.

Workers import this module when they start, so everything heavy is imported inside ``main``.
"""

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.argv[1:] == ["--version"]:  # answered before the command line is built: scripts ask often
        from queuectl import __version__

        sys.stdout.write(f"queuectl {__version__}\n")
        return
    from queuectl.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
