"""The alerts that a person has got already, kept on disk so that no restart delivers one twice. Pure."""

from datetime import datetime, timedelta

import msgspec

from ibkr_tools.alert_outbox import ALERT_SCHEMA, AlertMessage
from ibkr_tools.status import Moment

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
    schema: int = ALERT_SCHEMA

    def is_new(self, message: AlertMessage, name: str) -> bool:
        """Says whether the person does not know this yet; `name` is the message's file."""
        if name == self.last:
            # Told, and whoever told it died before it could take the file away.
            return False
        topic = self.topics.get(message.topic)
        if message.over or topic is None:
            return message.over is (topic is not None)
        # An event, or the same trouble with something else to do about it.
        return message.topic in EVENT_TOPICS or (message.todo is not None and message.todo not in topic.todos)

    def opened_at(self, message: AlertMessage) -> datetime:
        """Returns when the topic of `message` was opened, which is now if this message opens it."""
        topic = self.topics.get(message.topic)
        return topic.since if topic and (message.over or message.topic not in EVENT_TOPICS) else message.at

    def with_delivered(self, message: AlertMessage, name: str, now: datetime) -> "AlertHistory":
        """Returns the history with the message, delivered at `now`."""
        topics = dict(self.topics)
        topic = topics.pop(message.topic, None)
        if not message.over:
            todos = (*(topic.todos if topic else ()), *([message.todo] if message.todo else []))
            topics[message.topic] = OpenTopic(since=self.opened_at(message), todos=todos[-MAX_TODOS:])
        return AlertHistory(topics=topics, last=name, sent=(*self._sent_last_hour(now), now))

    def _sent_last_hour(self, now: datetime) -> tuple[datetime, ...]:
        # A clock that was set back leaves moments in the future.
        return tuple(at for at in self.sent if now - HOUR < at <= now)[-MAX_ALERTS_PER_HOUR:]

    def throttled_for(self, now: datetime) -> timedelta:
        """Returns how long to wait before the next message, zero unless too many were told in the last hour."""
        sent = self._sent_last_hour(now)
        return sent[0] + HOUR - now if len(sent) >= MAX_ALERTS_PER_HOUR else timedelta(0)
