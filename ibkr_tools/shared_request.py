"""A request of a member of the group: a small file where the group may write, which the watchdog takes away.

Whoever may write there may write anything, so what is found is not trusted: nothing is followed or waited for, and
what is no small regular file is removed unread.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from ibkr_tools import files

MAX_REQUEST_BYTES = 512

MIN_TAKE_INTERVAL_S = 1.0
"""A pause may begin and end as often, and what is no request be removed, whoever leaves it."""

MIN_FETCH_INTERVAL_S = 60.0
"""A snapshot is asked for as often, whoever asks: each one sends IBKR requests and leaves a copy on the disk."""


def leave(path: Path, content: bytes = b"") -> None:
    """Leaves a request, in the place of one that is there.

    Raises:
        OSError: the directory cannot be written.
    """
    files.write_atomically(path, content, mode=files.SHARED_MODE, fsync=False)


def take(path: Path) -> bytes | None:
    """Takes away whatever is there, and returns its content; None: it was no small regular file.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: it cannot be taken away.
    """
    content = None
    # A link, a FIFO, something large.
    with suppress(OSError):
        content = files.read_regular(path, MAX_REQUEST_BYTES)
    if not files.remove(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return content
