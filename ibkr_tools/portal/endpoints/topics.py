"""What may be sent over IBKR's WebSocket; some topics there exercise options, so all that is not listed is refused."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One text that may be sent, and what it does."""

    text: str
    gives: str


TIC = Topic("tic", "a longer life of the socket; IBKR wants one a minute")

TOPICS = (TIC,)
