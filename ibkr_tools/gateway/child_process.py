"""A child process that an event loop waits for.

Without subprocess: fork and exec are all it would do here, and the parent is measured in hundreds of kilobytes.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ibkr_tools.event_loop import EventLoop

_PR_SET_PDEATHSIG = 1
# Status of a child that could not become Java, as a shell has it.
_EXEC_FAILED = 127
# ExitOnOutOfMemoryError ends the JVM with this status. Source: HotSpot, debug.cpp.
_OUT_OF_MEMORY_STATUS = 3


def _exec_child(command: Sequence[str], directory: str, environ: Mapping[str, str], parent: int) -> NoReturn:
    """Turns the forked child into `command`; the kernel ends it when our process ends, however that happens.

    In a session of its own, so that Ctrl-C on a terminal reaches only the parent. ctypes is loaded here, in the
    child, and not in the parent.
    """
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            signal.set_wakeup_fd(-1)
            os.setsid()
            os.chdir(directory)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            # Python ignores it; Java must not inherit that.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvpe(command[0], list(command), dict(environ))  # noqa: S606  # no shell is the point
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_EXEC_FAILED)


class ChildProcess:
    """A program that runs as our child, writes to our own stdout and stderr, and does not outlive us."""

    def __init__(
        self, command: Sequence[str], directory: str, environ: Mapping[str, str], event_loop: EventLoop
    ) -> None:
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _exec_child(command, directory, environ, parent)
        self._event_loop = event_loop
        self._pidfd = os.pidfd_open(self.pid)
        self._status: int | None = None
        event_loop.add_reader(self._pidfd)

    @property
    def exit_status(self) -> int | None:
        """Returns the exit status, negative for a signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

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
        if self.exit_status is None:
            os.kill(self.pid, signal.SIGTERM)
            if not self._wait_for_end(self._event_loop.now() + timeout_s):
                os.kill(self.pid, signal.SIGKILL)
                self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self._pidfd >= 0:
            self._event_loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
