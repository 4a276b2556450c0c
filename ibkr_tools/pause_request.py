"""What a member of the group wants of the pause; see `ibkr_tools.shared_request`.

A request has no path and no text in it: a moment, or nothing.
"""

from pathlib import Path

import msgspec

from ibkr_tools import shared_request
from ibkr_tools.status import Moment

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
    shared_request.leave(path, msgspec.json.encode(request))


def take(path: Path) -> PauseRequest | None:
    """Takes the request away and returns it; None: what was there, and is taken away too, is none of ours.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: it cannot be taken away.
    """
    content = shared_request.take(path)
    try:
        found = msgspec.json.decode(content or b"", type=PauseRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A text of somebody's own.
        return None
    return found if found.schema == REQUEST_SCHEMA else None
