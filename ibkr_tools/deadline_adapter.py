"""A transport adapter for requests with which a timeout is a deadline, however slowly the bytes come."""

import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakSet

from requests import PreparedRequest, Response, Session, Timeout
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout as Limits
from urllib3.util.ssl_ import create_urllib3_context

from ibkr_tools.deadline_socket import DeadlineTLSSocket, with_deadlines

__all__ = ["DeadlineAdapter", "NoRedirectSession", "total_timeout"]


class _DeadlineHTTPConnection(HTTPConnection):
    def __init__(self, *arguments: Any, opened: "WeakSet[HTTPConnection]", **options: Any) -> None:
        super().__init__(*arguments, **options)
        opened.add(self)

    def _new_conn(self) -> socket.socket:
        return with_deadlines(super()._new_conn())


class _DeadlineHTTPSConnection(HTTPSConnection):
    def __init__(self, *arguments: Any, opened: "WeakSet[HTTPConnection]", **options: Any) -> None:
        super().__init__(*arguments, **options)
        opened.add(self)

    def _new_conn(self) -> socket.socket:
        return with_deadlines(super()._new_conn())

    def connect(self) -> None:
        original_context = self.ssl_context
        # A context of its own for each connection, as without us: what is trusted is read anew.
        self.ssl_context = original_context or create_urllib3_context()
        self.ssl_context.sslsocket_class = DeadlineTLSSocket
        try:
            super().connect()
        finally:
            self.ssl_context = original_context


class _DeadlineHTTPPool(HTTPConnectionPool):
    ConnectionCls = _DeadlineHTTPConnection


class _DeadlineHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """Opens connections on which urllib3's timeouts are for everything together; to be mounted in a session.

    The read timeout counts from the end of the request to the last byte of the body: status line, headers and body.
    """

    def __init__(self, until_s: float | None = None) -> None:
        """Takes until when (of the monotonic clock) all requests have to be over, redirects too; None: for ever."""
        self._until_s = until_s
        self._connections: WeakSet[HTTPConnection] = WeakSet()
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Has the pool open our connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Has the pool of a proxy open them, too.

        Raises:
            InvalidSchema: it is one of SOCKS, whose connections are none of ours.
        """
        if proxy.lower().startswith("socks"):
            raise InvalidSchema("proxies of SOCKS are not supported")
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager

    @property
    def _pool_classes(self) -> dict[str, Any]:
        return {
            "http": partial(_DeadlineHTTPPool, opened=self._connections),
            "https": partial(_DeadlineHTTPSPool, opened=self._connections),
        }

    def shut_down(self) -> None:
        """Shuts the open connections down, from another thread: whoever reads from one gets an error at once."""
        for connection in list(self._connections):
            if (open_socket := connection.sock) is not None:
                with suppress(OSError):
                    # Not that of TLS, which would have the reader go on without TLS.
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """Sends it, with the time that is left if there is a time until when."""
        if self._until_s is not None:
            left_s = self._until_s - time.monotonic()
            if left_s <= 0:
                raise Timeout(request=request)
            options["timeout"] = Limits(total=left_s)
        return super().send(request, *arguments, **options)


class NoRedirectSession(Session):
    """A session that never follows a redirect, nor parses its target."""

    def get_redirect_target(self, resp: Response) -> None:
        """Returns None: no answer is a redirect."""
        del resp


def total_timeout(connect_s: float, read_s: float) -> Any:
    """Returns what a session of ours takes as `timeout=`: both together are the most that an answer may take."""
    return Limits(total=connect_s + read_s, connect=connect_s, read=read_s)
