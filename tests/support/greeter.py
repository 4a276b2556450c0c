"""A server that greets: it says back what it was told, and where it stands."""

import contextlib
import socket
import threading
from collections.abc import Iterator

__all__ = ["greeting"]


@contextlib.contextmanager
def greeting(listener: socket.socket, words: bytes) -> Iterator[None]:
    """Answers whoever connects and says something with the same, and `words` after it, for the length of the block."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    if data := connection.recv(100):
                        connection.sendall(data + words)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
