"""Publishes the watchdog's alerts in the outbox: one message when an alert begins, one when it is resolved."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from loguru import logger

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.status import FetchSection, LoginSection
from ibkr_tools.watchdog import alert_rules
from ibkr_tools.watchdog.alert_rules import Alert
from ibkr_tools.watchdog.state import State


class AlertPublisher:
    """The alerts of this process; across restarts, the delivery knows which of them a person has received."""

    def __init__(self, outbox: Path, *, user: str, outage_s: float, now: Callable[[], datetime]) -> None:
        self._outbox = outbox
        self._user = user
        self._outage_s = outage_s
        self._now = now
        # By topic, what was published last; of a topic that is missing here, an earlier process may have published it.
        self._published: dict[str, tuple[bool, str]] = {}
        self._last_error = ""

    def update(self, state: State, now_s: float, login: LoginSection | None, fetch: FetchSection | None = None) -> None:
        """Publishes the alerts that are new, and the topics that are resolved."""
        alerts = alert_rules.evaluate(state, now_s, self._now(), self._outage_s, login, fetch)
        for topic, alert in alerts.items():
            news = (alert.over, alert.subject)
            if self._published.get(topic) != news and self._publish(topic, alert):
                self._published[topic] = news

    def unit_recovered(self, *units: str) -> None:
        """Publishes that units which may have failed work."""
        for unit in units:
            self._publish(alert_outbox.unit_topic(unit), alert_rules.resolved(f"{unit} had failed; it works"))

    def _publish(self, topic: str, alert: Alert) -> bool:
        message = AlertMessage(
            topic=topic,
            at=self._now(),
            what=alert.what,
            next=alert.next,
            todo=alert.todo,
            over=alert.over,
            user=self._user,
        )
        problem = ""
        try:
            alert_outbox.put(self._outbox, message)
        except OSError as error:
            problem = f"a message cannot be left in {self._outbox}: {error.strerror}"
        if problem and problem != self._last_error:
            logger.error(problem)
        self._last_error = problem
        return not problem
