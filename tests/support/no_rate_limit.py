"""A rate limiter without limits, for what is not IBKR."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from ibkr_tools.portal.endpoints import Endpoint
from ibkr_tools.portal.rate_limit_state import Reservation

__all__ = ["NoRateLimit"]


class NoRateLimit:
    """No limit: for one process alone, against something that is not IBKR."""

    def acquire(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Reservation:
        """Never waits."""
        del max_wait_s, urgent
        return Reservation(endpoint, 0.0, 0.0)

    def read_slot(
        self, max_wait_s: float, pause: Callable[[float], object], on_wait: Callable[[float], None]
    ) -> AbstractContextManager[float]:
        """Never waits."""
        del max_wait_s, pause, on_wait
        return nullcontext(0.0)

    def record_completion(self, reservation: Reservation) -> None:
        """Does nothing."""

    def release(self, reservation: Reservation) -> None:
        """Does nothing."""

    def record_429(self, stated_s: float | None = None) -> None:
        """Does nothing."""

    def reserve_headroom(self) -> None:
        """Does nothing."""

    def penalty_s(self) -> float:
        """Returns 0: there is no penalty."""
        return 0.0
