"""Room on the disks: Chromium does not start where there is none, and does not say why."""

import errno
import os
import stat
import tempfile
from pathlib import Path

from ibkr_tools.errors import OutputError

MIN_FREE_BYTES = 64 * 1024
"""With a tenth of it Chromium starts."""

FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


WANTED_FREE_BYTES = 32 << 20
"""What Chromium's shared memory and sockets want where temporary files go."""


def choose_temporary_directory(uid: int | None, fallback: Path) -> Path:
    """Returns where the browser's temporary files go: where everybody's do, or `fallback` where that is no use.

    Args:
        uid: the browser's user; None: ourselves.
        fallback: a directory of that user, which need not be there.
    """
    usual = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108  # as Chromium chooses it
    return usual if _is_usable(usual, uid) else fallback


def _is_usable(directory: Path, uid: int | None) -> bool:
    try:
        entry, filesystem = directory.stat(), os.statvfs(directory)
    except OSError:
        return False
    bits = stat.S_IWUSR | stat.S_IXUSR if entry.st_uid == uid else stat.S_IWOTH | stat.S_IXOTH
    may_write = os.access(directory, os.W_OK | os.X_OK) if uid is None else entry.st_mode & bits == bits
    has_room = not filesystem.f_blocks or filesystem.f_bavail * filesystem.f_frsize >= WANTED_FREE_BYTES
    has_names = not filesystem.f_files or bool(filesystem.f_favail)
    return may_write and has_room and has_names and not filesystem.f_flag & os.ST_RDONLY


def require_disk_space(*directories: Path) -> None:
    """Looks whether something can still be written to each of the directories.

    Raises:
        OutputError: one is full, or its user's share of it is; the message names it.
    """
    for directory in directories:
        try:
            reason = _full_disk_reason(directory)
        except OSError as error:
            reason = error.strerror if error.errno in FULL_DISK_ERRORS else None
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
