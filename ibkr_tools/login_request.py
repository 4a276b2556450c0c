"""The file that asks for a login: the watchdog leaves it, and the login takes it away first thing."""

from pathlib import Path

from ibkr_tools import files

FRESH = b"fresh"
"""What a login request says that is meant though there is a session: the brokerage tier may need a new one."""


def consume_request(file: Path) -> bool:
    """Removes the request; says whether it asks for a login though there is a session."""
    try:
        fresh = files.read_regular(file).strip() == FRESH
    except FileNotFoundError:
        return False
    except OSError:
        # Nothing that a process of ours has left.
        fresh = False
    files.remove(file)
    return fresh
