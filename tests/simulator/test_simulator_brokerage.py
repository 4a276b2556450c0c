"""Accounts, orders, trades, P&L and balances of the brokerage tier; traps for whatever would change something."""

from contextlib import AbstractContextManager, closing
from typing import Any

import pytest
import websocket

from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.caller import Caller
from tests.support.shapes import pick, require_keys
from tests.support.simulation import wait_until

ACCOUNT, SECOND = ACCOUNTS = account_numbers("U1234567", 2)
API = "/v1/api"
OPEN = {"publish": True, "compete": True}
SUMMARY = f"/iserver/account/{ACCOUNT}/summary"

pytestmark = pytest.mark.simulator(accounts=ACCOUNTS, positions=120)


@pytest.fixture
def warm(simulator: Simulator, trader: Caller) -> Caller:
    """The same, past the preflight, and IBKR's caches are full."""
    simulator.control.behaviour(cold_brokerage=False)
    trader.get(f"{API}/iserver/accounts")
    return trader


def socket_of(simulator: Simulator, caller: Caller) -> AbstractContextManager[Any]:
    """Open the WebSocket of a session; the end of the block closes it."""
    url = f"ws://127.0.0.1:{simulator.port}{API}/ws"
    return closing(websocket.create_connection(url, cookie=f"XYZAB={caller.token}", timeout=5))


@pytest.mark.parametrize(
    ("path", "where", "keys"),
    [
        ("/iserver/accounts", "", "accounts acctProps aliases allowFeatures chartPeriods selectedAccount sessionId"),
        ("/iserver/account/trades", "0", "execution_id side trade_time_r size price commission net_amount conidEx"),
        ("/iserver/account/orders", "orders.0", "acct conid orderId status remainingQuantity timeInForce side"),
        ("/iserver/account/order/status/200000001", "", "order_id order_status average_price size_and_fills tif"),
        ("/iserver/account/pnl/partitioned", f"upnl.{ACCOUNT}.Core", "rowType dpl nl upl uel el mv"),
        (SUMMARY, "", "netLiquidationValue cashBalances SMA totalCashValue accountType"),
        (f"{SUMMARY}/available_funds", "total", "current_available current_excess buying_power leverage"),
        (f"{SUMMARY}/balances", "Crypto at Paxos", "net_liquidation equity_with_loan cash"),
        (f"{SUMMARY}/margins", "commodities", "current_initial current_maint"),
        (f"{SUMMARY}/market_value", "*", "total_cash stock options futures net_liquidation unrealized_pnl"),
    ],
)
def test_shapes(warm: Caller, path: str, where: str, keys: str) -> None:
    data = warm.get(API + path).data
    data = data["upnl"][f"{ACCOUNT}.Core"] if where.startswith("upnl") else pick(data, where)
    require_keys(data, keys)


@pytest.mark.parametrize("path", ["trades", "orders", "order/status/200000001"])
@pytest.mark.parametrize("status", [500, 400])
def test_accounts_come_first(simulator: Simulator, trader: Caller, path: str, status: int) -> None:
    simulator.control.behaviour(preflight_status=status)
    answer = trader.get(f"{API}/iserver/account/{path}")
    assert (answer.status, answer.data["error"]) == (status, "Please query /accounts first")
    trader.get(f"{API}/iserver/accounts")
    assert trader.get(f"{API}/iserver/account/{path}").status in (200, 503)


@pytest.mark.parametrize(
    ("path", "empty"),
    [("trades", []), ("orders", {"orders": [], "snapshot": False}), ("pnl/partitioned", {"upnl": {}})],
)
def test_first_answers_are_empty(trader: Caller, path: str, empty: object) -> None:
    trader.get(f"{API}/iserver/accounts")
    assert trader.get(f"{API}/iserver/account/{path}").data == empty
    assert trader.get(f"{API}/iserver/account/{path}").data != empty


def test_accounts_may_be_missing_at_first(simulator: Simulator, trader: Caller) -> None:
    simulator.control.behaviour(cold_accounts=True)
    assert trader.get(f"{API}/portfolio/accounts").data == []
    assert [len(trader.get(f"{API}/iserver/accounts").body) > 0 for _ in range(2)] == [False, True]
    assert len(trader.get(f"{API}/portfolio/accounts").data) == 2


def test_profit_may_stay_empty_until_a_socket_asked(simulator: Simulator, warm: Caller) -> None:
    simulator.control.behaviour(pnl_needs_spl=True)
    path = f"{API}/iserver/account/pnl/partitioned"
    assert [warm.get(path).data for _ in range(3)] == [{"upnl": {}}] * 3
    with socket_of(simulator, warm) as socket:
        socket.send("spl+{}")
        wait_until(lambda: bool(warm.get(path).data["upnl"]))


def test_the_socket_has_its_traps(simulator: Simulator, warm: Caller) -> None:
    before = simulator.control.state()["mutations"]
    with socket_of(simulator, warm) as socket:
        socket.send("shs+exercise+{}")
        socket.send("inp+exercise+{}")
        wait_until(lambda: simulator.control.state()["mutations"] == before + 2)


@pytest.mark.parametrize(
    ("variant", "status", "body"),
    [
        ("no-bridge", 400, b'{"error":"Bad Request: no bridge","statusCode":400}'),
        ("init-first", 400, b'{"error":"Init session first","statusCode":400}'),
        ("401", 401, b""),
        ("503", 503, b""),
    ],
)
def test_without_the_tier_there_is_no_bridge(simulator: Simulator, variant: str, status: int, body: bytes) -> None:
    simulator.control.behaviour(no_bridge=variant)
    reader = Caller(simulator.port, token=simulator.control.login("demo-reader"))
    for path in ("/iserver/accounts", "/iserver/account/orders", SUMMARY, "/iserver/unheard-of"):
        answer = reader.get(API + path)
        assert (answer.status, answer.body) == (status, body), path


def test_while_another_session_competes_there_is_nothing(simulator: Simulator, warm: Caller) -> None:
    simulator.control.compete()
    assert warm.get(f"{API}/iserver/accounts").data == {}
    assert warm.get(f"{API}/iserver/account/trades").data == {}


def test_a_new_tier_knows_nothing_of_the_old(simulator: Simulator, warm: Caller) -> None:
    simulator.control.drop(tier="brokerage")
    warm.post(f"{API}/iserver/auth/ssodh/init", OPEN)
    assert "first" in warm.get(f"{API}/iserver/account/orders").data["error"]


def test_trades_are_of_so_many_days_and_of_held_contracts(warm: Caller) -> None:
    def count(query: str) -> int:
        return len(warm.get(f"{API}/iserver/account/trades{query}").data)

    assert count("") == count("?days=1") < count("?days=3") < count("?days=7")
    assert warm.get(f"{API}/iserver/account/trades?days=8").status == 400
    rows = warm.get(f"{API}/iserver/account/trades?days=7").data
    held = {ACCOUNT: Account(ACCOUNT, seed=1, count=120), SECOND: Account(SECOND, seed=1, count=120, index=1)}
    assert all(row["conid"] in held[row["account"]].by_conid for row in rows)
    assert len({row["execution_id"] for row in rows}) == len(rows)
    assert isinstance(rows[0]["price"], str)
    assert isinstance(rows[0]["size"], float)


def test_orders_are_filtered_and_forgotten_on_request(warm: Caller) -> None:
    path = f"{API}/iserver/account/orders"
    assert len(warm.get(path).data["orders"]) == 10
    assert {row["status"] for row in warm.get(f"{path}?filters=Filled,submitted").data["orders"]} == {
        "Filled",
        "Submitted",
    }
    assert {row["acct"] for row in warm.get(f"{path}?accountId={SECOND}").data["orders"]} == {SECOND}
    assert warm.get(f"{path}?accountId=U7777777").status == 400
    assert warm.get(f"{path}?force=true").data == {"orders": [], "snapshot": False}
    assert warm.get(path).data["snapshot"] is True


def test_an_order_is_unknown_before_the_list(trader: Caller) -> None:
    trader.get(f"{API}/iserver/accounts")
    path = f"{API}/iserver/account/order/status/200000001"
    assert trader.get(path).status == 503
    trader.get(f"{API}/iserver/account/orders")
    assert trader.get(path).data["order_id"] == 200000001
    assert trader.get(f"{API}/iserver/account/order/status/42").status == 503


def test_balances_of_both_tiers_agree(warm: Caller) -> None:
    warm.get(f"{API}/portfolio/accounts")
    total = warm.get(f"{API}/portfolio/{ACCOUNT}/summary").data["netliquidation"]["amount"]
    assert warm.get(API + SUMMARY).data["netLiquidationValue"] == total
    assert warm.get(f"{API}{SUMMARY}/balances").data["total"]["net_liquidation"] == f"{total:,.0f} EUR"
    rows = warm.get(f"{API}{SUMMARY}/market_value").data
    assert float(rows["Total (in EUR)"]["net_liquidation"].replace(",", "")) == pytest.approx(total, abs=1)
    assert warm.get(f"{API}/iserver/account/pnl/partitioned").data["upnl"][f"{ACCOUNT}.Core"]["nl"] == total
    assert warm.get(f"{API}/iserver/account/U7777777/summary").data["error"].endswith("accountId is not valid")


def test_only_advisors_search_for_accounts(simulator: Simulator, warm: Caller) -> None:
    assert warm.get(f"{API}/iserver/account/search/U1").status == 503
    advisor = Caller(simulator.port, token=simulator.control.login("demo-advisor"))
    advisor.post(f"{API}/iserver/auth/ssodh/init", OPEN)
    found = advisor.get(f"{API}/iserver/account/search/U1").data
    assert [one["accountId"] for one in found["matchedAccounts"]] == list(ACCOUNTS)
    accounts = advisor.get(f"{API}/portfolio/subaccounts").data
    assert [one["id"] for one in accounts] == ["F1234567", *ACCOUNTS]
    assert accounts[1]["parent"]["mmc"] == ["F1234567"]
    assert advisor.get(f"{API}/portfolio/F1234567/positions/0").data == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/iserver/account/{ACCOUNT}/orders"),
        ("POST", f"/iserver/account/{ACCOUNT}/orders/whatif"),
        ("POST", f"/iserver/account/{ACCOUNT}/order/1"),
        ("DELETE", f"/iserver/account/{ACCOUNT}/order/1"),
        ("POST", "/iserver/reply/a"),
        ("POST", "/iserver/account"),
        ("DELETE", "/iserver/watchlist?id=1"),
        ("PUT", "/fyi/deliveryoptions/email"),
        ("GET", "/md/regsnapshot?conid=1"),
        ("GET", "/gw/api/v1/accounts"),
        ("POST", "/unheard-of"),
        ("DELETE", "/portfolio/accounts"),
        ("POST", f"/portfolio/{ACCOUNT}/ledger"),
    ],
)
def test_what_would_change_something_is_refused_and_counted(
    simulator: Simulator, trader: Caller, method: str, path: str
) -> None:
    """Even from somebody without a session."""
    before = simulator.control.state()["mutations"]
    assert trader.call(method, API + path, {}).status in (403, 404)
    assert Caller(simulator.port).call(method, API + path, {}).status == 401
    assert simulator.control.state()["mutations"] == before + 2


def test_reads_and_session_control_are_not_counted(simulator: Simulator, trader: Caller) -> None:
    before = simulator.control.state()["mutations"]
    trader.post(f"{API}/tickle")
    trader.post(f"{API}/pa/allperiods", {"acctIds": [ACCOUNT]})
    trader.get(f"{API}/iserver/unheard-of")
    trader.post(f"{API}/logout")
    assert simulator.control.state()["mutations"] == before
