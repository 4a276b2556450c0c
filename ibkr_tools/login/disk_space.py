"""Free disk space: Chromium does not start where there is none, and does not say why."""

import errno
import os
import tempfile
from pathlib import Path

from ibkr_tools.errors import OutputError

MIN_FREE_BYTES = 64 * 1024
"""With a tenth of it Chromium starts."""

_FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def require_disk_space(*directories: Path) -> None:
    """Looks whether something can still be written to each of the directories.

    Raises:
        OutputError: one is full, or its user's share of it is; the message names it.
    """
    for directory in directories:
        try:
            reason = _full_disk_reason(directory)
        except OSError as error:
            reason = error.strerror if error.errno in _FULL_DISK_ERRORS else None
        if reason:
            raise OutputError(
                f"{directory}: {reason}, so Chromium cannot start", hint="Make room there: `df` says how much there is."
            )


def _full_disk_reason(directory: Path) -> str | None:
    filesystem = os.statvfs(directory)
    # What only root may still use is of no use to a browser. Some file systems say nothing about their size.
    if (filesystem.f_blocks and filesystem.f_bavail * filesystem.f_frsize < MIN_FREE_BYTES) or (
        filesystem.f_files and not filesystem.f_favail
    ):
        return os.strerror(errno.ENOSPC)
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(MIN_FREE_BYTES))
    return None
