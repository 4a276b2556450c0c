"""A child process that an event loop waits for."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ibkr_tools.event_loop import EventLoop

__all__ = ["ChildProcess", "describe_exit"]


def describe_exit(status: int) -> str:
    """Says in words how a process ended; a negative `status` is that of a signal, as subprocess has it."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"


class ChildProcess:
    """A program that runs in a session of its own, so that Ctrl-C reaches only us; its end wakes the event loop.

    Args:
        command: the program and its arguments.
        event_loop: the loop of this process.
        options: further ones of subprocess.Popen.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, command: Sequence[str], event_loop: EventLoop, **options: Any) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        self._event_loop = event_loop
        self._pidfd = os.pidfd_open(self.pid)
        self._is_closed = False
        event_loop.add_reader(self._pidfd)

    @property
    def pid(self) -> int:
        """Returns its process id, which is that of its group too."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Returns the exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to its whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def close(self) -> None:
        """Ends what is left of its group, and waits for the process."""
        if self._is_closed:
            return
        self._is_closed = True
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._event_loop.remove_reader(self._pidfd)
        os.close(self._pidfd)

    def stop(self, timeout_s: float) -> None:
        """Ends its group: SIGTERM, and SIGKILL when `timeout_s` seconds have passed; returns when it is gone."""
        deadline_s = self._event_loop.now() + timeout_s
        if self.exit_status is None:
            self.signal(signal.SIGTERM)
        while self.exit_status is None and (left_s := deadline_s - self._event_loop.now()) > 0:
            self._event_loop.wait(left_s)
        self.close()
