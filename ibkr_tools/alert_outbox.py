"""The outbox of alerts: one message when something needs a person, one when it is over.

Any process puts messages into the outbox, a directory; whoever delivers them takes them out. The processes that see
the password or hold the session need no network and no way to start programs for it.
"""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.status import Moment

ALERT_SCHEMA = 1

OUTBOX_CAPACITY = 100
"""If nobody takes messages out, the oldest give way: the outbox is in memory."""

_NANOSECOND = 1e-9


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, or its end.

    `topic` is what it is about (`person`, `outage`, `approval`, `brokerage`, `logins`, `accounts`, `parts`,
    `unit:NAME`); a topic that is open is told once, and `over` closes it. `what` says what happened, `next` what the
    tool will do, `todo` what the person must do, null if nothing. `user` is the IBKR user, null where the writer does
    not know it.
    """

    topic: str
    at: Moment
    what: str
    next: str
    todo: str | None = None
    over: bool = False
    user: str | None = None
    schema: int = ALERT_SCHEMA


ACCOUNTS_TOPIC = "accounts"
"""About accounts that cannot be fetched."""


def unit_topic(unit: str) -> str:
    """Returns the topic of a failed unit, such as `unit:ibkr-fetch.service`."""
    return f"unit:{unit}"


def test_message(now: datetime) -> AlertMessage:
    """Returns the message of somebody who tries the command."""
    return AlertMessage(
        topic="test",
        at=now,
        what="this is a test",
        next="nothing; a real message says here what the tool does about it",
    )


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


def read(path: Path) -> AlertMessage | None:
    """Returns one message, None if its file has gone.

    Raises:
        ValueError: not a message, or one of another schema.
        OSError: it cannot be read.
    """
    try:
        message = msgspec.json.decode(files.read_regular(path), type=AlertMessage)
    except FileNotFoundError:
        return None
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if message.schema != ALERT_SCHEMA:
        raise ValueError(f"schema {message.schema}, this version knows {ALERT_SCHEMA}")
    return message


def age(path: Path, message: AlertMessage, now: datetime) -> timedelta:
    """Returns how long a message has been waiting."""
    stamp = path.name.partition("-")[0]
    if stamp.isdigit() and (waited_ns := _since_boot_ns() - int(stamp)) >= 0:
        return timedelta(seconds=waited_ns * _NANOSECOND)
    # Put by hand, or before the last boot.
    return now - message.at
