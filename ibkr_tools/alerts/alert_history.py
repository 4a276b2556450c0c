"""The alerts that a person has got already, kept on disk so that no restart delivers one twice."""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.status import Moment

ALERT_HISTORY_SCHEMA = 1

EVENT_TOPICS = frozenset({"approval", "test"})
"""Topics whose every message is news: a push is on its way to the phone, somebody tries the command."""

HOUR = timedelta(hours=1)
MAX_TODOS = 10
"""How many different things to do are remembered of one topic."""

MAX_ALERTS_PER_HOUR = 20
"""More messages than that in an hour are no longer read by anybody; the rest waits."""


class OpenTopic(msgspec.Struct, frozen=True, kw_only=True):
    """One open topic: `since` when it began, and what the person was given to do since then."""

    since: Moment
    todos: tuple[str, ...] = ()


class AlertHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The open topics; `last` is the file of the message told last, `sent` when those of the last hour were told."""

    topics: dict[str, OpenTopic] = {}
    last: str | None = None
    sent: tuple[Moment, ...] = ()
    schema: int = ALERT_HISTORY_SCHEMA

    def is_new(self, message: AlertMessage, name: str) -> bool:
        """Says whether the person does not know this yet; `name` is the message's file."""
        if name == self.last:
            # Told, and whoever told it died before it could take the file away.
            return False
        topic = self.topics.get(message.topic)
        if message.over:
            return topic is not None
        if topic is None or message.topic in EVENT_TOPICS:
            return True
        # The same trouble, but something else to do about it.
        return message.todo is not None and message.todo not in topic.todos

    def opened_at(self, message: AlertMessage) -> datetime:
        """Returns when the topic of `message` was opened, which is now if this message opens it."""
        topic = self.topics.get(message.topic)
        return topic.since if topic and (message.over or message.topic not in EVENT_TOPICS) else message.at

    def with_delivered(self, message: AlertMessage, name: str, now: datetime) -> "AlertHistory":
        """Returns the history with the message, delivered at `now`."""
        topics = dict(self.topics)
        if message.over:
            topics.pop(message.topic, None)
        else:
            topic = topics.get(message.topic)
            todos = (*(topic.todos if topic else ()), *([message.todo] if message.todo else []))
            topics[message.topic] = OpenTopic(since=self.opened_at(message), todos=todos[-MAX_TODOS:])
        return AlertHistory(topics=topics, last=name, sent=(*self._delivered_last_hour(now), now))

    def _delivered_last_hour(self, now: datetime) -> tuple[datetime, ...]:
        # A clock that was set back leaves moments in the future.
        return tuple(at for at in self.sent if now - HOUR < at <= now)[-MAX_ALERTS_PER_HOUR:]

    def throttled_for(self, now: datetime) -> timedelta:
        """Returns how long to wait before the next message, zero unless too many were told in the last hour."""
        sent = self._delivered_last_hour(now)
        return sent[0] + HOUR - now if len(sent) >= MAX_ALERTS_PER_HOUR else timedelta(0)


def read(path: Path) -> AlertHistory:
    """Returns what was told; nothing, if nothing was ever told.

    Raises:
        ValueError: the file is damaged, or of another schema.
        OSError: it cannot be read.
    """
    try:
        history = msgspec.json.decode(files.read_regular(path), type=AlertHistory)
    except FileNotFoundError:
        return AlertHistory()
    except PermissionError:
        raise
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if history.schema != ALERT_HISTORY_SCHEMA:
        raise ValueError(f"schema {history.schema}, this version knows {ALERT_HISTORY_SCHEMA}")
    return history


def write(path: Path, history: AlertHistory) -> None:
    """Replaces the file by `history`, which then survives a power cut.

    Raises:
        OSError: the state directory cannot be written.
    """
    files.write_atomically(path, msgspec.json.encode(history) + b"\n", mode=0o640)
