"""A child process that an event loop waits for."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ibkr_tools.event_loop import EventLoop
from ibkr_tools.process_control import die_with_parent

# ExitOnOutOfMemoryError ends the JVM with this status. Source: HotSpot, debug.cpp.
_OUT_OF_MEMORY_STATUS = 3


class ChildProcess:
    """A program that runs as our child, writes to our own stdout and stderr, and does not outlive us.

    In a session of its own, so that Ctrl-C on a terminal reaches only the parent.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self, command: Sequence[str], directory: Path, environ: Mapping[str, str], event_loop: EventLoop
    ) -> None:
        own_pid = os.getpid()
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # The parent has one thread.
            preexec_fn=lambda: die_with_parent(own_pid),  # noqa: PLW1509
        )
        self._event_loop = event_loop
        self._pidfd = os.pidfd_open(self.pid)
        event_loop.add_reader(self._pidfd)

    @property
    def pid(self) -> int:
        """Returns its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Returns the exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def describe_end(self) -> str:
        """Says how it ended, in words."""
        status = self.exit_status
        if status is None:
            return "still running"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        if status == _OUT_OF_MEMORY_STATUS:
            return "exit status 3, out of memory: raise gateway.heap_mb"
        return f"exit status {status}"

    def _wait_for_end(self, deadline: float) -> bool:
        while self.exit_status is None:
            if self._event_loop.now() >= deadline:
                return False
            self._event_loop.wait(deadline - self._event_loop.now())
        return True

    def stop(self, timeout_s: float) -> None:
        """Ends it: SIGTERM, and SIGKILL when `timeout_s` seconds have passed; returns when it is gone."""
        self._process.terminate()
        if not self._wait_for_end(self._event_loop.now() + timeout_s):
            self._process.kill()
            self._process.wait()
        if self._pidfd >= 0:
            self._event_loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
