"""The command line: a thin layer over the rooms. Commands import what they need when they run."""

import sys


def main() -> None:
    """Runs `ibkr-tools` and exits with the code of what happened."""
    from ibkr_tools import guard

    def program() -> None:
        from ibkr_tools.cli.app import app

        app()

    sys.exit(guard.run(program, verbose="--verbose" in sys.argv))
