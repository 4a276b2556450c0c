"""Pacing as in docs/reference/pacing.md: ten calls a second over all, own limits for some endpoints. Pure."""

import re
from collections import deque
from fnmatch import fnmatchcase

from ibkr_tools.portal.endpoints import ENDPOINTS
from ibkr_tools.simulator.settings import LimitSettings

__all__ = ["ENDPOINT_INTERVALS_S", "HISTORIES_AT_ONCE", "HISTORY", "Limiter", "Traffic"]

ENDPOINT_INTERVALS_S: dict[str, float] = {
    re.sub(r"\{\w+\}", "*", endpoint.path): endpoint.interval_s for endpoint in ENDPOINTS if endpoint.interval_s
} | {"/fyi/settings/*": 1.0, "/fyi/deliveryoptions/*": 1.0, "/fyi/notifications/*": 1.0}
"""Least simulated seconds between two calls of one endpoint, whatever is in its path, query and body.

Those of the table of endpoints, and of the calls below `/fyi` that change settings.
"""

HISTORY = "/iserver/marketdata/history"
HISTORIES_AT_ONCE = 5


_WILD = [pattern for pattern in ENDPOINT_INTERVALS_S if "*" in pattern]


class Traffic:
    """Counts how many calls are under way, and the most there ever were: at once, and within one second."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._recent: deque[float] = deque()
        self.in_flight = 0
        self.most_in_flight = 0
        self.most_per_second = 0
        self.histories = 0

    def begin(self, path: str, now: float) -> None:
        """Count a call to `path` (below `/v1/api`) that begins at `now` (simulated seconds)."""
        self.in_flight += 1
        self.histories += path == HISTORY
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        self._recent.append(now)
        self.most_per_second = max(self.most_per_second, len(self._recent))

    def end(self, path: str) -> None:
        """Note that a call is over, whatever became of it."""
        self.in_flight -= 1
        self.histories -= path == HISTORY

    def forget(self) -> None:
        """Measure the most anew from now on."""
        self._recent.clear()
        self.most_in_flight, self.most_per_second = self.in_flight, 0


class Limiter:
    """Says whether a call is within the limits; times are simulated seconds."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._recent: deque[float] = deque()
        self._last: dict[str, float] = {}
        self.boxed_until = 0.0
        self.refused = 0

    def allows(self, settings: LimitSettings, path: str, now: float, histories: int = 0) -> bool:
        """Count one call to `path` (below `/v1/api`); False means it gets a 429.

        `histories` is how many histories are under way, this call among them.
        """
        if not settings.enabled:
            return True
        allowed = self._judge(settings, path, now)
        if allowed and settings.endpoints and path == HISTORY and histories > HISTORIES_AT_ONCE:
            allowed = False
        self.refused += 0 if allowed else 1
        return allowed

    def _judge(self, settings: LimitSettings, path: str, now: float) -> bool:
        if now < self.boxed_until:
            return False
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        self._recent.append(now)
        if len(self._recent) > settings.per_second:
            self.boxed_until = now + settings.penalty_s
            return False
        pattern = path if path in ENDPOINT_INTERVALS_S else next((one for one in _WILD if fnmatchcase(path, one)), None)
        if pattern is None or not settings.endpoints:
            return True
        last = self._last.get(pattern)
        if last is not None and now - last < ENDPOINT_INTERVALS_S[pattern]:
            if settings.endpoint_penalty_s > 0:
                self.boxed_until = now + settings.endpoint_penalty_s
            return False
        self._last[pattern] = now
        return True
