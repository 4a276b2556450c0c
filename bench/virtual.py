"""Virtual time: clocks, waits and an event loop that jump to the next thing that happens.

Several threads may live in it, as several processes live on a machine, but only one of them runs at any moment: whoever
waits hands over to whoever is due, and only when nobody is does time move. So a month is over when its work is done,
and the same seed gives the same month.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

UPTIME_S = 1000.0
"""What the monotonic clock says at the beginning: no machine starts a service at zero."""

MOMENT_S = 1e-6
"""What the shortest wait takes, as on any machine: else who rounds a deadline down would look at it for ever."""


class _NothingToRead(selectors.BaseSelector):
    """A selector without files: where others would block, it stops the loop and notes how long that would have been."""

    def __init__(self) -> None:
        self.blocked_for_s: float | None = None
        self.stop: Callable[[], None] = lambda: None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Forgets it: the loop's own wake-up pipe, which nobody writes to."""
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Has nothing to forget."""
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Finds nothing, at once."""
        if timeout is None or timeout > 0:
            self.blocked_for_s = timeout
            self.stop()
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Holds nothing."""
        return {}


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose timers run on the virtual clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._virtual_clock = clock
        self._nothing = _NothingToRead()
        self._nothing.stop = self.stop
        super().__init__(self._nothing)

    def time(self) -> float:
        """Returns the virtual clock's seconds."""
        return self._virtual_clock()

    def settle(self) -> float | None:
        """Runs all that is ready; returns the seconds until its next timer, None if it has none."""
        self.run_forever()
        return self._nothing.blocked_for_s


@dataclass(eq=False)
class _Waiter:
    due_s: float
    ready: Callable[[], bool]
    baton: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class VirtualTime:
    """The one clock of a virtual machine; `clock` is its monotonic one, `wall` Unix time, `loop` its event loop."""

    def __init__(self, start: datetime) -> None:
        self._now_s = UPTIME_S
        self._booted_at = start.timestamp() - UPTIME_S
        self._waiters: list[_Waiter] = []
        self.loop = _Loop(self.clock)

    def clock(self) -> float:
        """Returns seconds that never jump."""
        return self._now_s

    def wall(self) -> float:
        """Returns Unix time."""
        return self._booted_at + self._now_s

    def now(self) -> datetime:
        """Returns the time, aware, in UTC."""
        return datetime.fromtimestamp(self.wall(), UTC)

    def pause(self, seconds: float) -> None:
        """Waits so many seconds."""
        self.wait(seconds, lambda: False)

    def wait(self, seconds: float, ready: Callable[[], bool]) -> bool:
        """Waits until `ready` holds or the seconds are over; says which. Others run meanwhile."""
        me = _Waiter(self._now_s + max(MOMENT_S, seconds), ready)
        self._waiters.append(me)
        try:
            while True:
                next_timer_s = self.loop.settle()
                if me.ready():
                    return True
                if me.due_s <= self._now_s:
                    return False
                other = next((one for one in self._waiters if one is not me and self._may_run(one)), None)
                if other is not None:
                    other.baton.release()
                    me.baton.acquire()
                    continue
                due_s = min(one.due_s for one in self._waiters)
                if next_timer_s is not None:
                    due_s = min(due_s, self._now_s + next_timer_s)
                self._now_s = max(self._now_s, due_s)
        finally:
            self._waiters.remove(me)

    def end(self) -> None:
        """Ends what still runs on the event loop, and the loop."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()

    def _may_run(self, waiter: _Waiter) -> bool:
        return waiter.due_s <= self._now_s or waiter.ready()

    def start(self, work: Callable[[], None]) -> None:
        """Has somebody else do `work`, beginning at the next wait of whoever runs now."""
        first = _Waiter(self._now_s, lambda: True)
        self._waiters.append(first)

        def run() -> None:
            first.baton.acquire()
            self._waiters.remove(first)
            try:
                work()
            finally:
                # Anybody: whoever wakes too early hands over by himself.
                self._waiters[0].baton.release()

        threading.Thread(target=run, daemon=True).start()
