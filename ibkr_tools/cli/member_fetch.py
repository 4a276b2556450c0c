"""`fetch --save` of a member of the group, who may not write the snapshots: the watchdog is asked."""

import os
import time
from contextlib import suppress

import typer

from ibkr_tools import fetch_answer, shared_request
from ibkr_tools.cli.app_context import AppContext
from ibkr_tools.cli.member_rights import TAKEN_WITHIN_S
from ibkr_tools.cli.progress import progress
from ibkr_tools.directories import Directories
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import OutputError
from ibkr_tools.fetch_answer import FetchAnswer
from ibkr_tools.polling import poll_until
from ibkr_tools.shared_request import MIN_FETCH_INTERVAL_S

ANSWERED_WITHIN_S = 630.0
"""A fetch may take ten minutes (TimeoutStartSec= of the unit), and begin and end in some seconds."""

_POLL_S = 0.1


def ask_watchdog(app_context: AppContext) -> None:
    """Has a snapshot saved that is begun from now on; says what the fetch has said, and ends as it has ended.

    Raises:
        OutputError: the request cannot be left, nobody has taken it in time, or no answer has come in time.
        typer.Exit: the fetch has failed; with its exit code.
    """
    directories, asked_s = app_context.directories, time.monotonic()
    try:
        shared_request.leave(directories.fetch_request)
    except OSError as error:
        raise OutputError(f"{directories.fetch_request}: {error.strerror}") from error
    answer = _wait_for_answer(directories, asked_s)
    for level, text in answer.lines:
        print_stderr(text, level)
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


def _wait_for_answer(directories: Directories, asked_s: float) -> FetchAnswer:
    """Returns the answer of the first fetch that has begun after `asked_s`; of the clock of `time.monotonic`."""
    found = None

    def is_answered() -> bool:
        nonlocal found
        found = fetch_answer.read(directories.fetch_answer)
        return found is not None and found.begun_s >= asked_s

    def is_taken() -> bool:
        return not os.path.lexists(directories.fetch_request) or is_answered()

    with progress() as line:
        line(f"waiting for the watchdog, which has one snapshot saved every {MIN_FETCH_INTERVAL_S:.0f} s")
        limit_s = MIN_FETCH_INTERVAL_S + TAKEN_WITHIN_S
        if not poll_until(is_taken, limit_s, _POLL_S):
            with suppress(OSError):
                directories.fetch_request.unlink()
            raise _failure(f"the watchdog has not taken the request within {limit_s:.0f} s")
        line("waiting for ibkr-snapshot.service, which fetches")
        if not poll_until(is_answered, ANSWERED_WITHIN_S, _POLL_S) or found is None:
            raise _failure(f"ibkr-snapshot.service has not answered within {ANSWERED_WITHIN_S:.0f} s")
    return found


def _failure(what: str) -> OutputError:
    return OutputError(what, hint="`ibkr-tools status` says more; sudo ibkr-tools fetch --save")
