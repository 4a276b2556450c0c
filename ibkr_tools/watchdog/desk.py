"""Puts the watchdog's messages for a person into the outbox: one when something begins, one when it is over."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ibkr_tools import messages
from ibkr_tools.log import Journal
from ibkr_tools.messages import Message
from ibkr_tools.status import FetchSection, LoginSection
from ibkr_tools.watchdog import concerns
from ibkr_tools.watchdog.state import State


class Desk:
    """What this process has told; across restarts, whoever delivers knows what a person has heard already."""

    def __init__(
        self, outbox: Path, journal: Journal, *, user: str, outage_s: float, now: Callable[[], datetime]
    ) -> None:
        self._outbox = outbox
        self._journal = journal
        self._user = user
        self._outage_s = outage_s
        self._now = now
        self._open: dict[str, str | None] = {}
        # A former life may have told of them: each is closed once, whatever this one knows.
        self._unsettled = set(concerns.TOPICS)
        self._trouble = ""

    def look(self, state: State, now_s: float, login: LoginSection | None, fetch: FetchSection | None = None) -> None:
        """Tells what is new in the machine's state, and what is over."""
        now = self._now()
        found = concerns.open_ones(state, now_s, outage_s=self._outage_s, login=login, now=now, fetch=fetch)
        for concern in found:
            is_open = concern.topic in self._open
            if is_open and (concern.topic not in concerns.OF_FETCH or self._open[concern.topic] == concern.todo):
                continue
            if self._put(concern.topic, concern.what, concern.next, concern.todo):
                self._open[concern.topic] = concern.todo
                self._unsettled.add(concern.topic)
        for topic in set(concerns.settled(state, login=login, now=now, fetch=fetch)) & self._unsettled:
            if self._put(topic, concerns.OVER[topic], "nothing, all is well", over=True):
                self._open.pop(topic, None)
                self._unsettled.discard(topic)

    def unit_is_well(self, *units: str) -> None:
        """Tells that units which may have failed work."""
        for unit in units:
            self._put(messages.unit_topic(unit), f"{unit} had failed; it works", "nothing, all is well", over=True)

    def _put(self, topic: str, what: str, then: str, todo: str | None = None, *, over: bool = False) -> bool:
        message = Message(topic=topic, at=self._now(), what=what, next=then, todo=todo, over=over, user=self._user)
        try:
            messages.put(self._outbox, message)
        except OSError as error:
            text = f"a message cannot be left in {self._outbox}: {error.strerror}"
            if text != self._trouble:
                self._journal.error(text)
            self._trouble = text
            return False
        self._trouble = ""
        return True
