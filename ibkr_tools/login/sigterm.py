"""SIGTERM, as systemd sends it when a unit is stopped, during a login."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

from ibkr_tools.errors import IbkrError
from ibkr_tools.login.timeout_extender import cancel_all


class LoginInterrupted(IbkrError):
    """SIGTERM came: the login ends here; a password that was submitted counts as a failure.

    It comes out of whatever is being done: as a SessionUnavailable it would be taken for the gateway's answer.
    """

    exit_code: ClassVar[int] = 75
    log_level: ClassVar[int] = 20  # who stops the unit wants that


@contextmanager
def raising_on_sigterm() -> Iterator[None]:
    """Turns the first SIGTERM into an exception, so that the browser ends before we do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cancel_all()
        raise LoginInterrupted("the login was interrupted by SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
