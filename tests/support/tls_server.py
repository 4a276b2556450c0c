"""A server on 127.0.0.1 that answers every request with prepared bytes: what a gateway must never send."""

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Scripted", "http"]

Script = Callable[[socket.socket], None]


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """Returns one HTTP answer; `length` lies about the body's."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Scripted:
    """Serves one script per request, the last one for ever; an answer in bytes keeps the connection open.

    `requests` are what came, head and body; `connections` counts.
    """

    def __init__(self, folder: Path, *scripts: bytes | Script, tls: bool = True) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._scripts = list(scripts)
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        with suppress(OSError), plain:
            if self._context is not None:
                connection = self._context.wrap_socket(plain, server_side=True)
            self._open.append(connection)
            with connection:
                while request := self._read_request(connection):
                    self.requests.append(request)
                    script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                    if isinstance(script, bytes):
                        connection.sendall(script)
                    else:
                        script(connection)
                        return

    @staticmethod
    def _read_request(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data or len(data) < _length_of(data):
            if not (more := connection.recv(65536)):
                return b""
            data += more
        return data


def _length_of(data: bytes) -> int:
    """Returns how long head and body together have to be."""
    head, _, _ = data.partition(b"\r\n\r\n")
    match = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + 4 + (int(match.group(1)) if match else 0)
