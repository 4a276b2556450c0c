"""Watchlists, alerts, scanners, notifications, advisors, event contracts, personal data: shapes and quirks."""

from typing import Any

import pytest

from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.catalogue import catalogue
from ibkr_tools.simulator.forecast_routes import FIRST, UNDERLYING
from ibkr_tools.simulator.fyi_routes import NOTIFICATIONS
from ibkr_tools.simulator.lists_routes import FIRST_ALERT
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.caller import Caller
from tests.support.shapes import pick, require_keys

ACCOUNT, SECOND = ACCOUNTS = account_numbers("U1234567", 2)
API = "/v1/api"
SCAN = {"instrument": "STK", "type": "TOP_PERC_GAIN", "location": "STK.US.MAJOR"}
MODEL = {"reqID": 7, "model": "Sample-Model"}

pytestmark = pytest.mark.simulator(accounts=ACCOUNTS, positions=120)


@pytest.mark.parametrize(
    ("path", "where", "keys"),
    [
        ("/iserver/watchlists?SC=USER_WATCHLIST", "data.user_lists.0", "id name modified type read_only is_open"),
        ("/iserver/watchlist?id=99999", "", "id hash name readOnly instruments"),
        (f"/iserver/account/{ACCOUNT}/alerts", "0", "order_id account alert_name alert_active order_time"),
        (f"/iserver/account/alert/{FIRST_ALERT}?type=Q", "conditions.0", "condition_type conidex condition_value"),
        ("/iserver/account/mta", "", "alert_mta_defaults alert_mta_currency order_id conditions tif tool_id"),
        ("/iserver/scanner/params", "", "scan_type_list instrument_list filter_list location_tree"),
        ("/fyi/unreadnumber", "", "BN"),
        ("/fyi/settings", "0", "FC H A FD FN"),
        ("/fyi/disclaimer/BA", "", "FC DT"),
        ("/fyi/deliveryoptions", "E.0", "NM I UI A"),
        ("/fyi/notifications?max=10", "0", "R D MS MD ID HT FC"),
        ("/forecast/category/tree", "categories.*", "name markets"),
        (f"/forecast/contract/market?underlyingConid={UNDERLYING}", "contracts.0", "conid side strike expiration"),
        (f"/forecast/contract/details?conid={FIRST}", "", "conid_yes conid_no question payout strike_label"),
        (f"/forecast/contract/rules?conid={FIRST}", "", "threshold payout last_trade_time source_agency"),
        (f"/forecast/contract/schedules?conid={FIRST}", "trading_schedules.0", "day_of_week trading_times"),
        (f"/acesws/{ACCOUNT}/signatures-and-owners", "users.0.entity", "firstName lastName entityType dateOfBirth"),
        ("/one/user", "", "username uar accts fa applicants"),
    ],
)
def test_shapes(trader: Caller, path: str, where: str, keys: str) -> None:
    answer = trader.get(API + path)
    assert answer.status == 200
    require_keys(pick(answer.data, where), keys)


@pytest.mark.parametrize(
    ("path", "body", "where", "keys"),
    [
        ("/iserver/account/allocation/accounts", None, "accounts.0.data.0", "key value"),
        ("/iserver/account/allocation/group", None, "data.0", "allocation_method size name"),
        ("/iserver/account/allocation/group/single", {"name": "Group_1_NetLiq"}, "", "name accounts default_method"),
        ("/iserver/account/allocation/presets", None, "", "default_method_for_all strict_credit_check"),
        ("/fa/fa-preset/get", {"reqID": 7}, "", "reqID keepModelOpen useToleranceRange"),
        ("/fa/model/list", {"reqID": 7}, "models.0", "model nlv numAccounts desc"),
        ("/fa/model/summary", MODEL, "", "reqID model nlv numAccounts subscriptionStatus"),
        ("/fa/model/positions", {**MODEL, "limit": 3}, "positionList.2", "conid target actual mv"),
        ("/fa/model/accounts-details", MODEL, "accountInfoList.2", "account nlv costBasis"),
        ("/fa/model/invest-divest-positions", MODEL, "accountList.0", "account nlv cashInIndependentNlv"),
    ],
)
def test_shapes_for_advisors_and_nobody_else(
    advisor: Caller, trader: Caller, path: str, body: Any, where: str, keys: str
) -> None:
    method = "GET" if body is None else "POST"
    answer = advisor.call(method, API + path, body)
    require_keys(pick(answer.data, where), keys)
    assert body is None or "reqID" not in body or answer.data["reqID"] == 7
    assert trader.call(method, API + path, body).status == 503


@pytest.mark.parametrize("path", ["group/single", "model/summary", "model/positions", "model/accounts-details"])
def test_advisors_ask_for_what_there_is(advisor: Caller, path: str) -> None:
    path = f"/iserver/account/allocation/{path}" if path.startswith("group") else f"/fa/{path}"
    assert advisor.post(API + path, {"name": "none", "model": "none"}).status == 400


def test_a_watchlist_is_short_at_first(trader: Caller) -> None:
    path = f"{API}/iserver/watchlist?id=99999"
    first, again = (trader.get(path).data["instruments"] for _ in range(2))
    assert set(first[0]) == {"ST", "C"}
    require_keys(again[0], "ST C conid name fullName assetClass ticker chineseName")
    held = Account(SECOND, seed=1, count=120, index=1).by_conid
    assert all(row["conid"] in held for row in again)
    assert trader.get(f"{API}/iserver/watchlist?id=1").status == 503


def test_an_unknown_alert_is_an_error_with_200(trader: Caller) -> None:
    answer = trader.get(f"{API}/iserver/account/alert/0?type=Q")
    assert (answer.status, answer.data["error"]) == (200, "Alert not found")
    assert trader.get(f"{API}/iserver/account/alert/0").status == 400
    assert trader.get(f"{API}/iserver/account/U7777777/alerts").status == 400


def test_scanners_filter_and_have_an_end(trader: Caller) -> None:
    everything = trader.post(f"{API}/iserver/scanner/run", SCAN).data
    require_keys(everything["contracts"][0], "server_id column_name symbol conidex con_id listing_exchange sec_type")
    assert len(everything["contracts"]) == 50
    dear, none = (
        trader.post(f"{API}/iserver/scanner/run", {**SCAN, "filter": [{"code": "priceAbove", "value": price}]}).data
        for price in (880, 900)
    )
    price_of = {one.conid: one.price for one in catalogue(1).searchable()}
    assert dear["contracts"]
    assert all(price_of[row["con_id"]] >= 880 for row in dear["contracts"])
    assert none["contracts"] == []
    assert trader.post(f"{API}/iserver/scanner/run", {**SCAN, "location": ""}).status == 400
    assert trader.post(f"{API}/iserver/scanner/run", {**SCAN, "type": "NONE"}).status == 500


def test_notifications_go_on_after_the_last_one(trader: Caller) -> None:
    rows = trader.get(f"{API}/fyi/notifications?max=10").data
    while page := trader.get(f"{API}/fyi/notifications/more?id={rows[-1]['ID']}").data:
        assert len(page) <= 10
        rows += page
    assert len({row["ID"] for row in rows}) == len(rows) == NOTIFICATIONS
    assert isinstance(rows[0]["D"], str)
    assert trader.get(f"{API}/fyi/notifications/more?id=1").data == []


@pytest.mark.parametrize(("query", "kinds"), [("include=BA,DA", {"BA", "DA"}), ("exclude=BA,DA,EA,MF,OE,PT", {"SM"})])
def test_notifications_are_chosen_by_kind(trader: Caller, query: str, kinds: set[str]) -> None:
    assert {row["FC"] for row in trader.get(f"{API}/fyi/notifications?max=10&{query}").data} == kinds


@pytest.mark.parametrize("query", ["", "?max=11", "?max=0", "?max=many"])
def test_at_most_ten_notifications(trader: Caller, query: str) -> None:
    assert trader.get(f"{API}/fyi/notifications{query}").status == 400


def test_the_unread_number_may_be_locked_for_five_minutes(simulator: Simulator, trader: Caller) -> None:
    simulator.control.behaviour(unread_locked=True)
    assert [trader.get(f"{API}/fyi/unreadnumber").status for _ in range(2)] == [200, 423]
    simulator.control.advance(300)
    assert trader.get(f"{API}/fyi/unreadnumber").data == {"BN": 4}


@pytest.mark.parametrize("path", ["market?underlyingConid=1", "details?conid=1", "rules", "schedules?conid=x"])
def test_unknown_event_contracts(trader: Caller, path: str) -> None:
    assert trader.get(f"{API}/forecast/contract/{path}").data == {"error": "Contract not found"}


def test_only_the_brokerage_part_needs_the_tier(simulator: Simulator) -> None:
    reader = Caller(simulator.port, token=simulator.control.login("demo-reader"))
    for path, status in {
        "/fyi/settings": 200,
        "/forecast/category/tree": 200,
        "/trsrv/stocks?symbols=A": 200,
        "/iserver/watchlists": 400,
        "/iserver/scanner/params": 400,
        "/iserver/account/mta": 400,
    }.items():
        assert reader.get(API + path).status == status, path
    assert reader.post(f"{API}/fa/model/list", {"reqID": 1}).status == 400
