"""The pulse of a login: shows systemd that its process runs on, so that one that hangs is ended within seconds."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from types import FrameType

from ibkr_tools.notify import Notifier

EVERY_S = 5.0
GRANTED_S = 15.0
"""What each beat asks for: two may be late."""


def fall_silent() -> None:
    """Ends every pulse of this process: a login that is being ended asks for no more time."""
    signal.setitimer(signal.ITIMER_REAL, 0)


class Pulse:
    """Beats until nothing more is granted; the login's unit allows it no more than seconds by itself.

    It is a timer's signal and no thread: a process is forked safely beside it, and a main thread that is stuck outside
    Python does not beat.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._until_s = 0.0

    def grant(self, seconds: float) -> None:
        """Lets it beat for so many seconds from now, instead of what was granted before."""
        self._until_s = monotonic() + seconds

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beats during the block, if systemd listens."""
        if not self._notifier.is_heard or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._beat)
        timer = signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
        self._beat()
        try:
            yield
        finally:
            fall_silent()
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, *timer)

    def _beat(self, _number: int = signal.SIGALRM, _frame: FrameType | None = None) -> None:
        if monotonic() < self._until_s:
            self._notifier.extend_timeout(timedelta(seconds=GRANTED_S))
