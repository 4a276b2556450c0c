"""A pool of up to four worker threads, each with a client; the thread that submits requests takes their results."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from ibkr_tools.errors import IbkrError
from ibkr_tools.portal.client import PortalClient

if TYPE_CHECKING:
    from ibkr_tools.fetch.pagination import Page
    from ibkr_tools.fetch.scheduler import PageRequest

MAX_WORKERS = 4
"""The gateway opens five connections to IBKR, and the watchdog needs one."""

MIN_REQUEST_INTERVAL_S = 0.1
"""IBKR takes ten requests a second: while answers are faster, another connection would only wait for its turn."""

ReadPage = Callable[[PortalClient, "PageRequest"], "Page"]
CompletedRequest = tuple["PageRequest", "Page | Exception"]
"""A page request, and its page or the error."""


class WorkerPool:
    """Reads pages concurrently, each with a client that no other thread uses meanwhile.

    The threads are daemons: whoever has an error, or is interrupted, need not wait for a slow answer.
    """

    def __init__(self, make_client: Callable[[], PortalClient]) -> None:
        self._make_client = make_client
        self._lock = threading.Lock()
        self._idle_clients: list[PortalClient] = []
        self._closed = False
        self._completed: SimpleQueue[CompletedRequest] = SimpleQueue()
        self._in_flight = 0
        self._last_duration_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle_clients = self._idle_clients, []
        for client in idle:
            client.close()

    @contextmanager
    def lease_client(self) -> Iterator[PortalClient]:
        """Lends a client."""
        with self._lock:
            client = self._idle_clients.pop() if self._idle_clients else None
        client = client or self._make_client()
        try:
            yield client
        finally:
            with self._lock:
                closed = self._closed
                if not closed:
                    self._idle_clients.append(client)
            if closed:
                client.close()

    @property
    def is_idle(self) -> bool:
        """Says whether no request is in flight."""
        return not self._in_flight

    @property
    def has_capacity(self) -> bool:
        """Says whether another concurrent request would shorten the fetch."""
        return self._in_flight < self._useful_workers

    @property
    def _useful_workers(self) -> int:
        """How many concurrent requests are useful, by how long the last answer took to come."""
        return min(MAX_WORKERS, 1 + math.floor(self._last_duration_s / MIN_REQUEST_INTERVAL_S))

    def submit(self, request: "PageRequest", read_page: ReadPage) -> None:
        """Begins one request; reads the page in this thread where it would be the only request in flight."""
        self._in_flight += 1
        if self._useful_workers > 1:
            threading.Thread(target=self._run, args=(request, read_page), daemon=True).start()
        else:
            self._run(request, read_page)

    def _run(self, request: "PageRequest", read_page: ReadPage) -> None:
        # Whatever else ends the thread is a bug, which Python tells of; nobody shall wait for the thread for ever.
        result: Page | Exception = RuntimeError("a thread of the fetch died")
        try:
            with self.lease_client() as client:
                result = read_page(client, request)
            self._last_duration_s = result.took_s
        except IbkrError as error:
            result = error
        finally:
            self._completed.put((request, result))

    def next_completed(self) -> CompletedRequest:
        """Waits for the request that is completed next."""
        done = self._completed.get()
        self._in_flight -= 1
        return done
