"""What a login asks the gateway's API: whether there is a session; and what it tells the rate limiter."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["Portal", "SessionAnswer"]


class SessionAnswer(Protocol):
    """What a login wants to know from a tickle."""

    @property
    def has_session(self) -> bool:
        """Whether there is an SSO session."""

    @property
    def session(self) -> str | None:
        """Names the session, if IBKR does. A secret: never logged."""


class Portal(Protocol):
    """The two calls that prove a session, which raise the errors of `ibkr_tools.errors`, and its rate limiter."""

    def tickle(self) -> SessionAnswer:
        """Asks whether there is a session."""

    def accounts(self) -> Sequence[Mapping[str, Any]]:
        """Asks for the accounts, which only a session is given."""

    def record_429(self, stated_s: float | None) -> None:
        """Takes note of a 429 that the browser was answered; `stated_s` is the wait that the answer states."""
