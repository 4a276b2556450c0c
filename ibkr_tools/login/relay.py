"""Forwards TCP connections to the gateway from a network that has no other way to it, and looks at none of the bytes.

TLS ends where it always did: at the gateway on one side, at Chromium or `portal.client` on the other.
"""

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from ibkr_tools.polling import poll_until

CHUNK_BYTES = 65_536
"""How many bytes are held for a peer that does not take them."""

PROBE_INTERVAL_S = 0.02
"""How often is tried whether the gateway listens again, while it does not."""

PROBE_TIMEOUT_S = 0.5
"""How long a probe waits for a gateway whose queue of connections is full."""

LISTEN_BACKLOG = 128

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class RelayTarget:
    """Where the gateway is: the `path` of a Unix socket that leads to it, or a `port` of 127.0.0.1."""

    path: str | None = None
    port: int = 0

    def _socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET if self.path is None else socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def _address(self) -> str | tuple[str, int]:
        return ("127.0.0.1", self.port) if self.path is None else self.path

    def connect(self) -> socket.socket:
        """Begins to connect; the socket is non-blocking, and writable as soon as it is known how that went.

        Raises:
            OSError: nobody listens there.
        """
        connection = self._socket()
        connection.setblocking(False)
        try:
            connection.connect(self._address)
        except BlockingIOError:
            # In progress, on TCP; a Unix socket whose queue is full is not asked again.
            if self.path is not None:
                connection.close()
                raise
        except OSError:
            connection.close()
            raise
        return connection

    def is_listening(self) -> bool:
        """Says whether somebody listens there; one who is too busy to accept does."""
        try:
            with self._socket() as connection:
                connection.settimeout(PROBE_TIMEOUT_S)
                connection.connect(self._address)
        except TimeoutError:
            return True
        except OSError:
            return False
        return True


def wait_until_listening(port: int, seconds: float) -> bool:
    """Returns True as soon as somebody listens on a port of 127.0.0.1, False after `seconds`."""
    return poll_until(RelayTarget(port=port).is_listening, seconds, PROBE_INTERVAL_S)


def _reset(connection: socket.socket) -> None:
    """Closes it so that the peer sees an error and no end of file."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


class _ConnectionPair:
    """Two connected sockets, what is on its way between them, and which directions are still open."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.is_connected = False
        self._other = {client: server, server: client}
        self._unsent = {client: b"", server: b""}
        self._readable = {client, server}
        self._writable = {client, server}

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return self.client, self.server

    @property
    def is_over(self) -> bool:
        """Whether both directions have ended in order."""
        return not self._readable and not self._writable

    def events(self, end: socket.socket) -> int:
        """Returns what to wait for on one of the two; nothing is read that could not be passed on."""
        if not self.is_connected:
            return selectors.EVENT_WRITE if end is self.server else 0
        reading = end in self._readable and not self._unsent[self._other[end]]
        return (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if self._unsent[end] else 0)

    def advance(self, end: socket.socket, events: int) -> None:
        """Moves what can be moved. Raises OSError when the connection broke."""
        if not self.is_connected:
            if error := self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, "connect")
            self.is_connected = True
            return
        with contextlib.suppress(BlockingIOError):
            if events & selectors.EVENT_WRITE:
                self._send(end)
            if events & selectors.EVENT_READ:
                self._receive(end)
        for peer in self.sockets:
            # Half of the connection ends: the peer may go on sending.
            if peer in self._writable and not self._unsent[peer] and self._other[peer] not in self._readable:
                peer.shutdown(socket.SHUT_WR)
                self._writable.discard(peer)

    def _receive(self, end: socket.socket) -> None:
        if data := end.recv(CHUNK_BYTES):
            other = self._other[end]
            self._unsent[other] += data
            with contextlib.suppress(BlockingIOError):
                self._send(other)
        else:
            self._readable.discard(end)

    def _send(self, end: socket.socket) -> None:
        self._unsent[end] = self._unsent[end][end.send(self._unsent[end]) :]


class Relay:
    """Forwards what `listener`, which is bound, accepts to `target`. All of it happens in `selector`'s callbacks.

    While nobody listens at the target nobody listens here, so that whoever connects is refused as he would be there.
    A key's data in the selector is a function that takes the events.
    """

    def __init__(self, selector: selectors.BaseSelector, listener: socket.socket, target: RelayTarget) -> None:
        self._selector = selector
        self._listener = listener
        self._target = target
        self._pairs: set[_ConnectionPair] = set()
        self._is_listening = False
        self._next_probe_s = 0.0
        listener.setblocking(False)
        self.probe()

    @property
    def wait_s(self) -> float | None:
        """In how many seconds to call `probe` again; None: there is no need to."""
        return None if self._is_listening else max(0.0, self._next_probe_s - monotonic())

    def probe(self) -> None:
        """Listens from now on if somebody does at the target; call it when `wait_s` is over."""
        if self._is_listening or monotonic() < self._next_probe_s:
            return
        if self._target.is_listening():
            self._listener.listen(LISTEN_BACKLOG)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._is_listening = True
        else:
            self._next_probe_s = monotonic() + PROBE_INTERVAL_S

    def close(self) -> None:
        """Breaks all connections off."""
        for pair in list(self._pairs):
            self._drop(pair)
        self._stop_listening()
        self._listener.close()

    def _stop_listening(self) -> None:
        if not self._is_listening:
            return
        self._selector.unregister(self._listener)
        # On Linux the port stays bound and refuses connections until the next listen(2): inet_shutdown in net/ipv4.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._is_listening = False
        self._next_probe_s = monotonic() + PROBE_INTERVAL_S

    def _accept(self, _events: int) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            # It went away before its turn.
            return
        except OSError:
            # No more file descriptors: a socket that stays readable would keep the selector from waiting.
            self._stop_listening()
            return
        client.setblocking(False)
        try:
            server = self._target.connect()
        except OSError:
            _reset(client)
            self._stop_listening()
            return
        for end in (client, server):
            # What arrives here was sent on purpose as it is; Nagle's algorithm would only delay it.
            if end.family == socket.AF_INET:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _ConnectionPair(client, server)
        self._pairs.add(pair)
        self._watch(pair)

    def _watch(self, pair: _ConnectionPair) -> None:
        """Has the selector wait for what the pair waits for."""
        for end in pair.sockets:
            events = pair.events(end)
            known = self._selector.get_map().get(end.fileno())
            if known is not None and known.events != events:
                self._selector.unregister(end)
                known = None
            if events and known is None:
                self._selector.register(end, events, self._advancing(pair, end))

    def _advancing(self, pair: _ConnectionPair, end: socket.socket) -> Callable[[int], None]:
        def advance(events: int) -> None:
            # Its other half may have been dealt with in the same round.
            if pair not in self._pairs:
                return
            was_connected = pair.is_connected
            try:
                pair.advance(end, events)
            except OSError:
                self._drop(pair)
                if not was_connected:
                    self._stop_listening()
                return
            if pair.is_over:
                self._drop(pair, in_order=True)
            else:
                self._watch(pair)

        return advance

    def _drop(self, pair: _ConnectionPair, *, in_order: bool = False) -> None:
        self._pairs.discard(pair)
        for end in pair.sockets:
            if end.fileno() in self._selector.get_map():
                self._selector.unregister(end)
            if in_order:
                end.close()
            else:
                _reset(end)
