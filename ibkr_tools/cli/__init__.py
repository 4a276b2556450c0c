"""The command line: a thin layer over the rooms. Commands import what they need when they run."""

import gc
import os
import sys

GARBAGE_AFTER = 100_000
"""New objects before Python looks for cycles among all of them: most commands have ended by then."""


def main() -> None:
    """Runs `ibkr-tools` and exits with the code of what happened."""
    gc.set_threshold(GARBAGE_AFTER)
    # Whoever closes it (`2>&-`) wants to hear nothing; the result and the exit code are the same.
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115  # small, and open to the end
    from ibkr_tools import guard

    def program() -> int:
        from ibkr_tools.cli.app import app

        app()
        return 0

    try:
        sys.exit(guard.run(program, verbose="--verbose" in sys.argv))
    finally:
        # Python looks through everything for garbage once more before it ends, a fifth of the time of a small fetch:
        # what is left goes with the process.
        gc.freeze()
