"""Requests side by side: a client for each, given back, closed in the end."""

import threading
from datetime import UTC, datetime
from typing import cast

import pytest

from ibkr_tools.errors import DataError
from ibkr_tools.fetch.pagination import Page
from ibkr_tools.fetch.scheduler import PageRequest
from ibkr_tools.fetch.worker_pool import MAX_WORKERS, WorkerPool
from ibkr_tools.portal.client import PortalClient

REQUEST = cast("PageRequest", "request")
FAST = Page([], has_more=False, received_at=datetime.now(UTC), took_s=0.09)
SLOW = Page([], has_more=False, received_at=datetime.now(UTC), took_s=0.5)


class Lent:
    """A client that says when it is used by two at once, and when it is closed."""

    def __init__(self) -> None:
        self.in_use = threading.Lock()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def made() -> list[Lent]:
    return []


def pool_of(made: list[Lent]) -> WorkerPool:
    def make() -> PortalClient:
        made.append(Lent())
        return cast("PortalClient", made[-1])

    return WorkerPool(make)


def test_fast_answers_come_over_one_connection_in_this_thread(made: list[Lent]) -> None:
    threads = []

    def read_page(_client: PortalClient, _request: PageRequest) -> Page:
        threads.append(threading.current_thread())
        return FAST

    with pool_of(made) as pool:
        for _ in range(5):
            assert pool.has_capacity
            pool.submit(REQUEST, read_page)
            assert not pool.has_capacity
            assert pool.next_completed() == (REQUEST, FAST)
            assert pool.is_idle
    assert set(threads) == {threading.current_thread()}
    assert [one.closed for one in made] == [1]


def test_slow_answers_come_side_by_side_each_with_its_own_client(made: list[Lent]) -> None:
    together = threading.Barrier(MAX_WORKERS, timeout=10)

    def read_page(client: PortalClient, _request: PageRequest) -> Page:
        lent = cast("Lent", client)
        assert lent.in_use.acquire(blocking=False)
        together.wait()
        lent.in_use.release()
        return SLOW

    with pool_of(made) as pool:
        pool.submit(REQUEST, lambda _client, _request: SLOW)
        assert pool.next_completed() == (REQUEST, SLOW)
        for _ in range(3):
            begun = 0
            while pool.has_capacity:
                pool.submit(REQUEST, read_page)
                begun += 1
            assert begun == MAX_WORKERS
            assert [pool.next_completed() for _ in range(begun)] == [(REQUEST, SLOW)] * begun
    assert [one.closed for one in made] == [1] * MAX_WORKERS


def test_an_error_is_handed_over_and_nobody_waits_for_the_others(made: list[Lent]) -> None:
    """Whoever is still under way gives its client back to nobody: it is closed."""

    release = threading.Event()

    def hang(_client: PortalClient, _request: PageRequest) -> Page:
        assert release.wait(10)
        return SLOW

    def fail(_client: PortalClient, _request: PageRequest) -> Page:
        raise DataError("no")

    with pool_of(made) as pool:
        pool.submit(REQUEST, lambda _client, _request: SLOW)
        pool.next_completed()
        pool.submit(REQUEST, hang)
        pool.submit(REQUEST, fail)
        _, error = pool.next_completed()
        assert isinstance(error, DataError)
    assert sorted(one.closed for one in made) == [0, 1]
    release.set()
    pool.next_completed()
    assert [one.closed for one in made] == [1, 1]
