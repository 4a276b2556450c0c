"""Empties the outbox: oldest first, one process at a time, and nothing is told twice."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
from loguru import logger

from ibkr_tools import alert_outbox, executables, files, user_command
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.alerts.alert_history import EVENT_TOPICS, MAX_ALERTS_PER_HOUR, AlertHistory
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

DELIVERY_BACKOFF_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
MAX_COMMAND_S = 360.0
"""How long one command takes at the most: the configuration allows 300 s, and a machine may be slow."""

_PRIVATE_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
"""What systemd tells this process alone."""


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
                    history = self._deliver(history, *undelivered[0])
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
            tried = set(alert_outbox.pending(self._directories.outbox))
            try:
                return self.run()
            except (DeliveryFailed, ConfigError) as error:
                pause_s = DELIVERY_BACKOFF_S[min(failures, len(DELIVERY_BACKOFF_S) - 1)]
                failures += 1
                logger.warning("not told yet: {}; again in {:.0f} s", error.message, pause_s)
                self._notifier.status(f"again in {pause_s:.0f} s: {error.message}")
                self._back_off(pause_s, tried)
        return None

    def _back_off(self, seconds: float, tried: set[Path]) -> None:
        """Returns after `seconds`, when there is an alert that is not among `tried`, or when we are asked to end."""
        deadline_s = self._event_loop.now() + seconds
        self._announce_wait(seconds)
        while not self._event_loop.stop_requested and (left_s := deadline_s - self._event_loop.now()) > 0:
            arrived = set(alert_outbox.pending(self._directories.outbox)) - tried
            if arrived and any(path in arrived for path, _ in self._undelivered(self._load_history())):
                return
            self._event_loop.wait(left_s)

    def _announce_wait(self, seconds: float) -> None:
        """Has systemd wait so much longer, and for one command after that."""
        self._notifier.extend_timeout(timedelta(seconds=seconds + MAX_COMMAND_S))

    def _load_history(self) -> AlertHistory:
        """Returns what was told; what could not be saved the last time is remembered while we live."""
        if (unsaved := self._unsaved) is not None:
            self._save_history(unsaved)
            return unsaved
        path = self._directories.alert_history_file
        try:
            return alert_outbox.read_document(path, AlertHistory) or AlertHistory()
        except ValueError as error:
            logger.warning("{} is damaged, and taken for empty: {}", path, error)
            return AlertHistory()

    def _save_history(self, history: AlertHistory) -> None:
        self._unsaved = history
        path = self._directories.alert_history_file
        try:
            # On disk before the message goes, so that it survives a power cut.
            files.write_atomically(path, msgspec.json.encode(history) + b"\n", mode=0o640)
            self._unsaved = None
        except OSError as error:
            logger.error("{} cannot be written: {}", path, error.strerror)

    def _undelivered(self, history: AlertHistory) -> list[tuple[Path, AlertMessage]]:
        """Returns what is to be told, oldest first; the files of everything else are gone."""
        undelivered = []
        for path in alert_outbox.pending(self._directories.outbox):
            message = self._read_fresh(path)
            if message is not None and history.is_new(message, path.name):
                # What comes after it is judged as if it were told.
                history = history.with_delivered(message, path.name, message.at)
                undelivered.append((path, message))
            else:
                path.unlink(missing_ok=True)
        return undelivered

    def _read_fresh(self, path: Path) -> AlertMessage | None:
        """Returns a message, None if the file holds none, or one that is too old."""
        try:
            message = alert_outbox.read(path)
        except (ValueError, OSError) as error:
            logger.warning("{} was not a message, and is removed: {}", path, error)
            return None
        if message is None:
            return None
        max_age = EVENT_MAX_AGE if message.topic in EVENT_TOPICS else ALERT_MAX_AGE
        if alert_outbox.age(path, message, self._now()) > max_age:
            logger.warning("dropped, since nobody could be told in time: {}: {}", message.topic, message.what)
            return None
        return message

    def _deliver(self, history: AlertHistory, path: Path, message: AlertMessage) -> AlertHistory:
        """Delivers one message, and returns the history with it."""
        config, now = self._load(), self._now()
        alert = render_alert(message, history.opened_at(message))
        if not config.command:
            lines = " | ".join(line for line in alert.text.splitlines()[:-1] if line)
            logger.log("INFO" if message.over else "WARNING", "{}", lines)
        elif wait := history.throttled_for(now):
            minutes = round(wait.total_seconds() / 60) + 1
            raise DeliveryFailed(f"{MAX_ALERTS_PER_HOUR} messages in an hour; the next in {minutes} min")
        else:
            self._tell(config, alert)
            logger.info("told: {}", alert.subject)
        history = history.with_delivered(message, path.name, now)
        # In this order: a message that was told and still lies there is recognised, one that is gone is not told.
        self._save_history(history)
        path.unlink(missing_ok=True)
        return history

    def _tell(self, config: AlertsConfig, alert: RenderedAlert) -> None:
        self._announce_wait(0.0)
        tell(config, alert, self._directories.state, self._event_loop)

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
        self._tell(config, alert)
        return alert.subject


def tell(config: AlertsConfig, alert: RenderedAlert, state: Path, event_loop: EventLoop) -> None:
    """Has the person's own command tell an alert: as JSON on its standard input; exit code 0 means told.

    Root runs it as the owner of the directory `state`.

    Raises:
        DeliveryFailed: it could not be started, took too long, or ended with another code than 0.
    """
    name = config.command[0]
    environment = {variable: value for variable, value in os.environ.items() if variable not in _PRIVATE_VARIABLES}
    document = msgspec.json.encode(alert) + b"\n"
    spawn = partial(user_command.spawn_locally, stdin=document, keeps_output=False, owner=state.stat())
    try:
        result = user_command.run_user_command(
            config.command, environment, config.timeout_s, spawn=spawn, event_loop=event_loop
        )
    except (OSError, ValueError) as error:
        why = executables.command_problem(config.command) or getattr(error, "strerror", None) or error
        raise DeliveryFailed(f"{name} could not be started: {why} ({alert.subject})") from error
    if result.exit_status == 0:
        return
    if result.exit_status is not None:
        how = user_command.describe_end(result.exit_status)
    else:
        how = "was ended with us" if event_loop.stop_requested else f"took longer than {config.timeout_s:g} s"
    complaint = f": {result.complaint}" if result.complaint else ""
    raise DeliveryFailed(f"{name} {how}{complaint} ({alert.subject})")
