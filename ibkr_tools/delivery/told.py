"""What a person has been told already, kept on disk so that no restart tells it twice."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from ibkr_tools import files
from ibkr_tools.messages import Message

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
SCHEMA = 1

EVENTS = frozenset({"approval", "test"})
"""Topics whose every message is news: a push is on its way to the phone, somebody tries the command."""

HOUR = timedelta(hours=1)
TODOS = 10
"""How many different things to do are remembered of one topic."""

AN_HOUR_HAS = 20
"""More messages than that in an hour are no longer read by anybody; the rest waits."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One open topic: `since` when it began, and what the person was given to do since then."""

    since: Moment
    todos: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The open topics; `last` is the file of the message told last, `sent` when those of the last hour were told."""

    topics: dict[str, Topic] = {}
    last: str | None = None
    sent: tuple[Moment, ...] = ()
    schema: int = SCHEMA

    def is_news(self, message: Message, name: str) -> bool:
        """Says whether the person does not know this yet; `name` is the message's file."""
        if name == self.last:
            # Told, and whoever told it died before it could take the file away.
            return False
        topic = self.topics.get(message.topic)
        if message.over:
            return topic is not None
        if topic is None or message.topic in EVENTS:
            return True
        # The same trouble, but something else to do about it.
        return message.todo is not None and message.todo not in topic.todos

    def since(self, message: Message) -> datetime:
        """Returns when the topic of `message` was opened, which is now if this message opens it."""
        topic = self.topics.get(message.topic)
        return topic.since if topic and (message.over or message.topic not in EVENTS) else message.at

    def after(self, message: Message, name: str, now: datetime) -> "Told":
        """Returns what is known once the message was told at `now`."""
        topics = dict(self.topics)
        if message.over:
            topics.pop(message.topic, None)
        else:
            before = topics.get(message.topic)
            todos = (*(before.todos if before else ()), *([message.todo] if message.todo else []))
            topics[message.topic] = Topic(since=self.since(message), todos=todos[-TODOS:])
        return Told(topics=topics, last=name, sent=(*self._lately(now), now))

    def _lately(self, now: datetime) -> tuple[datetime, ...]:
        # A clock that was set back leaves moments in the future.
        return tuple(at for at in self.sent if now - HOUR < at <= now)[-AN_HOUR_HAS:]

    def hold(self, now: datetime) -> timedelta:
        """Returns how long to wait before the next message, zero unless too many were told in the last hour."""
        lately = self._lately(now)
        return lately[0] + HOUR - now if len(lately) >= AN_HOUR_HAS else timedelta(0)


def read(path: Path) -> Told:
    """Returns what was told; nothing, if nothing was ever told.

    Raises:
        ValueError: the file is damaged, or of another schema.
        OSError: it cannot be read.
    """
    try:
        told = msgspec.json.decode(files.read_regular(path), type=Told)
    except FileNotFoundError:
        return Told()
    except PermissionError:
        raise
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if told.schema != SCHEMA:
        raise ValueError(f"schema {told.schema}, this version knows {SCHEMA}")
    return told


def write(path: Path, told: Told) -> None:
    """Makes `told` what is known, also after a power cut.

    Raises:
        OSError: the state directory cannot be written.
    """
    files.write_atomically(path, msgspec.json.encode(told) + b"\n", mode=0o640)
