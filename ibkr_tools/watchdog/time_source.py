"""Where the watchdog's time comes from: a test passes clocks and a queue of its own, in which virtual time passes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from typing import Any, Protocol

from ibkr_tools.status import utc_now


class EventQueue(Protocol):
    """The queue of the loop: `queue.SimpleQueue`, or a test's own that lets virtual time pass."""

    def put(self, item: Any) -> None:
        """Adds one item; called from any thread."""

    def get(self, *, timeout: float) -> Any:
        """Returns the next item.

        Raises:
            queue.Empty: none came within `timeout` seconds.
        """


@dataclass(frozen=True)
class TimeSource:
    """Two clocks, and the queue whose `get` is the watchdog's only wait."""

    clock: Callable[[], float] = time.monotonic
    """Returns seconds that never jump."""

    now: Callable[[], datetime] = utc_now
    """Returns the time (aware), in UTC."""

    queue: EventQueue = field(default_factory=SimpleQueue)
