"""A client of a server that answers from a script."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ibkr_tools.portal.client import PortalClient
from tests.support.no_rate_limit import NoRateLimit
from tests.support.tls_server import Scripted

__all__ = ["client_of"]


@contextlib.contextmanager
def client_of(server: Scripted | int, material: Path, **options: Any) -> Iterator[PortalClient]:
    """Opens a client of a server; who tests its silence says for how long it is borne with."""
    port = server if isinstance(server, int) else server.port
    options.setdefault("read_timeout_s", 20.0)
    options.setdefault("rate_limiter", NoRateLimit())
    with PortalClient(port, material / "certificate.pem", **options) as client:
        yield client
