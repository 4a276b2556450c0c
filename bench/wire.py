"""The simulator without sockets: HTTP as bytes from the client's hand into the server's parser and back.

Left out are TLS and the kernel's loopback, which take most of a small request's time and say nothing about a month.
"""

import asyncio
import http.client
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from requests import PreparedRequest, Response, exceptions
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from bench.virtual import VirtualTime
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.push_listener import (
    LISTENER_HEARTBEAT_TIMEOUT_S,
    TIC_INTERVAL_S,
    PushClosed,
    PushEvent,
    PushListener,
    parse_frame,
)
from ibkr_tools.simulator.websocket import Hub

KEEP_ALIVE_S = 3600.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Line(asyncio.Transport):
    """One connection, seen from the server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        super().__init__()
        self._loop = loop
        self.protocol = protocol
        self.received = bytearray()
        self.closed = False
        # Python 3.12 and later start the server's task at once, for which they want to be inside of the loop.
        loop.call_soon(protocol.connection_made, self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Takes what the server says."""
        self.received += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Takes all of it."""
        for data in list_of_data:
            self.received += data

    def close(self) -> None:
        """Ends it, for the server too."""
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """Ends it, for the server too."""
        self.close()

    def is_closing(self) -> bool:
        """Says whether it has ended."""
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Knows nothing about sockets."""
        del name
        return default

    def has_answer(self) -> bool:
        """Says whether a whole answer is there, or none will come."""
        head, found, body = bytes(self.received).partition(b"\r\n\r\n")
        if self.closed:
            return True
        if not found:
            return False
        if length := _LENGTH.search(head):
            return len(body) >= int(length.group(1))
        return body.endswith(b"0\r\n\r\n")


class _Bytes:
    """What `http.client` reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        """Returns all there is."""
        return io.BytesIO(self._data)


@dataclass
class Traffic:
    """How much was sent to IBKR, in all and in the busiest minute. Who wants to know every answer is told.

    It remembers no more than that: a month's minutes would look like growing memory.
    """

    sent: int = 0
    most_a_minute: int = 0
    _minute: int = 0
    _sent_in_it: int = 0
    on_answer: list[Callable[[str, int], None]] = field(default_factory=list)

    def count(self, now_s: float) -> None:
        """Counts one request."""
        minute = int(now_s // 60)
        self._sent_in_it = self._sent_in_it + 1 if minute == self._minute else 1
        self._minute = minute
        self.sent += 1
        self.most_a_minute = max(self.most_a_minute, self._sent_in_it)


class Wire:
    """Connections to one server application."""

    def __init__(self, time: VirtualTime, app: web.Application, traffic: Traffic) -> None:
        self._time = time
        self._traffic = traffic
        self.is_down = False
        # As the simulator's own port does: a call whose caller has left is over.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_ALIVE_S)
        time.loop.run_until_complete(self._runner.setup())

    def connect(self) -> "Connection":
        """Returns a client's end; it opens connections as it needs them."""
        return Connection(self._time, self, self._traffic)

    def open(self) -> _Line:
        """Returns a new connection. Raises requests.exceptions.ConnectionError: the server is down."""
        if self.is_down or self._runner.server is None:
            raise exceptions.ConnectionError(ConnectionRefusedError(111, "Connection refused"))
        line = _Line(self._time.loop, self._runner.server())
        self._time.loop.settle()
        return line


class Connection:
    """One client's connection, kept open between requests; `too_many` counts its answers 429."""

    def __init__(self, time: VirtualTime, wire: Wire, traffic: Traffic) -> None:
        self._time = time
        self._wire = wire
        self._traffic = traffic
        self._line: _Line | None = None
        self.too_many = 0

    def exchange(
        self, method: str, path: str, body: bytes, *, timeout_s: float, content_type: str = "application/json"
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Sends one request; returns status, headers and body.

        Raises:
            requests.exceptions.ReadTimeout: no answer within `timeout_s` of virtual time.
            requests.exceptions.ConnectionError: the connection was closed without an answer.
        """
        if self._line is None or self._line.closed or self._wire.is_down:
            self._line = self._wire.open()
        line = self._line
        if not path.endswith("/reauthenticate"):
            # That one the gateway answers by itself.
            self._traffic.count(self._time.clock())
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        line.protocol.data_received(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answered = self._time.wait(timeout_s, line.has_answer)
        data = bytes(line.received)
        line.received.clear()
        if not answered:
            line.close()
            raise exceptions.ReadTimeout(path)
        if not data:
            raise exceptions.ConnectionError(path)
        response = http.client.HTTPResponse(_Bytes(data), method=method)  # type: ignore[arg-type]  # reads only
        response.begin()
        self.too_many += response.status == 429
        for tell in self._traffic.on_answer:
            tell(path, response.status)
        return response.status, response.headers, response.read()

    def form(self, path: str, **fields: str) -> tuple[int, Any]:
        """Sends a form as the login page does; returns the status and the decoded JSON, None where it is none."""
        body, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        status, _, data = self.exchange("POST", path, body, timeout_s=15.0, content_type=kind)
        try:
            return status, msgspec.json.decode(data)
        except msgspec.DecodeError:
            return status, None

    def close(self) -> None:
        """Ends it."""
        if self._line is not None:
            self._line.close()


class WireAdapter(BaseAdapter):
    """A transport adapter of requests without sockets and TLS."""

    def __init__(self, wire: Wire, timeout_s: float) -> None:
        super().__init__()
        self._connection = wire.connect()
        self._timeout_s = timeout_s

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """Sends it over the wire."""
        body = request.body or b""
        status, headers, data = self._connection.exchange(
            request.method or "GET",
            request.path_url,
            body.encode() if isinstance(body, str) else body,
            timeout_s=self._timeout_s,
        )
        response = Response()
        response.status_code, response.request, response.url = status, request, request.url or ""
        response.headers = CaseInsensitiveDict(headers.items())
        response.raw = io.BytesIO(data)
        return response

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


class WiredClient(PortalClient):
    """The portal client with all it does, but for sockets and TLS."""

    def __init__(self, wire: Wire, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._http.mount("https://", WireAdapter(wire, self._timeouts[1]))


class WiredListener(PushListener):
    """What `PushListener` does, without its thread: the hub's frames are parsed and delivered as they are sent.

    A thread that reads a socket lives in real time; a month of virtual time would be over before it had read a frame.
    """

    def __init__(self, time: VirtualTime, hub: Hub, deliver: Callable[[PushEvent], None]) -> None:
        self._time = time
        self._hub = hub
        self._tell = deliver
        self._ended = False
        self._joined: Any = None
        self._heard_s = self._tic_s = time.clock()

    def start(self) -> None:
        """Connects and listens."""
        self._heard_s = self._time.clock()
        self._tic_s = self._heard_s + TIC_INTERVAL_S
        self._time.loop.create_task(self._join())
        self._time.loop.call_at(self._heard_s + LISTENER_HEARTBEAT_TIMEOUT_S, self._look)

    def stop(self) -> None:
        """Ends it."""
        self._end("stopped")

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._ended

    async def send_bytes(self, data: bytes) -> None:
        """Takes a frame."""
        self._heard_s = self._time.clock()
        if event := parse_frame(data):
            self._tell(event)
        if self._joined is not None and self._heard_s > self._tic_s:
            self._tic_s = self._heard_s + TIC_INTERVAL_S
            self._time.loop.create_task(self._hub.answer(self._joined, "tic"))

    async def send_str(self, data: str) -> None:
        """Takes a frame."""
        await self.send_bytes(data.encode())

    async def close(self) -> None:
        """Is told that IBKR has closed."""
        self._end("closed by IBKR")

    async def _join(self) -> None:
        self._joined = await self._hub.join(self)
        if self._ended:
            self._hub.leave(self._joined)

    def _look(self) -> None:
        if self._ended:
            return
        due_s = self._heard_s + LISTENER_HEARTBEAT_TIMEOUT_S
        if due_s <= self._time.clock():
            self._end(f"silent for {LISTENER_HEARTBEAT_TIMEOUT_S:g} s")
        else:
            self._time.loop.call_at(due_s, self._look)

    def _end(self, why: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._joined is not None:
            self._hub.leave(self._joined)
        self._tell(PushClosed(why))
