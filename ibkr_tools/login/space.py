"""Room on the disk: Chromium does not start where there is none, and does not say why."""

import errno
import os
import tempfile
from pathlib import Path

from ibkr_tools.errors import OutputError

NEEDED = 64 * 1024
"""In bytes; with a tenth of it Chromium starts."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def require_space(*directories: Path) -> None:
    """Looks whether something can still be written to each of the directories.

    Raises:
        OutputError: one is full, or its user's share of it is; the message names it.
    """
    for directory in directories:
        try:
            reason = _reason(directory)
        except OSError as error:
            reason = error.strerror if error.errno in _FULL else None
        if reason:
            raise OutputError(
                f"{directory}: {reason}, so Chromium cannot start", hint="Make room there: `df` says how much there is."
            )


def _reason(directory: Path) -> str | None:
    place = os.statvfs(directory)
    # What only root may still use is of no use to a browser. Some file systems say nothing about their size.
    if (place.f_blocks and place.f_bavail * place.f_frsize < NEEDED) or (place.f_files and not place.f_favail):
        return os.strerror(errno.ENOSPC)
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(NEEDED))
    return None
