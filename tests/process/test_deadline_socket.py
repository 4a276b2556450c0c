"""Peers that send a byte now and then: with all of them, an answer has one deadline, and a frame of IBKR's one too."""

import base64
import functools
import hashlib
import queue
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from ibkr_tools import deadline_socket
from ibkr_tools.errors import DistributionError, UpstreamSilent
from ibkr_tools.gateway.distribution_download import download
from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, PushEvent, PushListener
from tests.support.scripted_client import client_of
from tests.support.tls_server import Scripted, http

STEP_S = 0.1
LONGEST_S = 20.0
"""How long the peers go on by themselves: whoever grants each byte its own time ends then, otherwise than expected."""

PROMPTLY_S = 10.0
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def drip(connection: socket.socket, at_once: bytes, parts: Iterator[bytes], stopped: threading.Event) -> None:
    """Sends some, and then a part every now and then."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):
        connection.sendall(at_once)
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end and not stopped.wait(STEP_S):
            connection.sendall(next(parts))


def for_ever(part: bytes) -> Iterator[bytes]:
    """Yields the same, for ever."""
    while True:
        yield part


def packed() -> Iterator[bytes]:
    """Yields the bytes of a gzip stream that has no end."""
    packer = zlib.compressobj(wbits=31)
    number = 0
    while True:
        number += 1
        data = packer.compress(b"%d " % number) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield from (data[at : at + 1] for at in range(len(data)))


STAGES: dict[str, tuple[bytes, Callable[[], Iterator[bytes]]]] = {
    "status line": (b"HTTP/1.1 200 ", functools.partial(for_ever, b"O")),
    "provisional answers": (b"", functools.partial(for_ever, b"HTTP/1.1 100 Continue\r\n\r\n")),
    "header": (OK + b"X: ", functools.partial(for_ever, b"x")),
    "headers": (OK, functools.partial(for_ever, b"X: 1\r\n")),
    "body": (OK + b"Content-Length: 1000000\r\n\r\n", functools.partial(for_ever, b" ")),
    "body until the end": (OK + b"Connection: close\r\n\r\n", functools.partial(for_ever, b" ")),
    "chunks": (CHUNKED, functools.partial(for_ever, b"1\r\n \r\n")),
    "chunk size": (CHUNKED, functools.partial(for_ever, b"0")),
    "chunk extension": (CHUNKED + b"1;", functools.partial(for_ever, b"x")),
    "trailer": (CHUNKED + b"2\r\n[]\r\n0\r\nX: ", functools.partial(for_ever, b"x")),
    "gzip": (OK + b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n", packed),
}


@pytest.mark.parametrize("stage", STAGES)
def test_an_answer_has_one_deadline(material: Path, stage: str) -> None:
    at_once, parts = STAGES[stage]

    def script(connection: socket.socket) -> None:
        drip(connection, at_once, parts(), server.stopped)

    with Scripted(material, script) as server, client_of(server, material, read_timeout_s=0.5) as client:
        begun = time.monotonic()
        with pytest.raises(UpstreamSilent, match=r"no answer within 0\.5 s"):
            client.accounts()
        assert time.monotonic() - begun < PROMPTLY_S
        assert len(server.requests) == 1


class Handshake:
    """A listener that answers whoever connects with a TLS record that does not end."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with self._listener.accept()[0] as connection:
            connection.recv(65536)
            drip(connection, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", for_ever(b"\0"), self.stopped)


def test_a_handshake_that_drips_is_silence(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ibkr_tools.portal.client.CONNECT_TIMEOUT_S", 0.5)
    with Handshake() as server, client_of(server.port, material) as client:
        begun = time.monotonic()
        with pytest.raises(UpstreamSilent):
            client.accounts()
        assert time.monotonic() - begun < PROMPTLY_S


def test_a_kept_connection_has_a_new_deadline_for_each_answer(material: Path) -> None:
    """The time between two requests is nobody's fault, and neither is that of the answer before."""
    answer = http("200 OK", b"[]", "Content-Type: application/json")

    def slowly(connection: socket.socket) -> None:
        for _ in range(3):
            server.stopped.wait(1.2)
            connection.sendall(answer)
            if not server._read_request(connection):
                return

    with Scripted(material, slowly) as server, client_of(server, material, read_timeout_s=3.0) as client:
        for _ in range(2):
            assert client.accounts() == []
            server.stopped.wait(1.2)
        assert server.connections == 1


def test_a_request_that_nobody_reads_ends(material: Path) -> None:
    """Sending has the deadline of connecting: a body may be longer than what the kernel keeps."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(listener.getsockname()) as plain:
            plain.settimeout(0.5)
            with deadline_socket.with_deadlines(plain) as ours:
                begun = time.monotonic()
                with pytest.raises(TimeoutError):
                    ours.sendall(b"x" * 50_000_000)
                with pytest.raises(TimeoutError):
                    ours.send(b"x")
                with pytest.raises(TimeoutError):
                    ours.recv(1)
                assert time.monotonic() - begun < PROMPTLY_S


def test_a_socket_without_a_timeout_has_no_deadline() -> None:
    left, right = socket.socketpair()
    left.settimeout(0.0)
    with right, deadline_socket.with_deadlines(left) as ours:
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        ours.settimeout(None)
        right.sendall(b"x")
        assert ours.recv(1) == b"x"


# The push.

SILENCE_S = 1.5
HEARTBEAT = b'\x81\x12{"topic":"system"}'


def accept(request: bytes) -> bytes:
    """Returns a server's agreement to speak WebSocket (RFC 6455)."""
    key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", request)
    assert key
    token = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


def events_of(server: Scripted, material: Path) -> list[PushEvent]:
    """Listens until the listener says that it is over."""
    found: queue.Queue[PushEvent] = queue.Queue()
    listener = PushListener(server.port, material / "certificate.pem", found.put, silence_s=SILENCE_S)
    listener.start()
    events = [found.get(timeout=PROMPTLY_S)]
    while not isinstance(events[-1], PushClosed):
        events.append(found.get(timeout=PROMPTLY_S))
    return events


@pytest.mark.parametrize("stage", ["answer", "header", "frame", "fragments"])
def test_a_push_that_drips_is_silent(material: Path, stage: str) -> None:
    def script(connection: socket.socket) -> None:
        agreed = accept(server.requests[0])
        at_once, parts = {
            "answer": (b"HTTP/1.1 101 ", for_ever(b"x")),
            "header": (agreed[:-2], for_ever(b"X: 1\r\n")),
            "frame": (agreed + HEARTBEAT + b"\x81\x7e\xff\xff", for_ever(b" ")),
            "fragments": (agreed + HEARTBEAT + b"\x01\x01 ", for_ever(b"\x00\x01 ")),
        }[stage]
        drip(connection, at_once, parts, server.stopped)

    with Scripted(material, script) as server:
        events = events_of(server, material)
    assert events[-1] == PushClosed(f"silent for {SILENCE_S} s")
    assert events[:-1] == ([Heartbeat()] if stage in {"frame", "fragments"} else [])


def test_a_ping_is_no_silence(material: Path) -> None:
    """A server that asks whether we are there is there itself; what it asks with is no message."""

    def script(connection: socket.socket) -> None:
        connection.sendall(accept(server.requests[0]))
        for _ in range(8):
            connection.sendall(b"\x89\x12" + HEARTBEAT[2:])
            server.stopped.wait(SILENCE_S / 3)
        connection.sendall(HEARTBEAT + b"\x88\x02\x03\xe8")
        server.stopped.wait(5)

    with Scripted(material, script) as server:
        assert events_of(server, material) == [Heartbeat(), PushClosed("closed by IBKR")]


# The download.


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "gzip"])
def test_a_download_has_one_deadline(material: Path, tmp_path: Path, stage: str) -> None:
    at_once, parts = STAGES[stage]

    def script(connection: socket.socket) -> None:
        drip(connection, at_once, parts(), server.stopped)

    with Scripted(material, script, tls=False) as server:
        begun = time.monotonic()
        with pytest.raises(DistributionError, match="not complete after 1 s"):
            download(f"http://127.0.0.1:{server.port}/gw.zip", tmp_path / "gw.zip", deadline_s=0.6)
        assert time.monotonic() - begun < PROMPTLY_S
    assert list(tmp_path.iterdir()) == []
