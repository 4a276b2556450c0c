"""Pacing as in cpapi-facts section 2: ten calls a second over all, own limits for some endpoints. Pure."""

from collections import deque
from fnmatch import fnmatchcase

from ibkr_tools.simulator.settings import LimitSettings

__all__ = ["ENDPOINT_INTERVALS_S", "Limiter"]

ENDPOINT_INTERVALS_S: dict[str, float] = {
    "/fyi/*": 1.0,
    "/iserver/account/orders": 5.0,
    "/iserver/account/pnl/partitioned": 5.0,
    "/iserver/account/trades": 5.0,
    "/iserver/scanner/params": 900.0,
    "/iserver/scanner/run": 1.0,
    "/pa/*": 900.0,
    "/portfolio/accounts": 5.0,
    "/portfolio/subaccounts": 5.0,
    "/sso/validate": 60.0,
    "/tickle": 1.0,
}
"""Least simulated seconds between two calls of one endpoint."""


class Limiter:
    """Says whether a call is within the limits; times are simulated seconds."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._recent: deque[float] = deque()
        self._last: dict[str, float] = {}
        self.boxed_until = 0.0
        self.refused = 0

    def allows(self, settings: LimitSettings, path: str, now: float) -> bool:
        """Count one call to `path` (below `/v1/api`); False means it gets a 429."""
        if not settings.enabled:
            return True
        allowed = self._judge(settings, path, now)
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
        pattern = next((key for key in ENDPOINT_INTERVALS_S if fnmatchcase(path, key)), None)
        if pattern is None or not settings.endpoints:
            return True
        last = self._last.get(path)
        if last is not None and now - last < ENDPOINT_INTERVALS_S[pattern]:
            if settings.endpoint_penalty_s > 0:
                self.boxed_until = now + settings.endpoint_penalty_s
            return False
        self._last[path] = now
        return True
