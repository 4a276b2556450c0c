"""The event loop of the processes that wait for a child, a file and a signal at once: a selector and a clock."""

import contextlib
import fcntl
import os
import selectors
import signal
import time
from types import FrameType, TracebackType
from typing import Self


class EventLoop:
    """Waits for whatever comes first; entered once per process, in its main thread.

    SIGTERM and SIGINT set `stop_requested`. A new file in `directory` ends a wait early where the kernel can tell
    (dnotify); elsewhere it is found at the next beat.
    """

    def __init__(self, directory: str) -> None:
        self.stop_requested = False
        self._directory = directory
        self._selector = selectors.DefaultSelector()
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._restore = contextlib.ExitStack()

    @staticmethod
    def now() -> float:
        """Returns seconds on a clock that nobody sets."""
        return time.monotonic()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True

    @staticmethod
    def _wake(_number: int, _frame: FrameType | None) -> None:
        """Has nothing to do: the byte that Python writes to the pipe ends the wait."""

    def __enter__(self) -> Self:
        self._restore.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(self._write, warn_on_full_buffer=False))
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGIO: self._wake}
        for number, handler in handlers.items():
            self._restore.callback(signal.signal, number, signal.signal(number, handler))
        self.add_reader(self._read)
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

    def add_reader(self, fd: int) -> None:
        """Lets `fd` end a wait when it becomes readable."""
        self._selector.register(fd, selectors.EVENT_READ)

    def remove_reader(self, fd: int) -> None:
        """Takes that back."""
        self._selector.unregister(fd)

    def wait(self, seconds: float) -> None:
        """Returns when something happened or the time is over, whichever is first."""
        self._selector.select(max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass
