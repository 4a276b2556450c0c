"""Who asks the watchdog for what only the units' user may do: members of the group, while there is a watchdog."""

import os

from ibkr_tools.cli.app_context import AppContext
from ibkr_tools.status import SessionSection, utc_now

TAKEN_WITHIN_S = 25.0
"""The watchdog looks at once, and every ten seconds if the kernel announces no changes of files."""


def may_ask_watchdog(app_context: AppContext) -> bool:
    """Says whether this user may leave a request alone, and a watchdog is there to take it."""
    directories = app_context.directories
    if os.geteuid() == 0 or os.access(directories.state, os.W_OK):
        return False
    if not os.access(directories.shared, os.W_OK | os.X_OK):
        return False
    section = app_context.status_file.read_section(SessionSection)
    return section is not None and not section.is_stale(utc_now())
