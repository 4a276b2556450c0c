"""What a member of the group wants of the pause: a small file where the group may write, which the watchdog takes away.

Whoever may write there may write anything. So a request has no path and no text in it: a moment, or nothing.
"""

from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.status import Moment

MAX_REQUEST_BYTES = 512
REQUEST_SCHEMA = 1
"""The schema of the file."""


class PauseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whether nothing is to log in, and until when; `until` null: until somebody says `resume`."""

    paused: bool
    until: Moment | None = None
    schema: int = REQUEST_SCHEMA


def leave(path: Path, request: PauseRequest) -> None:
    """Leaves a request, in the place of one that is there.

    Raises:
        OSError: the directory cannot be written.
    """
    files.write_atomically(path, msgspec.json.encode(request), mode=files.SHARED_MODE, fsync=False)


def take(path: Path) -> tuple[PauseRequest | None, int] | None:
    """Takes the request away and returns it, with the user id of who left it; None: there is none.

    What is none of ours is taken away too, and is no request.

    Raises:
        OSError: it cannot be taken away.
    """
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        return None
    request = None
    try:
        found = msgspec.json.decode(files.read_regular(path, MAX_REQUEST_BYTES), type=PauseRequest)
        request = found if found.schema == REQUEST_SCHEMA else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A link, a FIFO, a text of somebody's own.
        pass
    files.remove(path)
    return request, owner
