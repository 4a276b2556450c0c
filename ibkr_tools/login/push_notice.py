"""The alert that tells a person to expect a push of IB Key, before IBKR sends it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from loguru import logger

from ibkr_tools.alert_outbox import AlertMessage, put
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.polling import poll_until

TOPIC = "approval"
DELIVERY_TIMEOUT_S = 10.0
"""How long the login waits for the message to be delivered."""


class PushNotice:
    """The message before a push, and the one after it; `clock` gives the time now, aware."""

    def __init__(self, config: Config, directories: Directories, clock: Callable[[], datetime]) -> None:
        self._outbox = directories.outbox
        self._config = config
        self._clock = clock
        self._sent = False

    @property
    def is_needed(self) -> bool:
        """Whether IBKR may send a push: if it is the only method, it does so right after the password."""
        return self._config.login.second_factor.method == "push"

    def send(self) -> None:
        """Tells the person; returns when that is delivered, or after ten seconds. A second call does nothing."""
        if self._sent:
            return
        self._sent = True
        wait_s = self._config.login.second_factor.push_wait_s
        path = self._put(
            "a login needs an approval: IB Key will ask for it on the phone in a moment",
            follows=f"waits {wait_s} s for it, then stops until a person runs `ibkr-tools login`",
            todo="Approve the request in IBKR's app.",
        )
        # Without a command nobody delivers.
        if self._config.alerts.command and path is not None:
            poll_until(lambda: not path.exists(), DELIVERY_TIMEOUT_S, 0.1)

    @contextmanager
    def withdrawn_after(self) -> Iterator[None]:
        """Tells the person that it is over when the block is left, if the notice was sent."""
        try:
            yield
        finally:
            if self._sent:
                self._put("the login that needed an approval is over", follows="sends nothing more to the phone")

    def _put(self, what: str, *, follows: str, todo: str | None = None) -> Path | None:
        message = AlertMessage(
            topic=TOPIC,
            at=self._clock(),
            what=what,
            next=follows,
            todo=todo,
            over=todo is None,
            user=self._config.username,
        )
        try:
            return put(self._outbox, message)
        except OSError as error:
            # A push that comes unannounced is better than no session.
            logger.warning("Nobody can be told of the request to the phone: {}", error.strerror)
            return None
