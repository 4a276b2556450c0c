"""A real notify socket, as systemd has one: always read, or the sender would wait when its queue is full."""

import socket
import threading
from pathlib import Path

__all__ = ["NotifySocket"]


class NotifySocket:
    """Collects what a unit says; `address` is for NOTIFY_SOCKET, `messages` what came, oldest first."""

    def __init__(self, path: Path) -> None:
        """Listen at once; `close` is needed."""
        self.address = str(path)
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._read, name="notify-socket")
        self._thread.start()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            self.messages.append(message.decode())

    def close(self) -> None:
        """Stop listening."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()
