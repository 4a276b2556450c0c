"""The frame around every program: an error becomes one line, its hint another, and its class the exit code."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from ibkr_tools.errors import IbkrError, OutputError
from ibkr_tools.instance import INSTANCE_VARIABLE, in_names_of
from ibkr_tools.log import is_journal, with_priority
from ibkr_tools.terminal_escape import escape_control_characters

EX_SOFTWARE = 70
"""EX_SOFTWARE of sysexits.h: our own bug."""


def print_stderr(text: str, level: int = 40) -> None:
    """Writes a message for people to standard error, where it can do nothing to a terminal; 30 is a warning.

    Who reads standard error, and whether anybody does, changes nothing about how a command ends.
    """
    # Not the checked name: that it is none may be the message.
    shown = escape_control_characters(in_names_of(text, os.environ.get(INSTANCE_VARIABLE)))
    with suppress(OSError):
        sys.stderr.write(with_priority(level, shown) if is_journal(sys.stderr) else f"{shown}\n")
        sys.stderr.flush()


def silence_stdout() -> None:
    """Lets what is still to be written vanish: the reader of our output is gone (`| head`), which is no fault."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _flush_stdout() -> None:
    """Has everything written that was printed.

    Raises:
        OutputError: it cannot be, such as into a file on a full disk.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        raise OutputError(f"standard output: {error.strerror}") from error


def _format_traceback() -> str:
    # Not loaded by what goes well: the gateway's parent counts its memory.
    import traceback

    return traceback.format_exc()


def run(program: Callable[[], int | None], *, verbose: bool = False) -> int:
    """Runs `program` and returns its exit code.

    An IbkrError is told in one line and one hint; anything else is our bug, told with its traceback. `verbose`
    adds the traceback to the former. Ctrl-C is 130, as a shell has it.
    """
    try:
        try:
            return program() or 0
        finally:
            # Also of what printed something and left by SystemExit, such as --help.
            _flush_stdout()
    except IbkrError as error:
        print_stderr(f"error: {error.message}", error.log_level)
        if error.hint:
            print_stderr(f"hint: {error.hint}", error.log_level)
        if verbose:
            print_stderr(_format_traceback())
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        silence_stdout()
        return 0
    except Exception:  # noqa: BLE001  # the one place: a bug must end with its traceback and 70
        print_stderr("This is a bug in ibkr-tools:\n" + _format_traceback())
        return EX_SOFTWARE
