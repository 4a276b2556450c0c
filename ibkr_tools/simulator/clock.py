"""Simulated time: the wall clock, sped up and moved by hand. Not a scheduler."""

import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Simulated time in seconds since the epoch; runs `speed` times as fast as the machine's clock."""

    def __init__(
        self, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic, start: float | None = None
    ) -> None:
        """Start at `start` (seconds since the epoch), by default at the present wall-clock time."""
        self._monotonic = monotonic
        self._speed = speed
        self._anchor = monotonic()
        self._base = time.time() if start is None else start

    @property
    def speed(self) -> float:
        """How many simulated seconds pass in one real second."""
        return self._speed

    def now(self) -> float:
        """Return simulated seconds since the epoch."""
        return self._base + (self._monotonic() - self._anchor) * self._speed

    def set_speed(self, speed: float) -> None:
        """Run at `speed` from now on, without a jump."""
        self._base, self._anchor = self.now(), self._monotonic()
        self._speed = speed

    def advance(self, seconds: float) -> None:
        """Jump `seconds` ahead."""
        self._base += seconds

    def real(self, seconds: float) -> float:
        """Return how many real seconds `seconds` simulated ones take."""
        return seconds / self._speed
