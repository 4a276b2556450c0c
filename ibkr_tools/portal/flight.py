"""At most four reads under way at once, over all processes: the gateway opens five connections to IBKR.

The fifth is the watchdog's. What is too many queues inside the gateway, where nobody sees it.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import RateLimited

MOST = 4
"""Reads under way at once."""

STEP_S = 0.02
"""How often one that waits looks again. The kernel's locks have no deadline but a signal, which only a process's first
thread can take; and a wait in steps passes in whatever time the caller lives in."""

_TOLD_AFTER = 50
"""Steps: a wait of more than a second is worth a word to a person."""


class Flights:
    """The reads under way, as locks on four files: the kernel frees those of a process that dies.

    The first is for those who may write `directory`, so that nobody else can hold all of them. Where the files cannot
    be opened, a process obeys its own four. A process that is stopped keeps what it holds; the others share the rest.
    """

    def __init__(self, directory: Path, shared: Path | None = None) -> None:
        place = directory if shared is None else shared
        self._reserved = directory / "flight-1.lock"
        self._files = [place / f"flight-{number}.lock" for number in range(2, MOST + 1)]
        self._queue = place / "flight-queue.lock"
        self._own = [threading.Lock() for _ in range(MOST)]

    @contextmanager
    def take(
        self, max_wait_s: float, pause: Callable[[float], object], tell: Callable[[float], None] = lambda _: None
    ) -> Iterator[float]:
        """Holds one of the four for the length of the block; gives the seconds that were waited for it.

        Args:
            max_wait_s: how long to wait at most.
            pause: waits so many seconds.
            tell: told once, with the seconds that it may still last, if the wait becomes long.

        Raises:
            RateLimited: none became free in time.
        """
        with ExitStack() as held:
            yield self._wait(held, max_wait_s, pause, tell)

    def _wait(
        self, held: ExitStack, max_wait_s: float, pause: Callable[[float], object], tell: Callable[[float], None]
    ) -> float:
        with ExitStack() as queue:
            # Who has just had one would always be faster than one that looks in steps: it lets those go first.
            polite = max_wait_s >= STEP_S and self._somebody_waits()
            queued, steps = False, 0
            while polite or not self._try(held):
                if steps * STEP_S >= max_wait_s:
                    raise RateLimited(f"{MOST} reads are under way, and none of them ended within {max_wait_s:.0f} s")
                if steps == _TOLD_AFTER:
                    tell(max_wait_s - steps * STEP_S)
                queued = queued or self._join(queue)
                pause(STEP_S)
                polite, steps = False, steps + 1
            return steps * STEP_S

    def _try(self, held: ExitStack) -> bool:
        with suppress(OSError):
            if _hold(held, self._reserved, fcntl.LOCK_EX, mode=0o600):
                return True
        try:
            return any(_hold(held, file, fcntl.LOCK_EX) for file in self._files)
        except OSError:
            return any(_hold_own(held, lock) for lock in self._own)

    def _join(self, queue: ExitStack) -> bool:
        try:
            return _hold(queue, self._queue, fcntl.LOCK_SH)
        except OSError:
            return False

    def _somebody_waits(self) -> bool:
        try:
            with ExitStack() as test:
                return not _hold(test, self._queue, fcntl.LOCK_EX)
        except OSError:
            return False


def _hold(held: ExitStack, file: Path, how: int, *, mode: int = files.SHARED_MODE) -> bool:
    """Takes a lock, if it is free, for as long as `held` lasts.

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


def _hold_own(held: ExitStack, lock: threading.Lock) -> bool:
    if not lock.acquire(blocking=False):
        return False
    held.callback(lock.release)
    return True
