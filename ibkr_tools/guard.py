"""The frame around every program: an error becomes one line, its hint another, and its class the exit code."""

import os
import sys
import traceback
from collections.abc import Callable

from ibkr_tools.errors import IbkrError
from ibkr_tools.log import is_journal, with_priority

SOFTWARE = 70
"""EX_SOFTWARE of sysexits.h: our own bug."""


def _tell(text: str) -> None:
    sys.stderr.write(with_priority(40, text) if is_journal(sys.stderr) else f"{text}\n")


def give_up_stdout() -> None:
    """Lets what is still to be written vanish: the reader of our output is gone (`| head`), which is no fault."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def run(program: Callable[[], int | None], *, verbose: bool = False) -> int:
    """Runs `program` and returns its exit code.

    An IbkrError is told in one line and one hint; anything else is our bug, told with its traceback. `verbose`
    adds the traceback to the former. Ctrl-C is 130, as a shell has it.
    """
    try:
        return program() or 0
    except IbkrError as error:
        _tell(f"error: {error.message}")
        if error.hint:
            _tell(f"hint: {error.hint}")
        if verbose:
            _tell(traceback.format_exc())
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        give_up_stdout()
        return 0
    except Exception:  # noqa: BLE001  # the one place: a bug must end with its traceback and 70
        _tell("This is a bug in ibkr-tools:\n" + traceback.format_exc())
        return SOFTWARE
