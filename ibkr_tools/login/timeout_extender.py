"""Asks systemd for more time while the login runs on, so that a login that hangs is ended within seconds.

The extension is EXTEND_TIMEOUT_USEC of sd_notify(3).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from types import FrameType

from ibkr_tools.sd_notify import SystemdNotifier

EXTEND_INTERVAL_S = 5.0
EXTENSION_S = 15.0
"""What each message asks for: two may be late."""


def cancel_all() -> None:
    """Stops every extension of this process: a login that is being ended asks for no more time."""
    signal.setitimer(signal.ITIMER_REAL, 0)


class TimeoutExtender:
    """Extends the start timeout of the login's unit, which is a few seconds, until the time of `extend` is over.

    A timer's signal does it, no thread: a process is forked safely beside it, and a main thread that is stuck outside
    Python sends nothing.
    """

    def __init__(self, notifier: SystemdNotifier) -> None:
        self._notifier = notifier
        self._until_s = 0.0

    def extend(self, seconds: float) -> None:
        """Asks for more time for so many seconds from now, instead of what was set before."""
        self._until_s = monotonic() + seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Asks for more time during the block, if systemd listens."""
        if not self._notifier.is_connected or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._send_extension)
        timer = signal.setitimer(signal.ITIMER_REAL, EXTEND_INTERVAL_S, EXTEND_INTERVAL_S)
        self._send_extension()
        try:
            yield
        finally:
            cancel_all()
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, *timer)

    def _send_extension(self, _number: int = signal.SIGALRM, _frame: FrameType | None = None) -> None:
        if monotonic() < self._until_s:
            self._notifier.extend_timeout(timedelta(seconds=EXTENSION_S))
