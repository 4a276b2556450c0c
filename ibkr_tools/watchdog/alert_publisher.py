"""Publishes the watchdog's alerts in the outbox: one message when an alert begins, one when it is resolved."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.log import Journal
from ibkr_tools.status import FetchSection, LoginSection
from ibkr_tools.watchdog import alert_rules
from ibkr_tools.watchdog.state import State


class AlertPublisher:
    """The alerts of this process; across restarts, the delivery knows which of them a person has received."""

    def __init__(
        self, outbox: Path, journal: Journal, *, user: str, outage_s: float, now: Callable[[], datetime]
    ) -> None:
        self._outbox = outbox
        self._journal = journal
        self._user = user
        self._outage_s = outage_s
        self._now = now
        self._active: dict[str, str | None] = {}
        # An earlier process may have published them: each is resolved once, whatever this process knows.
        self._unresolved = set(alert_rules.ALERT_TOPICS)
        self._last_error = ""

    def update(self, state: State, now_s: float, login: LoginSection | None, fetch: FetchSection | None = None) -> None:
        """Publishes the alerts that are new, and the topics that are resolved."""
        now = self._now()
        alerts = alert_rules.active_alerts(state, now_s, outage_s=self._outage_s, login=login, now=now, fetch=fetch)
        for alert in alerts:
            is_active = alert.topic in self._active
            if is_active and (alert.topic not in alert_rules.FETCH_TOPICS or self._active[alert.topic] == alert.todo):
                continue
            if self._publish(alert.topic, alert.what, alert.next, alert.todo):
                self._active[alert.topic] = alert.todo
                self._unresolved.add(alert.topic)
        for topic in set(alert_rules.resolved_topics(state, login=login, now=now, fetch=fetch)) & self._unresolved:
            if self._publish(topic, alert_rules.RESOLVED_TEXTS[topic], "nothing, all is well", over=True):
                self._active.pop(topic, None)
                self._unresolved.discard(topic)

    def unit_recovered(self, *units: str) -> None:
        """Publishes that units which may have failed work."""
        for unit in units:
            self._publish(
                alert_outbox.unit_topic(unit), f"{unit} had failed; it works", "nothing, all is well", over=True
            )

    def _publish(self, topic: str, what: str, then: str, todo: str | None = None, *, over: bool = False) -> bool:
        message = AlertMessage(topic=topic, at=self._now(), what=what, next=then, todo=todo, over=over, user=self._user)
        try:
            alert_outbox.put(self._outbox, message)
        except OSError as error:
            text = f"a message cannot be left in {self._outbox}: {error.strerror}"
            if text != self._last_error:
                self._journal.error(text)
            self._last_error = text
            return False
        self._last_error = ""
        return True
