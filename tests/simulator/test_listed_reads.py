"""A read that the simulator has no data for is answered in the shape that the table of endpoints states."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

import pytest

from ibkr_tools.errors import BrokerageUnavailable, IbkrError
from ibkr_tools.portal.endpoints import READS, SSODH_INIT, Endpoint, Pagination, Scope, Tier
from ibkr_tools.simulator import Simulator, account_numbers, application, session_routes
from ibkr_tools.simulator.listed_reads import generic_routes
from tests.support.portal import client_of, signed_in

ACCOUNTS = account_numbers("U1234567", 1)
WITH_DATA = {"/portfolio/accounts", *(path for _, path, _ in session_routes.ROUTES)}
"""What the session itself is about: without its accounts there is none."""

WITHOUT_DATA = [endpoint for endpoint in READS.values() if endpoint.path not in WITH_DATA]


@contextmanager
def without_data(folder: Path, user: str) -> Iterator[Simulator]:
    """Runs a simulator that has data of the session alone."""
    with pytest.MonkeyPatch.context() as patch:
        routes = session_routes.ROUTES
        patch.setattr(application, "FAMILIES", (*routes, *generic_routes(routes)))
        with signed_in(folder, user=user, accounts=ACCOUNTS) as simulator:
            simulator.control.limits(enabled=False)
            simulator.control.behaviour(require_preflight=False)
            yield simulator


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One whose user has the portfolio tier."""
    with without_data(tmp_path_factory.mktemp("reader"), "demo-reader") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def trader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One whose user has both tiers."""
    with without_data(tmp_path_factory.mktemp("trader"), "demo-trader") as simulator:
        with client_of(simulator, owns_session=True) as owner:
            owner.request(SSODH_INIT, body={"publish": True, "compete": True})
        yield simulator


def answer(simulator: Simulator, endpoint: Endpoint, account: str = ACCOUNTS[0], **query: str) -> object:
    """Returns what a read is answered with."""
    names = {name: {"account": account, "page": "0"}.get(name, "1") for name in endpoint.names}
    names |= {name: query.pop(name) for name in endpoint.names if name in query}
    body = {"acctIds": [account]} if endpoint.scope is Scope.ACCOUNTS else None
    with client_of(simulator) as client:
        return client.request(endpoint, names, query=query, body=body)


def records(payload: object, endpoint: Endpoint) -> object:
    """Returns what is at the row's `records_path`."""
    keys = [key for key in (endpoint.records_path or "").split(".") if key]
    return reduce(lambda value, key: value[key], keys, payload)  # type: ignore[index]


@pytest.mark.parametrize(
    "endpoint", [row for row in WITHOUT_DATA if row.tier is Tier.BROKERAGE], ids=lambda row: row.name
)
def test_the_brokerage_tier_is_needed(reader: Simulator, endpoint: Endpoint) -> None:
    with pytest.raises(BrokerageUnavailable):
        answer(reader, endpoint)


@pytest.mark.parametrize("endpoint", WITHOUT_DATA, ids=lambda row: row.name)
def test_one_record_where_the_table_says(trader: Simulator, endpoint: Endpoint) -> None:
    found = records(answer(trader, endpoint), endpoint)
    record = {"ID": f"{endpoint.name}-1", "description": endpoint.description}
    assert found == (record if endpoint.records_path is None else [record])


@pytest.mark.parametrize("endpoint", [row for row in WITHOUT_DATA if row.pagination], ids=lambda row: row.name)
def test_the_second_page_is_empty(trader: Simulator, endpoint: Endpoint) -> None:
    if endpoint.pagination is Pagination.CURSOR:
        more = READS[f"{endpoint.name}_more"]
        assert records(answer(trader, more, id=f"{more.name}-1"), more) == []
    else:
        assert records(answer(trader, endpoint, page="1"), endpoint) == []


@pytest.mark.parametrize(
    "endpoint",
    [row for row in WITHOUT_DATA if row.scope is not Scope.USER and row.tier is Tier.PORTFOLIO],
    ids=lambda row: row.name,
)
def test_an_account_of_somebody_else_is_refused(reader: Simulator, endpoint: Endpoint) -> None:
    with pytest.raises(IbkrError, match="accountId is not valid"):
        answer(reader, endpoint, account="U7777777")
