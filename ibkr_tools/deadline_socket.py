"""Sockets whose timeout is a deadline: for all that is sent and received until it is set anew, not for each byte of it.

By themselves Python's sockets grant the timeout again with every byte that arrives, so that a peer that sends one a
second is never late. TLS of the standard library needs no more than these classes: `wrap_socket` of a context whose
`sslsocket_class` is `DeadlineTLSSocket` gives one, and the handshake has a deadline as it is.
"""

import socket
import ssl
import time
from typing import Any

__all__ = ["DeadlineSocket", "DeadlineTLSSocket", "with_deadlines"]

MAX_SILENCE_S = 30.0
"""Whoever sends nothing at all for so long is gone, however far the deadline is."""

_DEADLINE_TOLERANCE_S = 0.05
"""By so much a deadline may be missed: setting a timeout is a system call, and an answer is read in several parts."""


class _Deadline(socket.socket):
    """A socket that keeps one deadline for all its sends and receives; with TLS or without."""

    _deadline_s: float | None = None
    _set_at_s = 0.0

    def settimeout(self, value: float | None) -> None:
        """Sets the timeout, in seconds, of everything from now on together; None: there is none."""
        super().settimeout(min(value, MAX_SILENCE_S) if value else value)
        self._set_at_s = time.monotonic()
        # 0 is a socket that does not block.
        self._deadline_s = self._set_at_s + value if value else None

    def _arm(self) -> None:
        """Gives the next call what is left."""
        if self._deadline_s is None or (now := time.monotonic()) < self._set_at_s + _DEADLINE_TOLERANCE_S:
            return
        if now >= self._deadline_s:
            raise TimeoutError("timed out")
        super().settimeout(min(self._deadline_s - now, MAX_SILENCE_S))
        self._set_at_s = now

    def recv(self, *arguments: Any) -> bytes:
        """Receives before the deadline; see `socket.socket.recv`."""
        self._arm()
        return super().recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        """Receives before the deadline; see `socket.socket.recv_into`."""
        self._arm()
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        """Sends before the deadline; see `socket.socket.send`."""
        self._arm()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """Sends everything before the deadline; see `socket.socket.sendall`."""
        self._arm()
        super().sendall(*arguments)


class DeadlineSocket(_Deadline):
    """A plain socket with a deadline."""


class DeadlineTLSSocket(_Deadline, ssl.SSLSocket):
    """A TLS socket with a deadline."""


def with_deadlines(plain: socket.socket) -> DeadlineSocket:
    """Returns a connected socket as one with a deadline, which begins now; the given one is used up."""
    timeout = plain.gettimeout()
    deadline_socket = DeadlineSocket(fileno=plain.detach())
    deadline_socket.settimeout(timeout)
    return deadline_socket
