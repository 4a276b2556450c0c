"""A semaphore over all processes: at most four concurrent reads, since the gateway opens five connections to IBKR.

The fifth is the watchdog's. More requests than that queue inside the gateway, where nobody sees them.

portalocker's semaphore has the same mechanism, but opens its files by name alone: in a directory that others may write
it would follow their links and wait at their FIFOs, and what a unit makes there with its umask no member could open.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import RateLimited

MAX_CONCURRENT_READS = 4
"""Reads between request and answer, over all processes."""

POLL_INTERVAL_S = 0.02
"""How often a locked file is tried again. The kernel's locks have no timeout but a signal, which only the main thread
can receive; and a wait in steps obeys the caller's clock."""

_NOTICE_AFTER_STEPS = 50
"""A wait of so many steps, one second, is announced through `on_wait`."""


class ReadSemaphore:
    """A semaphore of locks on four files: the kernel frees those of a process that dies.

    The first file is in `directory`, so that those who may only write `shared` cannot hold all of them. Where the files
    cannot be opened, a process has a semaphore of four by itself. A stopped process keeps the locks that it holds.
    """

    def __init__(self, directory: Path, shared: Path | None = None) -> None:
        lock_directory = directory if shared is None else shared
        self._reserved = directory / "read-1.lock"
        self._files = [lock_directory / f"read-{number}.lock" for number in range(2, MAX_CONCURRENT_READS + 1)]
        self._queue = lock_directory / "read-queue.lock"
        self._process_slots = threading.BoundedSemaphore(MAX_CONCURRENT_READS)

    @contextmanager
    def acquire(
        self, max_wait_s: float, pause: Callable[[float], object], on_wait: Callable[[float], None] = lambda _: None
    ) -> Iterator[float]:
        """Holds one of the four slots for the block; yields the seconds that were waited for it.

        Args:
            max_wait_s: how long to wait at most.
            pause: sleeps so many seconds.
            on_wait: is called once, with the seconds that the wait may still last, after a second.

        Raises:
            RateLimited: no slot became free in time.
        """
        with ExitStack() as held:
            yield self._wait(held, max_wait_s, pause, on_wait)

    def _wait(
        self, held: ExitStack, max_wait_s: float, pause: Callable[[float], object], on_wait: Callable[[float], None]
    ) -> float:
        with ExitStack() as queue:
            # A caller that has just released a slot would always be faster than one that polls: it lets that go first.
            must_defer = max_wait_s >= POLL_INTERVAL_S and self._queue_is_occupied()
            queued, steps = False, 0
            while must_defer or not self._try_acquire(held):
                if steps * POLL_INTERVAL_S >= max_wait_s:
                    raise RateLimited(
                        f"{MAX_CONCURRENT_READS} reads are under way, and none of them ended within {max_wait_s:.0f} s"
                    )
                if steps == _NOTICE_AFTER_STEPS:
                    on_wait(max_wait_s - steps * POLL_INTERVAL_S)
                queued = queued or self._enter_queue(queue)
                pause(POLL_INTERVAL_S)
                must_defer, steps = False, steps + 1
            return steps * POLL_INTERVAL_S

    def _try_acquire(self, held: ExitStack) -> bool:
        with suppress(OSError):
            if _lock_file(held, self._reserved, fcntl.LOCK_EX, mode=0o600):
                return True
        try:
            return any(_lock_file(held, file, fcntl.LOCK_EX) for file in self._files)
        except OSError:
            if not self._process_slots.acquire(blocking=False):
                return False
            held.callback(self._process_slots.release)
            return True

    def _enter_queue(self, queue: ExitStack) -> bool:
        try:
            return _lock_file(queue, self._queue, fcntl.LOCK_SH)
        except OSError:
            return False

    def _queue_is_occupied(self) -> bool:
        try:
            with ExitStack() as test:
                return not _lock_file(test, self._queue, fcntl.LOCK_EX)
        except OSError:
            return False


def _lock_file(held: ExitStack, file: Path, how: int, *, mode: int = files.SHARED_MODE) -> bool:
    """Locks a file, if it is free, for as long as `held` lasts.

    Raises:
        OSError: the file cannot be opened or locked.
    """
    with ExitStack() as opened:
        fd = files.open_lock(file, mode=mode)
        opened.callback(os.close, fd)
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        held.push(opened.pop_all())
        return True
