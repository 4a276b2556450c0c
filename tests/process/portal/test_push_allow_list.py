"""What is ever said over the WebSocket."""

import base64
import hashlib
import re
import socket
from pathlib import Path
from queue import SimpleQueue

from ibkr_tools.portal.push_listener import PushEvent, PushListener
from tests.support.simulation import make_certificate
from tests.support.tls_server import Scripted

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
"""Kinds of frames. Source: RFC 6455, 5.2."""

FRAMES = (
    (BINARY, b'{"topic":"system","hb":1}'),
    (TEXT, b'{"topic":"sts","args":{"authenticated":false,"connected":false}}'),
    (TEXT, b'{"message":"waiting for session"}'),
    (PING, b"are you there"),
    (BINARY, b'{"topic":"sor","args":[{"orderId":1}]}'),
    (TEXT, b"smd+265598+{}"),
    (TEXT, b""),
    (BINARY, b"{"),
    (PONG, b"unasked"),
    (BINARY, b'{"topic":"system","success":"demo-reader"}'),
)
"""What IBKR, or whoever is in its place, may say to a listener."""


def test_a_listener_says_tic_and_nothing_else(tmp_path: Path) -> None:
    """Every frame that it sends in its life, as the gateway gets it: beside the tics only what the protocol wants."""
    make_certificate(tmp_path)
    said: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()

    def talk(connection: socket.socket) -> None:
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", server.requests[-1])
        assert key
        digest = hashlib.sha1(key.group(1) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        connection.sendall(head.encode() + base64.b64encode(digest) + b"\r\n\r\n")
        for kind, data in (*FRAMES, (CLOSE, b"")):
            connection.sendall(bytes([0x80 | kind, len(data)]) + data)
        while frame := read_frame(connection):
            said.put(frame)
        said.put(None)

    with Scripted(tmp_path, talk) as server:
        events: SimpleQueue[PushEvent] = SimpleQueue()
        PushListener(server.port, tmp_path / "certificate.pem", events.put, tic_interval_s=0.0).start()
        frames = list(iter(lambda: said.get(timeout=20), None))
    assert server.requests[0].startswith(b"GET /v1/api/ws HTTP/1.1\r\n")
    assert len(server.requests) == 1
    assert [data for kind, data in frames if kind == PONG] == [b"are you there"]
    spoken = [data for kind, data in frames if kind not in {PONG, CLOSE}]
    assert spoken == [b"tic"] * len(FRAMES)


def read_frame(connection: socket.socket) -> tuple[int, bytes] | None:
    """Returns the kind of one short frame of a client and what it says; None at the end."""

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    try:
        kind, length = exactly(2)
        mask = exactly(4)
        data = exactly(length & 0x7F)
    except (EOFError, OSError):
        return None
    return kind & 0xF, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
