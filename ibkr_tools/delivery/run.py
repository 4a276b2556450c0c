"""Empties the outbox: oldest first, one process at a time, and nothing is told twice."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from loguru import logger

from ibkr_tools import files, messages
from ibkr_tools.config import NotifyConfig
from ibkr_tools.delivery import command, told
from ibkr_tools.delivery.letter import Letter, compose
from ibkr_tools.delivery.told import Told
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError, DeliveryFailed, OutputError
from ibkr_tools.gateway.child import Waiter
from ibkr_tools.messages import Message
from ibkr_tools.notify import Notifier
from ibkr_tools.status import utc_now

KEPT = timedelta(hours=24)
EVENTS_KEPT = timedelta(minutes=10)
"""A push that was announced has come and gone."""

OUTBOX_HOLDS = 20
"""More messages than that are a flood; the oldest are dropped."""

RETRY_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
MARGIN_S = 60.0
"""What systemd allows on top of a wait that was announced: for one command, and for a slow machine."""


class Delivery:
    """Delivers what is in one outbox; `load` reads the configuration anew before each attempt.

    `waiter` watches the outbox and is told when to end.
    """

    def __init__(
        self,
        load: Callable[[], NotifyConfig],
        directories: Directories,
        waiter: Waiter,
        *,
        notifier: Notifier | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._load = load
        self._directories = directories
        self._waiter = waiter
        self._notifier = notifier or Notifier({})
        self._now = now
        self._unsaved: Told | None = None

    def run(self) -> None:
        """Delivers everything, once, and returns when the outbox is empty or we are asked to end.

        Raises:
            DeliveryFailed: a message could not be told; it and those after it are kept.
            ConfigError: the configuration cannot be read.
            OutputError: outbox or state directory cannot be written by us.
        """
        try:
            files.make_directory(self._directories.state, mode=0o750)
            with files.locked(self._directories.told_file.with_suffix(".lock")):
                known = self._known()
                while (plan := self._plan(known)) and not self._waiter.stop_asked:
                    path, message = plan[0]
                    known = self._tell(known, path, message)
        except OSError as error:
            raise OutputError(f"{error.filename or self._directories.outbox}: {error.strerror}") from error

    def run_until_done(self) -> None:
        """As `run`, but tries again with growing waits; a new message is tried at once.

        Raises:
            OutputError: as `run`.
        """
        failures = 0
        while not self._waiter.stop_asked:
            # What comes while the command runs is not tried with it.
            tried = self._waiting()
            try:
                return self.run()
            except (DeliveryFailed, ConfigError) as error:
                pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                logger.warning("not told yet: {}; again in {:.0f} s", error.message, pause_s)
                self._notifier.status(f"again in {pause_s:.0f} s: {error.message}")
                self._rest(pause_s, tried)
        return None

    def _rest(self, seconds: float, tried: set[str]) -> None:
        """Returns after `seconds`, when there is news that is not among `tried`, or when we are asked to end."""
        deadline_s = self._waiter.now() + seconds
        self._notifier.extend_timeout(timedelta(seconds=seconds + MARGIN_S) + self._longest())
        while not self._waiter.stop_asked and (left_s := deadline_s - self._waiter.now()) > 0:
            arrived = self._waiting() - tried
            if arrived and arrived & {path.name for path, _ in self._plan(self._known())}:
                return
            self._waiter.wait(left_s)

    def _waiting(self) -> set[str]:
        return {path.name for path in messages.waiting(self._directories.outbox)}

    def _longest(self) -> timedelta:
        try:
            return timedelta(seconds=self._load().timeout_s)
        except ConfigError:
            return timedelta(seconds=NotifyConfig().timeout_s)

    def _known(self) -> Told:
        """Returns what was told; what could not be saved the last time is remembered while we live."""
        if self._unsaved is not None:
            self._save(self._unsaved)
            if self._unsaved is not None:
                return self._unsaved
        path = self._directories.told_file
        try:
            return told.read(path)
        except ValueError as error:
            logger.warning("{} is damaged, and taken for empty: {}", path, error)
            return Told()

    def _save(self, known: Told) -> None:
        try:
            told.write(self._directories.told_file, known)
            self._unsaved = None
        except OSError as error:
            logger.error("{} cannot be written: {}", self._directories.told_file, error.strerror)
            self._unsaved = known

    def _plan(self, known: Told) -> list[tuple[Path, Message]]:
        """Returns what is to be told, oldest first; the files of everything else are gone."""
        found = [(path, message) for path in messages.waiting(self._directories.outbox) if (message := _read(path))]
        fresh = [(path, message) for path, message in found if not self._is_too_old(path, message)]
        if len(news := _only_news(fresh, known)) > OUTBOX_HOLDS:
            logger.warning("{} messages at once: the oldest are dropped", len(news))
            news = _only_news(news[-OUTBOX_HOLDS:], known)
        kept = {path for path, _ in news}
        for path, _ in found:
            if path not in kept:
                path.unlink(missing_ok=True)
        return news

    def _is_too_old(self, path: Path, message: Message) -> bool:
        limit = EVENTS_KEPT if message.topic in told.EVENTS else KEPT
        old = messages.age(path, message, self._now()) > limit
        if old:
            logger.warning("dropped, since nobody could be told in time: {}: {}", message.topic, message.what)
        return old

    def _tell(self, known: Told, path: Path, message: Message) -> Told:
        """Tells one message, and returns what is known then."""
        config, now = self._load(), self._now()
        letter = compose(message, known.since(message))
        if config.command:
            if hold := known.hold(now):
                minutes = round(hold.total_seconds() / 60) + 1
                raise DeliveryFailed(f"{told.AN_HOUR_HAS} messages in an hour; the next in {minutes} min")
            self._notifier.extend_timeout(timedelta(seconds=config.timeout_s + MARGIN_S))
            try:
                self._command(config, letter)
            except DeliveryFailed as error:
                raise DeliveryFailed(f"{error.message} ({letter.subject})") from error
            logger.info("told: {}", letter.subject)
        else:
            lines = " | ".join(line for line in letter.text.splitlines()[:-1] if line)
            logger.log("INFO" if message.over else "WARNING", "{}", lines)
        known = known.after(message, path.name, now)
        # In this order: a message that was told and still lies there is recognised, one that is gone is not told.
        self._save(known)
        path.unlink(missing_ok=True)
        return known

    def _command(self, config: NotifyConfig, letter: Letter) -> None:
        command.run(
            config.command,
            msgspec.json.encode(letter) + b"\n",
            timeout_s=config.timeout_s,
            state=self._directories.state,
            waiter=self._waiter,
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
                "notify.command is empty: messages go to the journal only",
                hint="docs/notifications.md has examples; `journalctl -p warning -u ibkr-notify` shows the messages.",
            )
        files.make_directory(self._directories.state, mode=0o750)
        letter = compose(messages.test_message(self._now()), self._now())
        self._command(config, letter)
        return letter.subject


def _read(path: Path) -> Message | None:
    """Returns a message, None if there is none to be had; a file that is none is removed."""
    try:
        return messages.read(path)
    except (ValueError, OSError) as error:
        path.unlink(missing_ok=True)
        logger.warning("{} was not a message, and is removed: {}", path, error)
        return None


def _only_news(found: list[tuple[Path, Message]], known: Told) -> list[tuple[Path, Message]]:
    """Returns what would be told, if one after the other were."""
    news = []
    for path, message in found:
        if known.is_news(message, path.name):
            known = known.after(message, path.name, message.at)
            news.append((path, message))
    return news
