"""The command line: a thin layer over the rooms. Commands import what they need when they run."""

import gc
import sys

GARBAGE_AFTER = 100_000
"""New objects before Python looks for cycles among all of them: most commands have ended by then."""


def main() -> None:
    """Runs `ibkr-tools` and exits with the code of what happened."""
    gc.set_threshold(GARBAGE_AFTER)
    from ibkr_tools import guard

    def program() -> None:
        from ibkr_tools.cli.app import app

        app()

    sys.exit(guard.run(program, verbose="--verbose" in sys.argv))
