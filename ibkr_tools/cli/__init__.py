"""The command line: a thin layer over the other packages. Commands import what they need when they run."""

import gc
import os
import re
import signal
import sys

GC_THRESHOLD = 100_000
"""New objects before Python looks for cycles among all of them: most commands have ended by then."""


MAX_TERMINAL_SIZE = 10_000
"""Columns or lines; a COLUMNS that says more, or is no number, is nobody's terminal."""


def _drop_invalid_terminal_sizes() -> None:
    """Takes sizes of a terminal out of the environment that would break whatever believes them."""
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        text = os.environ.get(name, "1")
        if not (re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) <= MAX_TERMINAL_SIZE):
            del os.environ[name]


def main() -> None:
    """Runs `ibkr-tools` and exits with the code of what happened."""
    # Until there is somebody who makes 130 of it, Ctrl-C ends the process at once, and not with a trace of the imports.
    is_interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(GC_THRESHOLD)
    _drop_invalid_terminal_sizes()
    from ibkr_tools import entrypoint
    from ibkr_tools.cli import streams

    streams.replace_standard_streams()

    def program() -> int:
        if "_IBKR_TOOLS_COMPLETE" in os.environ:
            from ibkr_tools.cli import completion

            return completion.run(sys.argv[1:])
        from ibkr_tools.cli.app import app

        app()
        return 0

    if is_interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(entrypoint.run(program, verbose="--verbose" in sys.argv))
    finally:
        # Python looks through everything for garbage once more before it ends, a fifth of the time of a small fetch:
        # what is left goes with the process.
        gc.freeze()
