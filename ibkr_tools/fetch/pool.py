"""Requests side by side: up to four threads, a client for each. What comes is taken by the one thread that asked."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from ibkr_tools.errors import IbkrError
from ibkr_tools.portal.client import PortalClient

if TYPE_CHECKING:
    from ibkr_tools.fetch.gather import Unit
    from ibkr_tools.fetch.pages import Page

MOST_AT_ONCE = 4
"""The gateway opens five connections to IBKR, and the watchdog needs one."""

ONE_EVERY_S = 0.1
"""IBKR takes ten requests a second: while answers are faster, another connection would only wait for its turn."""

Work = Callable[[PortalClient, "Unit"], "Page"]
Done = tuple["Unit", "Page | Exception"]
"""One unit of work, and its result or the error."""


class Pool:
    """Does units of work at once, each with a client that nobody else uses meanwhile.

    The threads are daemons: whoever has an error, or is interrupted, need not wait for a slow answer.
    """

    def __init__(self, make_client: Callable[[], PortalClient]) -> None:
        self._make_client = make_client
        self._lock = threading.Lock()
        self._idle: list[PortalClient] = []
        self._closed = False
        self._done: SimpleQueue[Done] = SimpleQueue()
        self._under_way = 0
        self._took_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    @contextmanager
    def client(self) -> Iterator[PortalClient]:
        """Lends a client."""
        with self._lock:
            client = self._idle.pop() if self._idle else None
        client = client or self._make_client()
        try:
            yield client
        finally:
            with self._lock:
                closed = self._closed
                if not closed:
                    self._idle.append(client)
            if closed:
                client.close()

    @property
    def is_idle(self) -> bool:
        """Says whether nothing is under way."""
        return not self._under_way

    @property
    def has_room(self) -> bool:
        """Says whether another request under way would bring the end nearer."""
        return self._under_way < self._worth

    @property
    def _worth(self) -> int:
        """How many requests at once are worth it, by how long the last answer took to come."""
        return min(MOST_AT_ONCE, 1 + math.floor(self._took_s / ONE_EVERY_S))

    def start(self, unit: "Unit", work: Work) -> None:
        """Begins one unit of work; does it at once where it would be alone."""
        self._under_way += 1
        if self._worth > 1:
            threading.Thread(target=self._work, args=(unit, work), daemon=True).start()
        else:
            self._work(unit, work)

    def _work(self, unit: "Unit", work: Work) -> None:
        # Whatever else ends the thread is a bug, which Python tells of; nobody shall wait for the thread for ever.
        result: Page | Exception = RuntimeError("a thread of the fetch died")
        try:
            with self.client() as client:
                result = work(client, unit)
            self._took_s = result.took_s
        except IbkrError as error:
            result = error
        finally:
            self._done.put((unit, result))

    def next(self) -> Done:
        """Waits for whichever unit of work is done next."""
        done = self._done.get()
        self._under_way -= 1
        return done
