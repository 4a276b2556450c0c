"""Requests side by side: a client for each, given back, closed in the end."""

import threading
from datetime import UTC, datetime
from typing import cast

import pytest

from ibkr_tools.errors import DataError
from ibkr_tools.fetch.gather import Unit
from ibkr_tools.fetch.pages import Page
from ibkr_tools.fetch.pool import MOST_AT_ONCE, Pool
from ibkr_tools.portal.client import PortalClient

UNIT = cast("Unit", "unit")
FAST = Page([], full=False, came_at=datetime.now(UTC), took_s=0.09)
SLOW = Page([], full=False, came_at=datetime.now(UTC), took_s=0.5)


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


def pool_of(made: list[Lent]) -> Pool:
    def make() -> PortalClient:
        made.append(Lent())
        return cast("PortalClient", made[-1])

    return Pool(make)


def test_fast_answers_come_over_one_connection_in_this_thread(made: list[Lent]) -> None:
    threads = []

    def work(_client: PortalClient, _unit: Unit) -> Page:
        threads.append(threading.current_thread())
        return FAST

    with pool_of(made) as pool:
        for _ in range(5):
            assert pool.has_room
            pool.start(UNIT, work)
            assert not pool.has_room
            assert pool.next() == (UNIT, FAST)
            assert pool.is_idle
    assert set(threads) == {threading.current_thread()}
    assert [one.closed for one in made] == [1]


def test_slow_answers_come_side_by_side_each_with_its_own_client(made: list[Lent]) -> None:
    together = threading.Barrier(MOST_AT_ONCE, timeout=10)

    def work(client: PortalClient, _unit: Unit) -> Page:
        lent = cast("Lent", client)
        assert lent.in_use.acquire(blocking=False)
        together.wait()
        lent.in_use.release()
        return SLOW

    with pool_of(made) as pool:
        pool.start(UNIT, lambda _client, _unit: SLOW)
        assert pool.next() == (UNIT, SLOW)
        for _ in range(3):
            begun = 0
            while pool.has_room:
                pool.start(UNIT, work)
                begun += 1
            assert begun == MOST_AT_ONCE
            assert [pool.next() for _ in range(begun)] == [(UNIT, SLOW)] * begun
    assert [one.closed for one in made] == [1] * MOST_AT_ONCE


def test_an_error_is_handed_over_and_nobody_waits_for_the_others(made: list[Lent]) -> None:
    """Whoever is still under way gives its client back to nobody: it is closed."""

    release = threading.Event()

    def hang(_client: PortalClient, _unit: Unit) -> Page:
        assert release.wait(10)
        return SLOW

    def fail(_client: PortalClient, _unit: Unit) -> Page:
        raise DataError("no")

    with pool_of(made) as pool:
        pool.start(UNIT, lambda _client, _unit: SLOW)
        pool.next()
        pool.start(UNIT, hang)
        pool.start(UNIT, fail)
        _, error = pool.next()
        assert isinstance(error, DataError)
    assert sorted(one.closed for one in made) == [0, 1]
    release.set()
    pool.next()
    assert [one.closed for one in made] == [1, 1]
