"""Whether this process may read what other users' units have written to the journal."""

import grp
import os
import shlex
import subprocess
from collections.abc import Sequence

from ibkr_tools.errors import ActionRequired

JOURNAL_GROUPS = ("systemd-journal", "adm", "wheel")
"""Their members may read the system's journal. Source: journalctl(1)."""


def may_read_journal() -> bool:
    """Says whether this process is root's, or is in one of the groups."""
    if os.geteuid() == 0:
        return True
    mine = {os.getegid(), *os.getgroups()}
    for name in JOURNAL_GROUPS:
        try:
            if grp.getgrnam(name).gr_gid in mine:
                return True
        except KeyError:
            continue
    return False


def has_entries(journalctl: str, pattern: str) -> bool:
    """Says whether the journal has anything of units that are called like this; journalctl fails where it has not."""
    command = [journalctl, f"--unit={pattern}", "--lines=0", "--quiet"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require_journal(arguments: Sequence[str]) -> None:
    """Returns if this process may read the journal.

    Args:
        arguments: of `ibkr-tools`, as they were typed.

    Raises:
        ActionRequired: it may not; the hint is what to type.
    """
    if not may_read_journal():
        raise ActionRequired(
            "only root and the group systemd-journal may read what the units log",
            hint=f"sudo {shlex.join(['ibkr-tools', *arguments])}, or for ever: sudo adduser $USER systemd-journal",
        )
