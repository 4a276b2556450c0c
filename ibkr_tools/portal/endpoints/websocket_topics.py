"""What may be sent over IBKR's WebSocket; some topics there exercise options, so all that is not listed is refused."""

import msgspec


class WebSocketTopic(msgspec.Struct, frozen=True):
    """One text that may be sent, and what it does."""

    text: str
    description: str


TIC = WebSocketTopic("tic", "a longer life of the socket; IBKR wants one a minute")

WEBSOCKET_TOPICS = (TIC,)
