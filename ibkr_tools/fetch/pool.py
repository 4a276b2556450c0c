"""Requests side by side: up to four threads, a client for each. What comes is taken by the one thread that asked."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from ibkr_tools.errors import IbkrError
from ibkr_tools.portal.client import PortalClient

MOST_AT_ONCE = 4
"""The gateway opens five connections to IBKR, and the watchdog needs one."""

ONE_EVERY_S = 0.1
"""IBKR takes ten requests a second: while answers are faster, another connection would only wait for its turn."""

U = TypeVar("U")
R = TypeVar("R")


class Done(NamedTuple, Generic[U, R]):
    """What came of one unit of work: its result, or the error."""

    unit: U
    result: R | BaseException


class Pool(Generic[U, R]):
    """Does units of work at once, each with a client that nobody else uses meanwhile.

    The threads are daemons: whoever has an error, or is interrupted, need not wait for a slow answer.
    """

    def __init__(self, make_client: Callable[[], PortalClient]) -> None:
        self._make_client = make_client
        self._lock = threading.Lock()
        self._idle: list[PortalClient] = []
        self._closed = False
        self._done: SimpleQueue[Done[U, R]] = SimpleQueue()
        self._under_way = 0
        self._took_s = 0.0

    def __enter__(self) -> "Pool[U, R]":
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
        worth = min(MOST_AT_ONCE, 1 + math.floor(self._took_s / ONE_EVERY_S))
        return self._under_way < worth

    def start(self, unit: U, work: Callable[[PortalClient, U], R]) -> None:
        """Begins one unit of work."""
        self._under_way += 1
        threading.Thread(target=self._work, args=(unit, work), daemon=True).start()

    def _work(self, unit: U, work: Callable[[PortalClient, U], R]) -> None:
        began = time.monotonic()
        try:
            with self.client() as client:
                result = work(client, unit)
        except IbkrError as error:
            self._done.put(Done(unit, error))
        except BaseException as error:
            self._done.put(Done(unit, error))
            raise
        else:
            self._took_s = time.monotonic() - began
            self._done.put(Done(unit, result))

    def next(self) -> Done[U, R]:
        """Waits for whichever unit of work is done next."""
        done = self._done.get()
        self._under_way -= 1
        return done
