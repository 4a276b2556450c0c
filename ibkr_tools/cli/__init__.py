"""The command line: a thin layer over the rooms. Commands import what they need when they run."""

import gc
import sys

GARBAGE_AFTER = 100_000
"""New objects before Python looks for cycles among all of them: most commands have ended by then."""

QUICK = frozenset({"status", "show"})
"""The commands of `ibkr_tools.cli.quick`."""

TAKE_A_VALUE = frozenset({"--config", "--runtime-dir", "--state-dir"})
"""Global options with their value in the next argument."""


def command_of(arguments: list[str]) -> str | None:
    """Returns the name of the command; None where there is none."""
    left = iter(arguments)
    for argument in left:
        if argument in TAKE_A_VALUE:
            next(left, None)
        elif not argument.startswith("-"):
            return argument
    return None


def main() -> None:
    """Runs `ibkr-tools` and exits with the code of what happened."""
    gc.set_threshold(GARBAGE_AFTER)
    from ibkr_tools import guard

    def program() -> None:
        if command_of(sys.argv[1:]) in QUICK:
            from ibkr_tools.cli.quick import app
        else:
            from ibkr_tools.cli.app import app
        app()

    try:
        sys.exit(guard.run(program, verbose="--verbose" in sys.argv))
    finally:
        # Python looks through everything for garbage once more before it ends, a fifth of the time of a small fetch:
        # what is left goes with the process.
        gc.freeze()
