"""The watchdog's one WebSocket connection for the push, whose events come through the loop's queue."""

from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from ibkr_tools.portal.push_listener import PushClosed, PushEvent, PushListener

MakePushListener = Callable[[Callable[[PushEvent], None]], PushListener]
"""Makes a listener that calls its argument with each event, from a thread of its own."""


@dataclass(frozen=True)
class PushReceived:
    """An event of one connection; connections are counted from 1."""

    connection: int
    event: PushEvent


class PushConnection:
    """Opens and closes the connection, and drops the events of one that was closed."""

    def __init__(self, make_listener: MakePushListener, put: Callable[[PushReceived], None]) -> None:
        """Opens nothing yet; `put` is called from the listener's thread."""
        self._make_listener = make_listener
        self._put = put
        self._listener: PushListener | None = None
        self._number = 0

    def open(self) -> None:
        """Opens a connection, unless there is one."""
        if self._listener is not None:
            return
        self._number += 1
        number = self._number
        self._listener = self._make_listener(lambda event: self._put(PushReceived(number, event)))
        self._listener.start()

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
            self._number += 1

    def current_event(self, received: PushReceived) -> PushEvent | None:
        """Returns the event, None if its connection was closed meanwhile."""
        if received.connection != self._number:
            return None
        if isinstance(received.event, PushClosed):
            logger.debug("push closed: {}", received.event.why)
            self._listener = None
        return received.event
