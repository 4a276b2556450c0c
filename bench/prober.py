"""An independent witness: asks the gateway again and again, ours and a peer's in the same way."""

import http.client
import ssl
import threading
import time
from typing import Self

EVERY_S = 0.1
TIMEOUT_S = 3.0

PORTFOLIO, BROKERAGE = "/portfolio/accounts", "/iserver/accounts"
"""What is served only while the tier of that name is up."""


class Prober:
    """Asks for `path` ten times a second for the length of a block, over one connection where it can."""

    def __init__(self, port: int, path: str = PORTFOLIO) -> None:
        self._port = port
        self._path = path
        # A peer's gateway has IBKR's own certificate, which expired in 2019.
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._connection: http.client.HTTPSConnection | None = None
        self._stopped = threading.Event()
        self._served = threading.Event()
        self._since = 0.0
        self._served_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(2 * TIMEOUT_S)

    def watch_from(self, since: float) -> None:
        """Forgets what it knows; only an answer to a question asked after `since` (wall clock) counts."""
        self._since = since
        self._served.clear()

    def wait(self, timeout_s: float) -> float | None:
        """Returns the wall-clock time of the first good answer; None if there was none in time."""
        return self._served_at if self._served.wait(timeout_s) else None

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            asked_at = time.time()
            if self.ask("GET", self._path) == http.client.OK and asked_at > self._since and not self._served.is_set():
                self._served_at = time.time()
                self._served.set()
        self.close()

    def ask(self, method: str, path: str) -> int:
        """Sends one request; returns the status, 0 for no answer."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=TIMEOUT_S, context=self._context
            )
        try:
            self._connection.request(method, f"/v1/api{path}")
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0
        return response.status

    def close(self) -> None:
        """Closes the connection; the next question opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
