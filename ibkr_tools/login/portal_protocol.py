"""What a login asks the gateway's API: whether there is a session."""

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
    """The two calls that prove a session; they raise the errors of `ibkr_tools.errors`."""

    def tickle(self) -> SessionAnswer:
        """Asks whether there is a session."""

    def accounts(self) -> Sequence[Mapping[str, Any]]:
        """Asks for the accounts, which only a session is given."""
