"""Hours in which IBKR's servers refuse everybody: maintenance, or no way through to them. Pure, in simulated time."""

from typing import Annotated, Literal

import msgspec

__all__ = ["OutageWindow", "Schedule"]

WindowKind = Literal["500", "503", "hang"]


class OutageWindow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One span of time; `start` and `end` are simulated seconds since the epoch.

    `kind`: calls get a 500, a 503 without a body after `delay_s` (real seconds; IBKR gives up after 10), or no byte
    at all, as when IBKR cannot be reached. `bulletin` is what the login page tells meanwhile, instead of its form;
    without one the page fares as the calls do. `ends_sessions`: nobody's session outlives the beginning.
    """

    kind: WindowKind
    start: float
    end: float
    bulletin: str = ""
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    ends_sessions: bool = False


class Schedule:
    """The windows to come, in the order they were given; where two overlap the first one counts."""

    def __init__(self) -> None:
        """Start with none."""
        self.windows: list[OutageWindow] = []

    def at(self, now: float) -> OutageWindow | None:
        """Return the window that is open at `now`."""
        return next((window for window in self.windows if window.start <= now < window.end), None)
