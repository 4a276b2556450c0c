"""The simulator's REST answers have the shapes and oddities that IBKR's have."""

import socket
from datetime import timedelta

import pytest

from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.caller import Caller
from tests.support.simulation import simulator_options

ACCOUNT = "U1234567"

pytestmark = pytest.mark.simulator(accounts=account_numbers(ACCOUNT, 25), positions=201)


@pytest.fixture
def trader(simulator: Simulator) -> Caller:
    """Whose brokerage tier is not open yet."""
    return Caller(simulator.port, token=simulator.control.login("demo-trader"))


def test_without_a_session_everything_is_401_without_a_body(simulator: Simulator) -> None:
    for path in ("/tickle", "/sso/validate", "/portfolio/accounts", "/iserver/accounts", "/iserver/auth/status"):
        answer = Caller(simulator.port, token="unknown").get("/v1/api" + path)
        assert (answer.status, answer.body) == (401, b""), path


@pytest.mark.parametrize("prefix", ["/v1/api", "/v1/portal"])
def test_both_prefixes_serve_the_same(reader: Caller, prefix: str) -> None:
    assert reader.get(prefix + "/sso/validate").data["RESULT"] is True
    assert reader.post(prefix + "/tickle").data["ssoExpires"] > 590_000


def test_read_only_user_never_gets_brokerage(reader: Caller) -> None:
    """State S4: portfolio answers, brokerage is refused in every way there is to ask."""
    body = {"publish": True, "compete": True}
    assert "error" in reader.post("/v1/api/iserver/auth/ssodh/init", body).data
    assert "challenge" not in reader.post("/v1/api/iserver/auth/ssodh/init", {"machineId": "12345678"}).data
    status = reader.post("/v1/api/iserver/auth/status").data
    assert (status["authenticated"], status["connected"], status["competing"]) == (False, True, False)
    assert reader.post("/v1/api/tickle").data["iserver"]["authStatus"]["authenticated"] is False
    answer = reader.get("/v1/api/iserver/accounts")
    assert (answer.status, answer.data) == (400, {"error": "Bad Request: no bridge", "statusCode": 400})
    assert reader.get("/v1/api/one/user").data["uar"]["tws"] is False


def test_a_paper_user_has_accounts_of_its_own(simulator: Simulator) -> None:
    """Their numbers begin with a D, everywhere."""
    paper = Caller(simulator.port, token=simulator.control.login("demo-paper"))
    ids = [row["id"] for row in paper.get("/v1/api/portfolio/accounts").data]
    assert ids[0] == f"D{ACCOUNT}"
    assert list(paper.get("/v1/api/one/user").data["accts"]) == ids
    assert paper.get(f"/v1/api/portfolio/D{ACCOUNT}/summary").status == 200
    assert paper.get(f"/v1/api/portfolio/{ACCOUNT}/summary").status == 400


def test_trading_user_opens_loses_and_shares_brokerage(trader: Caller, simulator: Simulator) -> None:
    """States S2, S3, S5 and S6."""
    assert trader.post("/v1/api/iserver/auth/status").data["authenticated"] is False
    opened = trader.post("/v1/api/iserver/auth/ssodh/init", {"publish": True, "compete": True}).data
    assert (opened["authenticated"], opened["established"]) == (True, True)
    assert trader.get("/v1/api/iserver/accounts").data["accounts"][0] == ACCOUNT
    simulator.control.compete()
    assert trader.get("/v1/api/iserver/auth/status").data["competing"] is True
    assert trader.get("/v1/api/iserver/accounts").data == {}
    assert trader.post("/v1/api/tickle").data["collission"] is True
    simulator.control.drop(tier="brokerage")
    status = trader.get("/v1/api/iserver/auth/status").data
    assert (status["authenticated"], status["connected"]) == (False, True)
    assert trader.get("/v1/api/sso/validate").status == 200
    simulator.control.drop()
    assert trader.get("/v1/api/sso/validate").status == 401


def test_init_without_publish_is_an_error(trader: Caller) -> None:
    assert trader.post("/v1/api/iserver/auth/ssodh/init", {"publish": False}).status == 500


def test_logout_ends_the_session(reader: Caller) -> None:
    assert reader.post("/v1/api/logout").body == b'{"status":true}'
    assert reader.post("/v1/api/tickle").status == 401


def test_portfolio_needs_the_preflight(reader: Caller) -> None:
    assert reader.get(f"/v1/api/portfolio/{ACCOUNT}/summary").status == 401
    assert reader.get("/v1/api/portfolio/accounts").data[0]["accountId"] == ACCOUNT
    assert reader.get(f"/v1/api/portfolio/{ACCOUNT}/summary").status == 200
    assert reader.get("/v1/api/portfolio/U7777777/summary").status == 400


def test_positions_come_by_the_hundred_first_short_then_long(reader: Caller) -> None:
    reader.get("/v1/api/portfolio/accounts")
    path = f"/v1/api/portfolio/{ACCOUNT}/positions/"
    first = reader.get(path + "0").data
    assert len(first) == 100
    assert len(first[0]) == 21
    assert isinstance(first[0]["strike"], float)
    again = reader.get(path + "0").data
    assert again[0].keys() > first[0].keys()
    assert isinstance(again[0]["strike"], str)
    assert again[0]["pageSize"] == 100
    assert [len(reader.get(path + page).data) for page in ("1", "2", "3", "40")] == [100, 1, 0, 0]
    assert reader.post(f"/v1/api/portfolio/{ACCOUNT}/positions/invalidate").status == 200
    assert len(reader.get(path + "0").data[0]) == 21


def test_positions_are_sorted_on_request(reader: Caller) -> None:
    reader.get("/v1/api/portfolio/accounts")
    rows = reader.get(f"/v1/api/portfolio/{ACCOUNT}/positions/0?sort=mktValue&direction=d").data
    values = [row["mktValue"] for row in rows]
    assert values == sorted(values, reverse=True)


def test_portfolio2_has_other_names_and_text_conids(reader: Caller) -> None:
    reader.get("/v1/api/portfolio/accounts")
    rows = reader.get(f"/v1/api/portfolio2/{ACCOUNT}/positions").data
    assert len(rows) == 201
    assert {type(row["conid"]) for row in rows} == {str}
    one = reader.get(f"/v1/api/portfolio/{ACCOUNT}/position/{rows[0]['conid']}").data
    assert [str(row["conid"]) for row in one] == [rows[0]["conid"]]


def test_ledger_summary_and_allocation_agree_with_the_positions(reader: Caller) -> None:
    account = Account(ACCOUNT, seed=1, count=201)
    reader.get("/v1/api/portfolio/accounts")
    base = f"/v1/api/portfolio/{ACCOUNT}"
    summary = reader.get(base + "/summary").data
    assert summary["netliquidation"]["amount"] == round(account.market_value + account.cash_value + account.interest, 2)
    assert summary["netliquidation"]["timestamp"] > 10**12
    assert {"netliquidation", "netliquidation-c", "netliquidation-s"} <= summary.keys()
    ledger = reader.get(base + "/ledger").data
    assert ledger["BASE"]["netliquidationvalue"] == pytest.approx(summary["netliquidation"]["amount"], abs=0.1)
    assert (ledger["EUR"]["exchangerate"], ledger["BASE"]["endofbundle"]) == (1, 1)
    assert "endofbundle" not in ledger["USD"]
    assert ledger["USD"]["timestamp"] < 10**11
    allocation = reader.get(base + "/allocation").data
    total = sum(sum(side.values()) for side in allocation["assetClass"].values())
    assert total + account.interest == pytest.approx(summary["netliquidation"]["amount"], abs=0.1)
    several = reader.post("/v1/api/portfolio/allocation", {"acctIds": [ACCOUNT]}).data
    assert several == allocation


def test_subaccounts_come_by_the_twenty(reader: Caller) -> None:
    page = reader.get("/v1/api/portfolio/subaccounts2?page=1").data
    assert (page["metadata"], len(page["subaccounts"])) == ({"total": 25, "pageSize": 20, "pageNum": 1}, 5)
    assert len(reader.get("/v1/api/portfolio/subaccounts2").data) == 25


def test_the_same_seed_gives_the_same_portfolio() -> None:
    def rows(seed: int) -> list[dict[str, object]]:
        return Account(ACCOUNT, seed=seed, count=50).long_rows

    assert rows(7) == rows(7)
    assert rows(7) != rows(8)


def test_seeded_data_has_the_known_oddities() -> None:
    rows = Account(ACCOUNT, seed=1, count=400).long_rows
    assert {row["assetClass"] for row in rows} >= {"STK", "OPT", "FUT", "BOND", "FUND", "CRYPTO"}
    assert len({row["currency"] for row in rows}) == 5
    assert any(row["position"] < 0 for row in rows)
    assert any(row["position"] == 0 for row in rows)
    assert {type(row["multiplier"]) for row in rows} == {type(None), float}
    assert any(not row["name"].isascii() for row in rows)
    assert len({row["conid"] for row in rows}) == 400


def test_idle_sessions_end_brokerage_first() -> None:
    """Six minutes without a call end brokerage, ten end the SSO tier; a tickle renews both."""
    with Simulator(simulator_options()) as simulator:
        caller = Caller(simulator.port, token=simulator.control.login("demo-trader"))
        caller.post("/v1/api/iserver/auth/ssodh/init", {"publish": True, "compete": True})
        for _ in range(4):
            simulator.control.advance(300)
            assert caller.post("/v1/api/tickle").data["iserver"]["authStatus"]["authenticated"] is True
        simulator.control.advance(370)
        assert caller.post("/v1/api/tickle").data["iserver"]["authStatus"]["authenticated"] is False
        simulator.control.advance(601)
        assert caller.post("/v1/api/tickle").status == 401


def test_a_session_has_a_longest_life() -> None:
    options = simulator_options(session_lifetime=timedelta(minutes=8))
    with Simulator(options) as simulator:
        caller = Caller(simulator.port, token=simulator.control.login())
        simulator.control.advance(470)
        assert caller.post("/v1/api/tickle").status == 200
        simulator.control.advance(20)
        assert caller.post("/v1/api/tickle").status == 401


def test_small_answers_are_one_segment(simulator: Simulator) -> None:
    """The jar decodes each piece alone, so header and body must arrive together, unless splitting is switched on."""
    token = simulator.control.login("demo-reader")
    request = f"GET /v1/api/sso/validate HTTP/1.1\r\nHost: x\r\nCookie: XYZAB={token}\r\n\r\n".encode()

    def first_piece() -> bytes:
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(65_536)

    assert first_piece().endswith(b"}}")
    assert len(first_piece()) < 1024
    # Nobody waits for the second one; a busy machine may look late for the first.
    simulator.control.behaviour(split=True, split_pause_ms=3_000)
    assert not first_piece().endswith(b"}}")
