"""`pause` and `resume` of a member of the group, who may not write the state: the watchdog is asked."""

import os
from contextlib import suppress
from datetime import datetime

from ibkr_tools import pause_file, pause_request
from ibkr_tools.cli.app_context import AppContext
from ibkr_tools.cli.member_rights import TAKEN_WITHIN_S
from ibkr_tools.errors import OutputError
from ibkr_tools.pause_request import PauseRequest
from ibkr_tools.polling import poll_until
from ibkr_tools.status import utc_now

_POLL_S = 0.05


def ask_watchdog(app_context: AppContext, *, paused: bool, until: datetime | None = None) -> bool:
    """Has the watchdog begin or end a pause; returns once it has. Says whether there was one before.

    Raises:
        OutputError: the request cannot be left, or nobody has taken it in time.
    """
    directories = app_context.directories
    was_paused = pause_file.read(directories.pause_file, utc_now()) is not None

    def is_done() -> bool:
        current = pause_file.read(directories.pause_file, utc_now())
        is_wanted = current is not None and current.until == until if paused else current is None
        return is_wanted and not os.path.lexists(directories.pause_request)

    try:
        pause_request.leave(directories.pause_request, PauseRequest(paused=paused, until=until))
    except OSError as error:
        raise OutputError(f"{directories.pause_request}: {error.strerror}") from error
    if not poll_until(is_done, TAKEN_WITHIN_S, _POLL_S):
        with suppress(OSError):
            directories.pause_request.unlink()
        raise OutputError(
            f"the watchdog has not taken the request within {TAKEN_WITHIN_S:.0f} s",
            hint=f"sudo ibkr-tools {'pause' if paused else 'resume'}",
        )
    return was_paused
