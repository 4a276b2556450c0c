"""Market data and contracts: shapes, limits, and contracts that are the same wherever they appear."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.catalogue import Catalogue
from ibkr_tools.simulator.instruments import Instrument
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.caller import Caller
from tests.support.shapes import pick, require_keys

ACCOUNT = "U1234567"
API = "/v1/api"
HELD = Account(ACCOUNT, seed=1, count=400)
PAIR = 12_087_792

pytestmark = pytest.mark.simulator(positions=400)


def held(asset_class: str) -> Instrument:
    """Return a contract of this class that the account holds."""
    return next(one for one in HELD.instruments if one.asset_class == asset_class and one.ticker.isascii())


STOCK, OPTION, FUTURE, BOND = (held(name) for name in ("STK", "OPT", "FUT", "BOND"))
HISTORY = f"/iserver/marketdata/history?conid={STOCK.conid}"


@pytest.fixture
def trader(trader: Caller) -> Caller:
    """Past the preflight."""
    trader.get(f"{API}/iserver/accounts")
    return trader


@pytest.mark.parametrize(
    ("path", "where", "keys"),
    [
        (
            f"{HISTORY}&period=1w&bar=1d",
            "",
            "serverId symbol text priceFactor startTime high low barLength points data",
        ),
        (f"{HISTORY}&period=1w&bar=1d", "data.0", "o c h l v t"),
        (f"/iserver/secdef/search?symbol={STOCK.ticker}", "0", "conid companyHeader symbol description sections"),
        (f"/iserver/secdef/search?symbol={BOND.ticker}&secType=BOND", "0", "issuers bondid"),
        (f"/iserver/secdef/info?conid={STOCK.conid}", "0", "conid symbol secType validExchanges showPrips"),
        (f"/iserver/secdef/bond-filters?symbol=B&issuerId=e{BOND.conid}", "bondFilters.0", "displayText columnId"),
        (f"/iserver/contract/{OPTION.conid}/info", "", "con_id underlying_con_id expiry_full right strike r_t_h"),
        (f"/iserver/contract/{STOCK.conid}/info-and-rules", "rules", "algoEligible orderTypes tifTypes defaultSize"),
        (f"/iserver/contract/{STOCK.conid}/algos?addParams=1&addDescription=1", "algos.0", "id name parameters"),
        ("/iserver/currency/pairs?currency=USD", "USD.0", "symbol conid ccyPair"),
        ("/iserver/exchangerate?source=USD&target=EUR", "", "rate"),
        (f"/trsrv/secdef?conids={STOCK.conid},{OPTION.conid}", "secdef.1", "conid strike undConid displayRule isUS"),
        ("/trsrv/all-conids?exchange=NASDAQ", "0", "ticker conid exchange"),
        (f"/trsrv/stocks?symbols={STOCK.ticker}", "*.0", "name chineseName assetClass contracts"),
        (f"/trsrv/futures?symbols={FUTURE.ticker}", "*.0", "symbol conid underlyingConid expirationDate ltd"),
        (f"/trsrv/secdef/schedule?assetClass=STK&symbol={STOCK.ticker}", "0.schedules.0", "tradingtimes sessions"),
        (f"/contract/trading-schedule?conid={STOCK.conid}", "schedules.*", "liquid_hours extended_hours"),
    ],
)
def test_shapes(trader: Caller, path: str, where: str, keys: str) -> None:
    require_keys(pick(trader.get(API + path).data, where), keys)


def test_a_snapshot_has_numbers_first_and_fields_then(trader: Caller) -> None:
    path = f"{API}/iserver/marketdata/snapshot?conids={STOCK.conid},{PAIR}&fields=31,84,86,87,7308"
    first, again = trader.get(path).data, trader.get(path).data
    assert [set(row) for row in first] == [{"conid", "conidEx", "server_id", "_updated", "6119"}] * 2
    assert float(again[0]["31"].lstrip("CH")) == round(STOCK.price, 2)
    assert isinstance(again[0]["87_raw"], float)
    assert "7308" not in again[0]
    assert trader.post(f"{API}/iserver/marketdata/unsubscribe", {"conid": STOCK.conid}).data == {"success": True}
    assert trader.post(f"{API}/iserver/marketdata/unsubscribe", {"conid": STOCK.conid}).data == {"error": "unknown"}
    assert ["31" in row for row in trader.get(path).data] == [False, True]
    assert trader.get(f"{API}/iserver/marketdata/unsubscribeall").data == {"unsubscribed": True}
    assert ["31" in row for row in trader.get(path).data] == [False, False]


def test_an_unknown_contract_never_gets_fields(trader: Caller) -> None:
    path = f"{API}/iserver/marketdata/snapshot?conids=42&fields=31"
    assert ["31" in trader.get(path).data[0] for _ in range(3)] == [False] * 3


@pytest.mark.parametrize(
    "query",
    [
        "",
        "conids=",
        "conids=a",
        "conids=" + ",".join(str(number) for number in range(101)),
        "conids=1&fields=" + ",".join(str(number) for number in range(51)),
    ],
)
def test_snapshots_have_limits(trader: Caller, query: str) -> None:
    assert trader.get(f"{API}/iserver/marketdata/snapshot?{query}").status == 400


def test_a_snapshot_needs_accounts_first(simulator: Simulator) -> None:
    caller = Caller(simulator.port, token=simulator.control.login("demo-trader"))
    caller.post(f"{API}/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    assert "first" in caller.get(f"{API}/iserver/marketdata/snapshot?conids=1").data["error"]


@pytest.mark.parametrize(
    ("query", "count"), [("period=1d&bar=1h", 24), ("period=1w&bar=1d", 7), ("period=15y&bar=1d", 1000)]
)
def test_histories_end_with_the_price(trader: Caller, query: str, count: int) -> None:
    answer = trader.get(f"{API}{HISTORY}&{query}").data
    assert (len(answer["data"]), answer["points"]) == (count, count - 1)
    assert answer["data"][-1]["c"] == round(STOCK.price, 2)
    times = [one["t"] for one in answer["data"]]
    assert {after - before for before, after in pairwise(times)} == {answer["barLength"] * 1000}


@pytest.mark.parametrize(
    "query",
    ["period=1f", "period=2000d", "bar=7min", "startTime=today", "direction=1", "conid=42", "period=0d"],
)
def test_impossible_histories_get_a_500(trader: Caller, query: str) -> None:
    path = HISTORY if "conid" not in query else "/iserver/marketdata/history?"
    answer = trader.get(f"{API}{path}&{query}")
    assert (answer.status, list(answer.data)) == (500, ["error"])


def test_a_history_may_fail_at_first(simulator: Simulator, trader: Caller) -> None:
    simulator.control.behaviour(cold_history=True)
    assert [trader.get(API + HISTORY).status for _ in range(2)] == [500, 200]


def test_the_sixth_history_at_once_is_one_too_many(simulator: Simulator, trader: Caller) -> None:
    simulator.control.limits(enabled=True, per_second=100)
    simulator.control.behaviour(history_ms=3000)
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: trader.get(API + HISTORY).status, range(6)))
    assert sorted(statuses) == [200] * 5 + [429]


def test_a_chain_leads_to_the_held_option(trader: Caller) -> None:
    """Search, strikes, contracts: the numbers are those of the positions."""
    conid = OPTION.underlying
    query = f"conid={conid}&sectype=OPT&month=JUN27"
    assert trader.get(f"{API}/iserver/secdef/strikes?{query}").data == {"call": [], "put": []}
    found = trader.get(f"{API}/iserver/secdef/search?symbol={OPTION.ticker}").data
    assert found[0]["conid"] == str(conid)
    assert OPTION.strike in trader.get(f"{API}/iserver/secdef/strikes?{query}").data["call"]
    chain = trader.get(f"{API}/iserver/secdef/info?{query}&strike={OPTION.strike:g}&right={OPTION.right}").data
    assert [one["conid"] for one in chain] == [OPTION.conid]
    everything = trader.get(f"{API}/iserver/secdef/info?{query}").data
    assert len(everything) == 22
    for one in everything:
        assert trader.get(f"{API}/iserver/contract/{one['conid']}/info").data["underlying_con_id"] == conid


def test_futures_are_those_held(trader: Caller) -> None:
    rows = trader.get(f"{API}/trsrv/futures?symbols={FUTURE.ticker},XX").data
    assert rows["XX"] == []
    assert FUTURE.conid in [row["conid"] for row in rows[FUTURE.ticker]]
    assert {type(row["expirationDate"]) for row in rows[FUTURE.ticker]} == {int}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/trsrv/secdef?conids=42", 204, None),
        ("/trsrv/stocks?symbols=XX", 200, {"XX": []}),
        ("/iserver/secdef/search?symbol=XX", 200, []),
        ("/iserver/secdef/search", 400, None),
        ("/iserver/contract/42/info", 500, {"error": "Contract not found"}),
        ("/iserver/contract/42/algos", 503, None),
        ("/iserver/secdef/bond-filters?symbol=B&issuerId=e1", 200, {"bondFilters": []}),
        ("/iserver/secdef/strikes?conid=1", 400, None),
        ("/iserver/exchangerate?source=EUR&target=XXX", 400, None),
        ("/iserver/exchangerate?source=EUR&target=EUR", 200, {"rate": 1}),
        ("/contract/trading-schedule?conid=42", 500, {"error": "Contract not found"}),
    ],
)
def test_what_is_not_there(trader: Caller, path: str, status: int, body: Any) -> None:
    answer = trader.get(API + path)
    assert answer.status == status
    assert body is None or answer.data == body


def test_reads_that_are_sent_as_post(trader: Caller) -> None:
    assert trader.post(f"{API}/iserver/secdef/search", {"symbol": STOCK.ticker}).data[0]["conid"] == str(STOCK.conid)
    assert trader.post(f"{API}/trsrv/secdef", {"conids": [STOCK.conid]}).data["secdef"][0]["ticker"] == STOCK.ticker
    rules = trader.post(f"{API}/iserver/contract/rules", {"conid": STOCK.conid, "isBuy": True}).data
    assert (rules["error"], rules["canTradeAcctIds"]) == (None, [ACCOUNT])
    assert trader.post(f"{API}/iserver/contract/rules", {"conid": 42}).data["error"]


def test_the_same_seed_gives_the_same_contracts() -> None:
    """However the catalogue grew; every contract is found by its number, derivatives too."""
    one, other = Catalogue(7), Catalogue(7)
    one.grow(200)
    for count in range(0, 201, 20):
        other.grow(count)
    assert one.grow(200) == other.grow(200) != Catalogue(8).grow(200)
    chains = [chain for item in one.searchable() if (chain := one.chain(item.conid))]
    derived = [item for chain in chains for item in chain.all()]
    everything = [*one.searchable(), *derived]
    assert len({item.conid for item in everything}) == len(everything)
    assert all(one.contract(item.conid) == item for item in everything)
    assert {item.conid for item in one.grow(200)} <= {item.conid for item in everything}


def test_every_position_is_a_known_contract(trader: Caller) -> None:
    trader.get(f"{API}/portfolio/accounts")
    rows = trader.get(f"{API}/portfolio2/{ACCOUNT}/positions").data
    conids = ",".join(row["conid"] for row in rows)
    assert len(trader.get(f"{API}/trsrv/secdef?conids={conids}").data["secdef"]) == len(rows) == 400
