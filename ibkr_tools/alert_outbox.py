"""The outbox of alerts: one message when something needs a person, one when it is over.

Any process puts messages into the outbox, a directory; whoever delivers them takes them out. The processes that see
the password or hold the session need no network and no way to start programs for it.
"""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from ibkr_tools import files
from ibkr_tools.status import Moment

ALERT_SCHEMA = 1

OUTBOX_CAPACITY = 20
"""More messages than that are a flood, which nobody reads: the oldest give way."""

FLEX_TOPIC, TOKEN_TOPIC = "flex", "flex-token"
"""About statements that do not come or do not add up, and about the end of the token with which they are fetched."""

ACCOUNTS_TOPIC = "accounts"
"""About accounts that cannot be fetched."""


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, or its end.

    `topic` is what it is about (`person`, `outage`, `approval`, `brokerage`, `logins`, `accounts`, `parts`, `flex`,
    `flex-token`, `unit:NAME`); a topic that is open is told once, and `over` closes it. `what` says what happened,
    `next` what the tool will do, `todo` what the person must do, null if nothing. `user` is the IBKR user, null where
    the writer does not know it.
    """

    topic: str
    at: Moment
    what: str
    next: str
    todo: str | None = None
    over: bool = False
    user: str | None = None
    schema: int = ALERT_SCHEMA


def unit_topic(unit: str) -> str:
    """Returns the topic of a failed unit, such as `unit:ibkr-fetch.service`."""
    return f"unit:{unit}"


def test_message(now: datetime) -> AlertMessage:
    """Returns the message of somebody who tries the command."""
    next_step = "nothing; a real message says here what the tool does about it"
    return AlertMessage(topic="test", at=now, what="this is a test", next=next_step)


def _since_boot_ns() -> int:
    # Counts on through suspend, and whoever sets the machine's clock does not move it.
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def put(outbox: Path, message: AlertMessage) -> Path:
    """Leaves a message for whoever delivers; returns its file, which is gone when the message is dealt with.

    Raises:
        OSError: the runtime directory cannot be written.
    """
    files.make_directory(outbox, mode=0o700)
    # The boot clock orders messages, and tells their age, when a machine without a battery learns the time late.
    path = outbox / f"{_since_boot_ns():020d}-{os.urandom(3).hex()}.json"
    for oldest in pending(outbox)[: -OUTBOX_CAPACITY + 1]:
        # A fetch takes only topics from here, and would wait for loguru for a fifth of its time.
        from loguru import logger

        logger.warning("{} messages at once: the oldest is dropped", OUTBOX_CAPACITY)
        oldest.unlink(missing_ok=True)
    files.write_atomically(path, msgspec.json.encode(message) + b"\n", mode=0o600, fsync=False)
    return path


def pending(outbox: Path) -> list[Path]:
    """Returns the files of the messages that nobody has dealt with yet, oldest first; no outbox holds none."""
    try:
        # The temporary file of a writer begins with a dot.
        return sorted(path for path in outbox.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except FileNotFoundError:
        return []


class _Document(Protocol):
    @property
    def schema(self) -> int: ...


_D = TypeVar("_D", bound=_Document)


def read(path: Path) -> AlertMessage | None:
    """Returns one message, None if its file has gone; raises as `read_document`."""
    return read_document(path, AlertMessage)


def read_document(path: Path, kind: type[_D]) -> _D | None:
    """Returns what the file `path` holds, None if it is not there.

    Raises:
        ValueError: it holds something else, or another schema.
        OSError: it cannot be read.
    """
    try:
        document = msgspec.json.decode(files.read_regular(path), type=kind)
    except FileNotFoundError:
        return None
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if document.schema != ALERT_SCHEMA:
        raise ValueError(f"schema {document.schema}, this version knows {ALERT_SCHEMA}")
    return document


def age(path: Path, message: AlertMessage, now: datetime) -> timedelta:
    """Returns how long a message has been waiting."""
    stamp = path.name.partition("-")[0]
    if stamp.isdigit() and (waited_ns := _since_boot_ns() - int(stamp)) >= 0:
        return timedelta(microseconds=waited_ns / 1000)
    # Put by hand, or before the last boot.
    return now - message.at
