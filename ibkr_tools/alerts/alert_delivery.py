"""Empties the outbox: oldest first, one process at a time, and nothing is told twice."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from loguru import logger

from ibkr_tools import alert_outbox, files
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.alerts import alert_history, command_runner
from ibkr_tools.alerts.alert_history import AlertHistory
from ibkr_tools.alerts.alert_rendering import RenderedAlert, render_alert
from ibkr_tools.config.schema import AlertsConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError, DeliveryFailed, OutputError
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import utc_now

ALERT_MAX_AGE = timedelta(hours=24)
EVENT_MAX_AGE = timedelta(minutes=10)
"""A push that was announced has come and gone."""

MAX_ALERTS_AT_ONCE = 20
"""More messages than that are a flood; the oldest are dropped."""

DELIVERY_BACKOFF_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
DELIVERY_TIMEOUT_MARGIN_S = 60.0
"""What systemd allows on top of a wait that was announced: for one command, and for a slow machine."""


class AlertDelivery:
    """Delivers what is in one outbox; `load` reads the configuration anew before each attempt.

    `event_loop` watches the outbox, and a signal ends it.
    """

    def __init__(
        self,
        load: Callable[[], AlertsConfig],
        directories: Directories,
        event_loop: EventLoop,
        *,
        notifier: SystemdNotifier | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._load = load
        self._directories = directories
        self._event_loop = event_loop
        self._notifier = notifier or SystemdNotifier({})
        self._now = now
        self._unsaved: AlertHistory | None = None

    def run(self) -> None:
        """Delivers everything, once, and returns when the outbox is empty or we are asked to end.

        Raises:
            DeliveryFailed: a message could not be told; it and those after it are kept.
            ConfigError: the configuration cannot be read.
            OutputError: outbox or state directory cannot be written by us.
        """
        try:
            files.make_directory(self._directories.state, mode=0o750)
            with files.locked(self._directories.alert_history_file.with_suffix(".lock")):
                history = self._load_history()
                while (undelivered := self._undelivered(history)) and not self._event_loop.stop_requested:
                    path, message = undelivered[0]
                    history = self._deliver(history, path, message)
        except OSError as error:
            raise OutputError(f"{error.filename or self._directories.outbox}: {error.strerror}") from error

    def run_until_done(self) -> None:
        """As `run`, but tries again with growing waits; a new message is tried at once.

        Raises:
            OutputError: as `run`.
        """
        failures = 0
        while not self._event_loop.stop_requested:
            # What comes while the command runs is not tried with it.
            tried = self._pending_names()
            try:
                return self.run()
            except (DeliveryFailed, ConfigError) as error:
                pause_s = DELIVERY_BACKOFF_S[min(failures, len(DELIVERY_BACKOFF_S) - 1)]
                failures += 1
                logger.warning("not told yet: {}; again in {:.0f} s", error.message, pause_s)
                self._notifier.status(f"again in {pause_s:.0f} s: {error.message}")
                self._back_off(pause_s, tried)
        return None

    def _back_off(self, seconds: float, tried: set[str]) -> None:
        """Returns after `seconds`, when there is an alert that is not among `tried`, or when we are asked to end."""
        deadline_s = self._event_loop.now() + seconds
        self._notifier.extend_timeout(timedelta(seconds=seconds + DELIVERY_TIMEOUT_MARGIN_S) + self._command_timeout())
        while not self._event_loop.stop_requested and (left_s := deadline_s - self._event_loop.now()) > 0:
            arrived = self._pending_names() - tried
            if arrived and arrived & {path.name for path, _ in self._undelivered(self._load_history())}:
                return
            self._event_loop.wait(left_s)

    def _pending_names(self) -> set[str]:
        return {path.name for path in alert_outbox.pending(self._directories.outbox)}

    def _command_timeout(self) -> timedelta:
        try:
            return timedelta(seconds=self._load().timeout_s)
        except ConfigError:
            return timedelta(seconds=AlertsConfig().timeout_s)

    def _load_history(self) -> AlertHistory:
        """Returns what was told; what could not be saved the last time is remembered while we live."""
        if self._unsaved is not None:
            self._save_history(self._unsaved)
            if self._unsaved is not None:
                return self._unsaved
        path = self._directories.alert_history_file
        try:
            return alert_history.read(path)
        except ValueError as error:
            logger.warning("{} is damaged, and taken for empty: {}", path, error)
            return AlertHistory()

    def _save_history(self, history: AlertHistory) -> None:
        try:
            alert_history.write(self._directories.alert_history_file, history)
            self._unsaved = None
        except OSError as error:
            logger.error("{} cannot be written: {}", self._directories.alert_history_file, error.strerror)
            self._unsaved = history

    def _undelivered(self, history: AlertHistory) -> list[tuple[Path, AlertMessage]]:
        """Returns what is to be told, oldest first; the files of everything else are gone."""
        alerts = [
            (path, message) for path in alert_outbox.pending(self._directories.outbox) if (message := _read(path))
        ]
        fresh = [(path, message) for path, message in alerts if not self._is_expired(path, message)]
        if len(unknown := _unknown_alerts(fresh, history)) > MAX_ALERTS_AT_ONCE:
            logger.warning("{} messages at once: the oldest are dropped", len(unknown))
            unknown = _unknown_alerts(unknown[-MAX_ALERTS_AT_ONCE:], history)
        remaining = {path for path, _ in unknown}
        for path, _ in alerts:
            if path not in remaining:
                path.unlink(missing_ok=True)
        return unknown

    def _is_expired(self, path: Path, message: AlertMessage) -> bool:
        limit = EVENT_MAX_AGE if message.topic in alert_history.EVENT_TOPICS else ALERT_MAX_AGE
        is_expired = alert_outbox.age(path, message, self._now()) > limit
        if is_expired:
            logger.warning("dropped, since nobody could be told in time: {}: {}", message.topic, message.what)
        return is_expired

    def _deliver(self, history: AlertHistory, path: Path, message: AlertMessage) -> AlertHistory:
        """Delivers one message, and returns the history with it."""
        config, now = self._load(), self._now()
        alert = render_alert(message, history.opened_at(message))
        if config.command:
            if wait := history.throttled_for(now):
                minutes = round(wait.total_seconds() / 60) + 1
                raise DeliveryFailed(
                    f"{alert_history.MAX_ALERTS_PER_HOUR} messages in an hour; the next in {minutes} min"
                )
            self._notifier.extend_timeout(timedelta(seconds=config.timeout_s + DELIVERY_TIMEOUT_MARGIN_S))
            try:
                self._run_command(config, alert)
            except DeliveryFailed as error:
                raise DeliveryFailed(f"{error.message} ({alert.subject})") from error
            logger.info("told: {}", alert.subject)
        else:
            lines = " | ".join(line for line in alert.text.splitlines()[:-1] if line)
            logger.log("INFO" if message.over else "WARNING", "{}", lines)
        history = history.with_delivered(message, path.name, now)
        # In this order: a message that was told and still lies there is recognised, one that is gone is not told.
        self._save_history(history)
        path.unlink(missing_ok=True)
        return history

    def _run_command(self, config: AlertsConfig, alert: RenderedAlert) -> None:
        command_runner.run_alert_command(
            config.command,
            msgspec.json.encode(alert) + b"\n",
            timeout_s=config.timeout_s,
            state=self._directories.state,
            event_loop=self._event_loop,
        )

    def test(self) -> str:
        """Runs the command with a message that says it is a test; returns the subject.

        Raises:
            ConfigError: there is no command.
            DeliveryFailed: the command failed.
        """
        config = self._load()
        if not config.command:
            raise ConfigError(
                "alerts.command is empty: messages go to the journal only",
                hint="docs/alerts.md has examples; `journalctl -p warning -u ibkr-alert` shows the messages.",
            )
        files.make_directory(self._directories.state, mode=0o750)
        alert = render_alert(alert_outbox.test_message(self._now()), self._now())
        self._run_command(config, alert)
        return alert.subject


def _read(path: Path) -> AlertMessage | None:
    """Returns a message, None if there is none to be had; a file that is none is removed."""
    try:
        return alert_outbox.read(path)
    except (ValueError, OSError) as error:
        path.unlink(missing_ok=True)
        logger.warning("{} was not a message, and is removed: {}", path, error)
        return None


def _unknown_alerts(alerts: list[tuple[Path, AlertMessage]], history: AlertHistory) -> list[tuple[Path, AlertMessage]]:
    """Returns what would be told, if one after the other were."""
    unknown = []
    for path, message in alerts:
        if history.is_new(message, path.name):
            history = history.with_delivered(message, path.name, message.at)
            unknown.append((path, message))
    return unknown
