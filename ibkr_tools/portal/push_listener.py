"""Listens to what IBKR pushes: one WebSocket through the gateway, in a thread of its own.

A closed socket or an `sts` frame is known within milliseconds of the loss; a tickle would take up to 30 s.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import websocket

from ibkr_tools.deadline_socket import DeadlineTLSSocket
from ibkr_tools.portal.endpoints import TIC, WEBSOCKET_TOPICS, WebSocketTopic

LISTENER_HEARTBEAT_TIMEOUT_S = 25.0
"""After so long without a frame the listener closes the socket. Heartbeats come every 10 s: two are missing then."""

TIC_INTERVAL_S = 50.0
"""IBKR wants a `tic` at least once a minute on an open socket."""


_MESSAGES = frozenset({websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY})

_MAX_REASON_CHARS = 200
"""How much of a library's message is told, in characters: it may quote a whole web page."""


@dataclass(frozen=True)
class SessionFrame:
    """An `sts` frame: what changed in the brokerage tier or the session; None where it says nothing."""

    authenticated: bool | None = None
    competing: bool | None = None
    connected: bool | None = None

    @property
    def reports_session_lost(self) -> bool:
        """Whether it says that nothing is left: one about the brokerage tier alone is still connected, or silent."""
        return self.authenticated is False and self.connected is False


@dataclass(frozen=True)
class Heartbeat:
    """IBKR is there: a `system` frame, with or without a name in it."""


@dataclass(frozen=True)
class WaitingForSession:
    """IBKR knows of no session on this socket."""


@dataclass(frozen=True)
class PushClosed:
    """The socket is gone, and why."""

    why: str


PushEvent = SessionFrame | Heartbeat | WaitingForSession | PushClosed


def parse_frame(data: bytes | str) -> PushEvent | None:
    """Returns what one frame says about the session; None for other topics and for what is not JSON.

    Frames arrive as binary through the gateway (observed with the build of 2023-04-24), as text without it.
    """
    try:
        frame = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(frame, dict):
        return None
    match frame:
        case {"topic": "system"}:
            return Heartbeat()
        case {"topic": "sts", "args": dict(args)}:
            flags = {
                key: args[key] for key in ("authenticated", "competing", "connected") if isinstance(args.get(key), bool)
            }
            return SessionFrame(**flags)
        case {"message": "waiting for session"}:
            return WaitingForSession()
        case _:
            return None


def send_topic(connection: websocket.WebSocket, topic: WebSocketTopic) -> None:
    """Sends a listed topic; the only way in which anything is said to IBKR over the WebSocket.

    Raises:
        ValueError: it is not in the table of topics.
    """
    if topic not in WEBSOCKET_TOPICS:
        raise ValueError(f"{topic} is not in the table of topics")
    connection.send(topic.text)


class PushListener:
    """One connection; it ends with exactly one PushClosed, and a new one needs a new listener."""

    def __init__(
        self,
        port: int,
        certificate: Path,
        on_event: Callable[[PushEvent], None],
        *,
        silence_s: float = LISTENER_HEARTBEAT_TIMEOUT_S,
        tic_interval_s: float = TIC_INTERVAL_S,
    ) -> None:
        """Prepares it.

        Args:
            port: the gateway's.
            certificate: the only certificate to trust (PEM).
            on_event: called from the listener's thread with every event.
            silence_s: after how many seconds without a whole frame the connection counts as dead.
            tic_interval_s: how often IBKR is told that somebody listens, in seconds.
        """
        self._silence_s = silence_s
        self._tic_every_s = tic_interval_s
        self._port = port
        self._url = f"wss://127.0.0.1:{port}/v1/api/ws"
        self._certificate = certificate
        self._on_event = on_event
        self._stopped = threading.Event()
        self._socket: websocket.WebSocket | None = None
        self._thread = threading.Thread(target=self._run, name="push", daemon=True)

    def start(self) -> None:
        """Connects and listens, in its own thread."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the connection; the last event is PushClosed."""
        self._stopped.set()
        if self._socket is not None:
            # Wakes the listener's thread, which alone reads from the connection and closes it.
            self._socket.abort()  # type: ignore[no-untyped-call]  # theirs lacks a return type

    def _run(self) -> None:
        why = "stopped"
        try:
            self._socket = websocket.create_connection(
                self._url,
                timeout=self._silence_s,
                # By itself the library would ask a proxy of the environment for the way to this machine.
                socket=self._connect(),
                enable_multithread=True,
                redirect_limit=0,
            )
            self._listen(self._socket)
        except websocket.WebSocketTimeoutException:
            why = f"silent for {self._silence_s:g} s"
        except (OSError, websocket.WebSocketException) as error:
            why = " ".join(str(error).split())[:_MAX_REASON_CHARS] or type(error).__name__
        finally:
            if self._socket is not None:
                self._socket.shutdown()  # type: ignore[no-untyped-call]  # theirs lacks a return type
        self._on_event(PushClosed("stopped" if self._stopped.is_set() else why))

    def _connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self._certificate)
        context.sslsocket_class = DeadlineTLSSocket
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=self._silence_s)
        try:
            return context.wrap_socket(plain, server_hostname="127.0.0.1")
        except OSError:
            plain.close()
            raise

    def _listen(self, connection: websocket.WebSocket) -> None:
        tic_at = time.monotonic() + self._tic_every_s
        while not self._stopped.is_set():
            # For a whole message, and for what is sent after it.
            connection.settimeout(self._silence_s)
            opcode, data = connection.recv_data(control_frame=True)
            connection.settimeout(self._silence_s)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise websocket.WebSocketConnectionClosedException("closed by IBKR")
            if opcode in _MESSAGES and (event := parse_frame(data)):
                self._on_event(event)
            if time.monotonic() > tic_at:
                send_topic(connection, TIC)
                tic_at = time.monotonic() + self._tic_every_s
