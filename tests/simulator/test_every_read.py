"""Every read can be fetched by its name, and its records are where the table says."""

from collections.abc import Iterator
from typing import Any

import pytest

from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.plan import plan_snapshot
from ibkr_tools.portal.endpoints import READS, SSODH_INIT, Endpoint, Scope, Tier
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.instruments import Instrument
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.portal import asked, client_of, fetched_document, signed_in

ACCOUNTS = account_numbers("U1234567", 2)
HELD = Account(ACCOUNTS[0], seed=1, count=237)


def held(asset_class: str) -> Instrument:
    """Returns a contract of this class that the account holds."""
    return next(one for one in HELD.instruments if one.asset_class == asset_class and one.ticker.isascii())


STOCK, BOND, FUTURE = held("STK"), held("BOND"), held("FUT")
CONID = {"conid": str(STOCK.conid)}
EVENT = {"conid": "732957192"}
MODEL = {"model": "Sample-Model"}

SAMPLES: dict[str, dict[str, str]] = {
    "position": CONID,
    "positions_by_conid": CONID,
    "transactions": {"conids": str(STOCK.conid)},
    "order_status": {"orderId": "200000001"},
    "account_search": {"searchPattern": "U12"},
    "snapshot": {"conids": str(STOCK.conid)},
    "history": CONID,
    "scanner": {"instrument": "STK", "type": "TOP_PERC_GAIN", "location": "STK.US.MAJOR"},
    "search": {"symbol": STOCK.ticker},
    "secdef_info": CONID | {"sectype": "STK"},
    "strikes": CONID | {"sectype": "OPT", "month": "JAN27"},
    "bond_filters": {"issuerId": f"e{BOND.conid}"},
    "contract": CONID,
    "contract_info_and_rules": CONID,
    "contract_algos": CONID,
    "contract_rules": CONID | {"isBuy": "true"},
    "currency_pairs": {"currency": "USD"},
    "exchange_rate": {"source": "USD", "target": "EUR"},
    "secdef": {"conids": str(STOCK.conid)},
    "all_conids": {"exchange": "NASDAQ"},
    "futures": {"symbols": FUTURE.ticker},
    "stocks": {"symbols": STOCK.ticker},
    "secdef_schedule": {"assetClass": "STK", "symbol": STOCK.ticker},
    "trading_schedule": CONID,
    "forecast_markets": {"underlyingConid": "732764706"},
    "forecast_rules": EVENT,
    "forecast_details": EVENT,
    "forecast_schedules": EVENT,
    "watchlist": {"id": "99999"},
    "alert": {"alertId": "9876543210"},
    "disclaimer": {"typecode": "BA"},
    "notifications_more": {"id": "2026040190532030"},
    "allocation_group": {"name": "Group_1_NetLiq"},
    "model_positions": MODEL,
    "model_summary": MODEL,
    "model_accounts": MODEL,
    "model_investments": MODEL,
}
"""What a read is asked for that needs something the simulator has data of."""

VALUES = {"integer": "1", "integers": "1", "number": "1.5", "boolean": "true", "json": "[]"}
"""What other required parameters are, by type; texts and lists are a letter."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """An advisor with the brokerage tier, who may ask at any pace."""
    with signed_in(tmp_path_factory.mktemp("world"), user="demo-advisor", accounts=ACCOUNTS) as simulator:
        simulator.control.limits(enabled=False)
        with client_of(simulator, owns_session=True) as owner:
            owner.request(SSODH_INIT, body={"publish": True, "compete": True})
        yield simulator


def fetched(simulator: Simulator, name: str) -> dict[str, Any]:
    """Fetches one resource of the first account."""
    sample = {
        one.name: one.choices[0] if one.choices else VALUES.get(one.type.value, "a")
        for one in READS[name].user_parameters
        if one.required
    }
    parts = plan_snapshot([name], SAMPLES.get(name, sample), Tier.BROKERAGE.value)
    selection = SnapshotSelection(account=ACCOUNTS[0], accounts=ACCOUNTS[:1])
    return fetched_document(simulator, parts, selection).decode()


def test_the_samples_are_of_reads_that_need_something() -> None:
    needing = {one.name for one in READS.values() if any(parameter.required for parameter in one.user_parameters)}
    assert set(SAMPLES) <= needing


@pytest.mark.parametrize("endpoint", READS.values(), ids=list(READS))
def test_every_read_is_fetched(endpoint: Endpoint, simulator: Simulator) -> None:
    name = endpoint.name
    document = fetched(simulator, name)
    assert document["covers"]["resources"] == [name]
    value = document[name]
    if endpoint.scope is Scope.ACCOUNT and name != "positions":
        assert list(value) == [ACCOUNTS[0]]
        value = value[ACCOUNTS[0]]
    if endpoint.records_path:
        for key in [] if endpoint.pagination else endpoint.records_path.split("."):
            value = value[key]
    assert value
    # A list, or an object of records.
    assert isinstance(value, list) or endpoint.records_path != ""


def test_nothing_but_reads_has_been_asked_for(simulator: Simulator) -> None:
    """After all of the above: nothing that changes or costs something came to the simulator."""
    assert simulator.control.state()["mutations"] == 0
    assert asked(simulator, "/tickle") == 0
