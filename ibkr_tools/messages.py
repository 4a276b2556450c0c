"""What a person is told: one message when something needs them, one when it is over.

Any process puts messages into the outbox, a directory; whoever delivers them takes them out. The processes that see
the password or hold the session need no network and no way to start programs for it.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from ibkr_tools import files

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
SCHEMA = 1


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message.

    `topic` is what it is about (`person`, `outage`, `approval`, `brokerage`, `logins`, `unit:NAME`); a topic that is
    open is told once, and `over` closes it. `what` says what happened, `next` what the tool will do, `todo` what the
    person must do, null if nothing. `user` is the IBKR user, null where the writer does not know it.
    """

    topic: str
    at: Moment
    what: str
    next: str
    todo: str | None = None
    over: bool = False
    user: str | None = None
    schema: int = SCHEMA


def put(outbox: Path, message: Message) -> Path:
    """Leaves a message for whoever delivers; returns its file, which is gone when the message is dealt with.

    Raises:
        OSError: the runtime directory cannot be written.
    """
    files.make_directory(outbox, mode=0o770)
    path = outbox / f"{message.at:%Y%m%dT%H%M%S%f}-{os.urandom(3).hex()}.json"
    files.write_atomically(path, msgspec.json.encode(message) + b"\n", mode=0o640, durable=False)
    return path
