"""The portfolio family beyond positions and balances, and PortfolioAnalyst: shapes, quirks, numbers as IBKR writes."""

import time
from typing import Any, get_args

import pytest

from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.settings import Oddity
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.caller import Caller
from tests.support.shapes import pick, require_keys

ACCOUNT, SECOND = ACCOUNTS = account_numbers("U1234567", 2)
API = "/v1/api"

pytestmark = pytest.mark.simulator(accounts=ACCOUNTS, positions=240)


@pytest.fixture
def reader(reader: Caller) -> Caller:
    """Past the preflight."""
    reader.get(f"{API}/portfolio/accounts")
    return reader


@pytest.mark.parametrize(
    ("path", "where", "keys"),
    [
        ("/portfolio/subaccounts", "0", "id accountId accountStatus faclient parent clearingStatus desc"),
        ("/portfolio/subaccounts2?page=0", "", "metadata subaccounts"),
        (f"/portfolio/{ACCOUNT}/meta", "", "id accountId brokerageAccess parent currency"),
        (f"/portfolio/{ACCOUNT}/summary", "cushion", "amount currency isNull timestamp value severity"),
        (f"/portfolio/{ACCOUNT}/ledger", "BASE", "cashbalance exchangerate netliquidationvalue secondkey endofbundle"),
        (f"/portfolio/{ACCOUNT}/allocation", "", "assetClass sector group"),
        (f"/portfolio/{ACCOUNT}/combo/positions", "0", "name description legs positions"),
        (f"/portfolio2/{ACCOUNT}/positions", "0", "conid description marketPrice secType isLastToLoq timestamp"),
    ],
)
def test_shapes(reader: Caller, path: str, where: str, keys: str) -> None:
    require_keys(pick(reader.get(API + path).data, where), keys)


def test_an_instrument_is_the_same_in_all_accounts(reader: Caller) -> None:
    """Keyed by account, futures by the account's segment for commodities; or a list, where sources disagree."""
    first, second = (Account(name, seed=1, count=240, index=index).by_conid for index, name in enumerate(ACCOUNTS))
    both = [item for conid, item in first.items() if conid in second]
    assert len(both) == 216
    stock = next(item.conid for item in both if item.asset_class == "STK")
    future = next(item.conid for item in both if item.asset_class == "FUT")
    found = reader.get(f"{API}/portfolio/positions/{stock}").data
    assert list(found) == [ACCOUNT, SECOND]
    assert len({entry[0]["contractDesc"] for entry in found.values()}) == 1
    assert len({entry[0]["position"] for entry in found.values()}) == 2
    assert list(reader.get(f"{API}/portfolio/positions/{future}").data) == [f"{ACCOUNT}C", f"{SECOND}C"]
    assert reader.get(f"{API}/portfolio/positions/42").data == {}


def test_a_position_list_where_sources_disagree(simulator: Simulator, reader: Caller) -> None:
    simulator.control.behaviour(position_shape="list", subaccounts="array")
    conid = reader.get(f"{API}/portfolio/{ACCOUNT}/positions/0").data[0]["conid"]
    assert [row["acctId"] for row in reader.get(f"{API}/portfolio/positions/{conid}").data] == [ACCOUNT]
    assert len(reader.get(f"{API}/portfolio/subaccounts2?page=0").data) == 2
    simulator.control.behaviour(subaccounts="object")
    assert reader.get(f"{API}/portfolio/subaccounts2").data["metadata"]["total"] == 2


def test_older_builds_have_shorter_pages_and_records(simulator: Simulator, reader: Caller) -> None:
    simulator.control.behaviour(page_size=30, older_records=True)
    path = f"{API}/portfolio/{ACCOUNT}/positions/"
    assert [len(reader.get(path + page).data) for page in ("0", "7", "8")] == [30, 30, 0]
    assert reader.get(path + "0").data[0]["pageSize"] == 30
    assert "brokerageAccess" not in reader.get(f"{API}/portfolio/accounts").data[0]


def test_numbers_betray_who_writes_them_anew(reader: Caller) -> None:
    """Zeros at the end, exponents, a whole number that no double holds, whole numbers where others have a point."""
    ledger = reader.get(f"{API}/portfolio/{ACCOUNT}/ledger").body
    for text in (b'"interest":1.20', b'E4,"exchangerate"', b'"sequence":9007199254740993', b'"exchangerate":1,'):
        assert text in ledger
    assert b'.00,"currency"' in reader.get(f"{API}/portfolio/{ACCOUNT}/positions/0").body


@pytest.mark.parametrize("oddity", get_args(Oddity))
def test_odd_positions_are_held_besides(simulator: Simulator, reader: Caller, oddity: Oddity) -> None:
    """In every form; and the balances are those of a portfolio that has them."""
    path = f"{API}/portfolio/{ACCOUNT}"
    plain = reader.get(f"{path}/summary").data["netliquidation"]["amount"]
    simulator.control.behaviour(oddities=[oddity], page_size=1000)
    rows, fresh = reader.get(f"{path}/positions/0").data[240:], reader.get(f"{API}/portfolio2/{ACCOUNT}/positions").data
    assert len(rows) > 0
    assert [str(row["conid"]) for row in rows] == [row["conid"] for row in fresh[240:]]
    assert [row["mktValue"] for row in rows] == [row["marketValue"] for row in fresh[240:]]
    ledger = reader.get(f"{path}/ledger").data
    worth = reader.get(f"{path}/summary").data["netliquidation"]["amount"]
    assert ledger["BASE"]["netliquidationvalue"] == pytest.approx(worth, abs=0.1)
    added = sum(one["netliquidationvalue"] * one["exchangerate"] for name, one in ledger.items() if name != "BASE")
    assert added == pytest.approx(worth, abs=0.1)
    is_worth = oddity in {"classes", "money-fund", "texts", "models", "entities"}
    assert (worth > plain + 1) is is_worth


def test_accounts_have_base_currencies_in_turn(simulator: Simulator, reader: Caller) -> None:
    simulator.control.behaviour(base_currencies=["EUR", "USD"])
    assert [one["currency"] for one in reader.get(f"{API}/portfolio/accounts").data] == ["EUR", "USD"]
    assert reader.get(f"{API}/portfolio/{SECOND}/summary").data["netliquidation"]["currency"] == "USD"
    ledger = reader.get(f"{API}/portfolio/{SECOND}/ledger").data
    assert (ledger["USD"]["exchangerate"], ledger["EUR"]["exchangerate"]) == (1, 1.086957)
    answer = reader.post(f"{API}/pa/performance", {"acctIds": [SECOND], "period": "1M"}).data
    assert answer["nav"]["data"][0]["baseCurrency"] == "USD"


def test_performance_ends_with_what_the_account_is_worth(reader: Caller) -> None:
    answer = reader.post(f"{API}/pa/performance", {"acctIds": [ACCOUNT], "period": "1M"}).data
    require_keys(answer, "currencyType pm nd rc id included cps tpps nav")
    nav, cps = answer["nav"], answer["cps"]
    assert len(nav["dates"]) == len(nav["data"][0]["navs"]) == len(cps["data"][0]["returns"]) == answer["nd"]
    assert nav["data"][0]["navs"][-1] == Account(ACCOUNT, seed=1, count=240).net_liquidation
    expected = nav["data"][0]["navs"][-1] / nav["data"][0]["startNAV"]["val"] - 1
    assert cps["data"][0]["returns"][-1] == pytest.approx(expected, abs=1e-6)
    months = 1.0
    for one in answer["tpps"]["data"][0]["returns"]:
        months *= 1 + one
    assert months - 1 == pytest.approx(expected, abs=1e-5)


def test_several_accounts_are_consolidated(reader: Caller) -> None:
    def last(*accounts: str) -> float:
        body = {"acctIds": list(accounts), "period": "7D"}
        navs: list[float] = reader.post(f"{API}/pa/performance", body).data["nav"]["data"][0]["navs"]
        return navs[-1]

    assert last(ACCOUNT, SECOND) == pytest.approx(last(ACCOUNT) + last(SECOND))


@pytest.mark.parametrize("period", ["1D", "7D", "MTD", "1M", "YTD", "1Y"])
def test_all_periods_agree_with_each(reader: Caller, period: str) -> None:
    every = reader.post(f"{API}/pa/allperiods", {"acctIds": [ACCOUNT]}).data
    one = reader.post(f"{API}/pa/performance", {"acctIds": [ACCOUNT], "period": period}).data
    assert period in every[ACCOUNT]["periods"]
    assert every[ACCOUNT][period]["nav"] == one["nav"]["data"][0]["navs"]
    assert every[ACCOUNT][period]["dates"] == one["nav"]["dates"]


def test_transactions_are_of_one_contract(reader: Caller) -> None:
    conid = reader.get(f"{API}/portfolio/{ACCOUNT}/positions/0").data[20]["conid"]
    body = {"acctIds": [ACCOUNT], "conids": [conid], "currency": "USD", "days": 180}
    answer = reader.post(f"{API}/pa/transactions", body).data
    require_keys(answer, "rc nd id currency from to includesRealTime rpnl transactions")
    assert {row["conid"] for row in answer["transactions"]} == {conid}
    assert all(row["amt"] < 0 for row in answer["transactions"] if row["type"] == "Buy")
    sold = [row for row in answer["transactions"] if row["type"] == "Sell"]
    assert len(answer["rpnl"]["data"]) == len(sold)
    assert isinstance(answer["rpnl"]["amt"], str)
    fewer = reader.post(f"{API}/pa/transactions", {**body, "days": 30}).data
    assert len(fewer["transactions"]) < len(answer["transactions"])
    assert reader.post(f"{API}/pa/transactions", {**body, "conids": [42]}).data["transactions"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("performance", {"acctIds": [ACCOUNT], "period": "2W"}),
        ("performance", {"acctIds": [ACCOUNT]}),
        ("performance", {"acctIds": ["U7777777"], "period": "1D"}),
        ("performance", {"acctIds": [ACCOUNT, "U7777777"], "period": "1D"}),
        ("performance", [ACCOUNT]),
        ("allperiods", {}),
        ("allperiods", {"acctIds": []}),
        ("transactions", {"acctIds": [ACCOUNT], "conids": [], "currency": "USD"}),
        ("transactions", {"acctIds": [ACCOUNT], "conids": [1, 2], "currency": "USD"}),
        ("transactions", {"acctIds": [ACCOUNT], "conids": [1], "currency": "XXX"}),
    ],
)
def test_wrong_questions_to_the_analyst_get_a_400(reader: Caller, path: str, body: Any) -> None:
    answer = reader.post(f"{API}/pa/{path}", body)
    assert answer.status == 400
    assert answer.data["statusCode"] == 400


def test_the_analyst_may_be_slow(simulator: Simulator, reader: Caller) -> None:
    simulator.control.behaviour(analyst_ms=300)
    began = time.monotonic()
    assert "view" in reader.post(f"{API}/pa/allperiods", {"acctIds": [ACCOUNT]}).data
    assert time.monotonic() - began >= 0.3
