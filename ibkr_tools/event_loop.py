"""The event loop of the processes that wait for a child, a file and a signal at once: a selector and a clock."""

import contextlib
import os
import selectors
import signal
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ibkr_tools.file_watcher import FileWatcher


class EventLoop:
    """Waits for whatever comes first; entered once per process, in its main thread.

    SIGTERM and SIGINT set `stop_requested`. A new file in `directory` ends a wait early where the kernel can tell;
    elsewhere it is found at the next beat.
    """

    def __init__(self, directory: str) -> None:
        self.stop_requested = False
        self._directory = directory
        self._watcher: FileWatcher | None = None
        self._selector = selectors.EpollSelector()
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._restore = contextlib.ExitStack()

    @staticmethod
    def now() -> float:
        """Returns seconds on a clock that nobody sets."""
        return time.monotonic()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True

    def __enter__(self) -> Self:
        from ibkr_tools.file_watcher import FileWatcher

        self._restore.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(self._write, warn_on_full_buffer=False))
        for number in (signal.SIGTERM, signal.SIGINT):
            self._restore.callback(signal.signal, number, signal.signal(number, self._stop))
        self.add_reader(self._read)
        with contextlib.suppress(OSError):
            self._watcher = self._restore.enter_context(FileWatcher(directories=[Path(self._directory)]))
            self.add_reader(self._watcher.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore.close()
        self._selector.close()
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Returns a descriptor that is readable when `wait` would return at once, for another selector."""
        return self._selector.fileno()

    def add_reader(self, fd: int) -> None:
        """Lets `fd` end a wait when it becomes readable."""
        self._selector.register(fd, selectors.EVENT_READ)

    def remove_reader(self, fd: int) -> None:
        """Lets `fd` no longer end a wait."""
        self._selector.unregister(fd)

    def wait(self, seconds: float) -> None:
        """Returns when something happened or the time is over, whichever is first."""
        self._selector.select(max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass
        if self._watcher is not None:
            self._watcher.wait(0)
