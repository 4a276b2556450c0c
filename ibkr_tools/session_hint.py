"""A hint of somebody who may not write the status file: a fetch of a member of the group has met no session.

A hint is one empty file that is replaced. Nobody reads it: that it is new is all it says, and the watchdog looks.
"""

from contextlib import suppress
from pathlib import Path

from ibkr_tools import files


def touch(path: Path) -> None:
    """Replaces the hint `path`; one that cannot be left is none."""
    with suppress(OSError):
        files.write_atomically(path, b"", mode=files.SHARED_MODE, fsync=False)


def modified_ns(path: Path) -> int:
    """Returns when the hint was left, in nanoseconds; 0 without one."""
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0
