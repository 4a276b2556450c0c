"""The child process, and the one place where the parent waits: for a signal, its end, a file, the next beat.

Without subprocess: fork and exec are all it would do here, and the parent is measured in hundreds of kilobytes.
"""

import contextlib
import fcntl
import os
import selectors
import signal
import time
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType
from typing import NoReturn, Self

_PR_SET_PDEATHSIG = 1
# Status of a child that could not become Java, as a shell has it.
_NOT_STARTED = 127
# ExitOnOutOfMemoryError ends the JVM with this status. Source: HotSpot, debug.cpp.
_OUT_OF_MEMORY = 3


class Waiter:
    """Waits for whatever comes first; entered once per process, in its main thread.

    SIGTERM and SIGINT set `stop_asked`. A new file in `directory` ends a wait early where the kernel can tell
    (dnotify); elsewhere it is found at the next beat.
    """

    def __init__(self, directory: str) -> None:
        self.stop_asked = False
        self._directory = directory
        self._selector = selectors.DefaultSelector()
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._restore = contextlib.ExitStack()

    @staticmethod
    def now() -> float:
        """Returns seconds on a clock that nobody sets."""
        return time.monotonic()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_asked = True

    @staticmethod
    def _wake(_number: int, _frame: FrameType | None) -> None:
        """Has nothing to do: the byte that Python writes to the pipe ends the wait."""

    def __enter__(self) -> Self:
        self._restore.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(self._write, warn_on_full_buffer=False))
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGIO: self._wake}
        for number, handler in handlers.items():
            self._restore.callback(signal.signal, number, signal.signal(number, handler))
        self.watch(self._read)
        with contextlib.suppress(OSError):
            folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._restore.callback(os.close, folder)
            fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore.close()
        self._selector.close()
        os.close(self._read)
        os.close(self._write)

    def watch(self, fd: int) -> None:
        """Lets `fd` end a wait when it becomes readable."""
        self._selector.register(fd, selectors.EVENT_READ)

    def unwatch(self, fd: int) -> None:
        """Takes that back."""
        self._selector.unregister(fd)

    def wait(self, seconds: float) -> None:
        """Returns when something happened or the time is over, whichever is first."""
        self._selector.select(max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass


def _become(command: Sequence[str], directory: str, environ: Mapping[str, str], parent: int) -> NoReturn:
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
        os._exit(_NOT_STARTED)


class Child:
    """A program that runs as our child, writes to our own stdout and stderr, and does not outlive us."""

    def __init__(self, command: Sequence[str], directory: str, environ: Mapping[str, str], waiter: Waiter) -> None:
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, directory, environ, parent)
        self._waiter = waiter
        self._pidfd = os.pidfd_open(self.pid)
        self._status: int | None = None
        waiter.watch(self._pidfd)

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
        if status == _OUT_OF_MEMORY:
            return "exit status 3, out of memory: raise gateway.heap_mb"
        return f"exit status {status}"

    def _wait_for_end(self, deadline: float) -> bool:
        while self.exit_status is None:
            if self._waiter.now() >= deadline:
                return False
            self._waiter.wait(deadline - self._waiter.now())
        return True

    def end(self, patience_s: float) -> None:
        """Ends it: SIGTERM, and SIGKILL when `patience_s` seconds have passed; returns when it is gone."""
        if self.exit_status is None:
            os.kill(self.pid, signal.SIGTERM)
            if not self._wait_for_end(self._waiter.now() + patience_s):
                os.kill(self.pid, signal.SIGKILL)
                self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self._pidfd >= 0:
            self._waiter.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
