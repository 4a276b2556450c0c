"""Every value that ibind 0.2.2, as it comes from PyPI, gets for a resource is the value that `ibkr-tools fetch` gets.

Both ask the same simulator, whose clock stands still: nothing but the asking can make a difference. What ibind has no
method for, it is asked by path, through its public `get`. Not compared are the calls that IBKR documents differently
from how ibind sends them (`/portfolio/allocation` as a GET).
"""

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.portal.endpoints import READS, SSODH_INIT, Scope
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.instruments import Instrument
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.peers import IBIND, peer_python
from tests.support.portal import client_of, signed_in

pytestmark = pytest.mark.gateway

NUMBERS = account_numbers("U1234567", 2)
ACCOUNT = NUMBERS[0]
HELD = Account(ACCOUNT, seed=1, count=237)


def held(asset_class: str) -> Instrument:
    """Returns a contract of this class that the account holds."""
    return next(one for one in HELD.instruments if one.asset_class == asset_class and one.ticker.isascii())


STOCK, BOND, FUTURE = held("STK"), held("BOND"), held("FUT")
CONID = str(STOCK.conid)
FIELDS = "31,84,86"
MODEL = {"model": "Sample-Model"}


@dataclass(frozen=True)
class Asked:
    """How ibind is asked for a resource: its method, and what it takes.

    `times`: how often; the last answer counts, as the first may be cold. `key`: where in the answer the list is that
    goes over several pages.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    times: int = 1
    key: str = ""


@dataclass(frozen=True)
class Case:
    """One resource: how ibind is asked, and with which parameters we are."""

    resource: str
    asked: Asked
    parameters: dict[str, str] = field(default_factory=dict)


def by_path(path: str, times: int = 1, **query: str) -> Asked:
    """Returns how ibind is asked for what it has no method for."""
    return Asked("get", (path, query), times=times)


CASES = (
    # The portfolio tier.
    Case("accounts", Asked("portfolio_accounts")),
    Case("subaccounts", Asked("portfolio_subaccounts")),
    Case("subaccounts2", Asked("large_portfolio_subaccounts", key="subaccounts")),
    Case("meta", Asked("portfolio_account_information", (ACCOUNT,))),
    Case("summary", Asked("portfolio_summary", (ACCOUNT,))),
    Case("ledger", Asked("get_ledger", (ACCOUNT,))),
    Case("allocation", Asked("portfolio_account_allocation", (ACCOUNT,))),
    Case("positions2", Asked("positions2", (ACCOUNT,))),
    Case("combos", Asked("combination_positions", (ACCOUNT,))),
    Case("position", Asked("positions_by_conid", (ACCOUNT, CONID)), {"conid": CONID}),
    Case("positions_by_conid", Asked("position_and_contract_info", (CONID,)), {"conid": CONID}),
    Case("performance", Asked("account_performance", ([ACCOUNT], "1M")), {"period": "1M"}),
    Case("periods", Asked("all_periods", ([ACCOUNT],))),
    Case(
        "transactions",
        Asked("transaction_history", ([ACCOUNT], [CONID], "USD", 30)),
        {"conids": CONID, "currency": "USD", "days": "30"},
    ),
    Case("signatures_and_owners", Asked("signatures_and_owners", (ACCOUNT,))),
    Case("user", by_path("one/user")),
    # The brokerage tier: the account.
    Case("brokerage_accounts", Asked("receive_brokerage_accounts", times=2)),
    Case("account_summary", Asked("account_summary", (ACCOUNT,))),
    *(Case(name, by_path(f"iserver/account/{ACCOUNT}/summary/{name}")) for name in ("available_funds", "balances")),
    *(Case(name, by_path(f"iserver/account/{ACCOUNT}/summary/{name}")) for name in ("margins", "market_value")),
    Case("pnl", Asked("account_profit_and_loss", times=2)),
    Case("trades", Asked("trades", times=2)),
    Case("orders", Asked("live_orders", times=2)),
    Case("order_status", Asked("order_status", ("200000001",)), {"orderId": "200000001"}),
    Case("account_search", Asked("search_dynamic_account", ("U12",)), {"searchPattern": "U12"}),
    # Market data, contracts.
    Case(
        "snapshot",
        Asked("live_marketdata_snapshot", (CONID, FIELDS.split(",")), times=2),
        {"conids": CONID, "fields": FIELDS},
    ),
    Case(
        "history",
        Asked("marketdata_history_by_conid", (CONID, "1d"), {"period": "1m"}),
        {"conid": CONID, "bar": "1d", "period": "1m"},
    ),
    Case("search", Asked("search_contract_by_symbol", (STOCK.ticker,)), {"symbol": STOCK.ticker}),
    Case(
        "secdef_info",
        Asked("search_secdef_info_by_conid", (CONID, "STK", "")),
        {"conid": CONID, "sectype": "STK"},
    ),
    Case(
        "strikes",
        Asked("search_strikes_by_conid", (CONID, "OPT", "JAN27")),
        {"conid": CONID, "sectype": "OPT", "month": "JAN27"},
    ),
    Case(
        "bond_filters",
        Asked("search_bond_filter_information", ("BOND", f"e{BOND.conid}")),
        {"issuerId": f"e{BOND.conid}"},
    ),
    Case("contract", Asked("contract_information_by_conid", (CONID,)), {"conid": CONID}),
    Case(
        "contract_info_and_rules",
        Asked("info_and_rules_by_conid", (CONID, "true")),
        {"conid": CONID, "isBuy": "true"},
    ),
    Case("contract_algos", Asked("algo_params_by_conid", (CONID,)), {"conid": CONID}),
    Case(
        "contract_rules",
        Asked("search_contract_rules", (STOCK.conid,), {"is_buy": True}),
        {"conid": CONID, "isBuy": "true"},
    ),
    Case("currency_pairs", Asked("currency_pairs", ("USD",)), {"currency": "USD"}),
    Case("exchange_rate", Asked("currency_exchange_rate", ("USD", "EUR")), {"source": "USD", "target": "EUR"}),
    Case("secdef", Asked("security_definition_by_conid", ([CONID],)), {"conids": CONID}),
    Case("all_conids", Asked("all_conids_by_exchange", ("NASDAQ",)), {"exchange": "NASDAQ"}),
    Case("futures", Asked("security_future_by_symbol", (FUTURE.ticker,)), {"symbols": FUTURE.ticker}),
    Case("stocks", Asked("security_stocks_by_symbol", (STOCK.ticker, {})), {"symbols": STOCK.ticker}),
    Case(
        "secdef_schedule",
        Asked("trading_schedule_by_symbol", ("STK", STOCK.ticker)),
        {"assetClass": "STK", "symbol": STOCK.ticker},
    ),
    Case("trading_schedule", by_path("contract/trading-schedule", conid=CONID), {"conid": CONID}),
    # Scanners, lists, alerts, notifications.
    Case("scanner_params", Asked("scanner_parameters")),
    Case(
        "scanner",
        Asked("market_scanner", ("STK", "TOP_PERC_GAIN", "STK.US.MAJOR")),
        {"instrument": "STK", "type": "TOP_PERC_GAIN", "location": "STK.US.MAJOR"},
    ),
    Case("watchlists", Asked("get_all_watchlists")),
    Case("watchlist", Asked("get_watchlist_information", ("99999",), times=2), {"id": "99999"}),
    Case("alerts", by_path(f"iserver/account/{ACCOUNT}/alerts")),
    Case("alert", by_path("iserver/account/alert/9876543210", type="Q"), {"alertId": "9876543210"}),
    Case("mta", by_path("iserver/account/mta")),
    Case("unread", by_path("fyi/unreadnumber")),
    Case("fyi_settings", by_path("fyi/settings")),
    Case("disclaimer", by_path("fyi/disclaimer/BA"), {"typecode": "BA"}),
    Case("delivery_options", by_path("fyi/deliveryoptions")),
    # Advisors.
    Case("models", Asked("fa_model_list", (1,))),
    Case("model_presets", Asked("fa_preset_get", (1,))),
    Case("model_positions", Asked("fa_model_positions", (1, "Sample-Model")), MODEL),
    Case("model_summary", Asked("fa_model_summary", (1, "Sample-Model")), MODEL),
    Case("model_accounts", Asked("fa_model_accounts_details", (1, "Sample-Model")), MODEL),
    Case("model_investments", Asked("fa_model_invest_divest_positions", (1, "Sample-Model")), MODEL),
)

WITH_IBIND = """
import json, sys
from ibind import IbkrClient
url, certificate, account = sys.argv[1:]
client = IbkrClient(url=url, cacert=certificate, account_id=account)
found = {}
client.portfolio_accounts()
for _ in "cold", "warm":
    found["positions"], page = [], 0
    while batch := client.positions(page=page).data:
        found["positions"] += batch
        page += 1
for name, (method, arguments, keywords, times, key) in json.load(sys.stdin):
    for _ in range(times):
        data = getattr(client, method)(*arguments, **keywords).data
    found[name] = data[key] if key else data
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulator's certificate and our directories are."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def simulator(folder: Path) -> Iterator[Simulator]:
    """An advisor with the brokerage tier, who may ask at any pace, in a world where nothing changes."""
    with signed_in(folder, user="demo-advisor", accounts=NUMBERS) as simulator:
        simulator.control.limits(enabled=False)
        with client_of(simulator, owns_session=True) as owner:
            owner.request(SSODH_INIT, body={"publish": True, "compete": True})
        simulator.control.set_speed(1e-9)
        yield simulator


@pytest.fixture(scope="module")
def theirs(simulator: Simulator, folder: Path) -> dict[str, Any]:
    """What ibind gets, by our names of the resources."""
    url = f"https://127.0.0.1:{simulator.port}/v1/api/"
    certificate = str(simulator.options.certificate)
    done = subprocess.run(
        [peer_python(IBIND), "-c", WITH_IBIND, url, certificate, ACCOUNT],
        input=json.dumps([(case.resource, astuple(case.asked)) for case in CASES]),
        env={"HOME": str(folder), "IBIND_LOG_TO_CONSOLE": "False", "IBIND_LOG_TO_FILE": "False"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def ibkr_tools(simulator: Simulator, folder: Path) -> Callable[..., Any]:
    """Runs a command of ours, and returns the JSON that it prints."""
    state, runtime, config = folder / "state", folder / "run", folder / "config.json"
    pinned = state / "gateway" / "tls" / "gateway.pem"
    pinned.parent.mkdir(parents=True)
    runtime.mkdir()
    shutil.copy(str(simulator.options.certificate), pinned)
    settings: dict[str, Any] = {"username": "demo-advisor", "account": ACCOUNT, "session": {"tier": "brokerage"}}
    config.write_text(json.dumps(settings | {"gateway": {"port": simulator.port}}))
    options: list[str | Path] = ["--config", config, "--runtime-dir", runtime, "--state-dir", state]

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "ibkr_tools", *options, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def ours(ibkr_tools: Callable[..., Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """What we get, by resource. ibind has asked before: of the contracts that are known by now all fields are told."""
    del theirs
    together: defaultdict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list, {(): ["positions"]})
    for case in CASES:
        together[tuple(case.parameters.items())].append(case.resource)
    found: dict[str, Any] = {}
    for parameters, resources in together.items():
        told = [part for name, value in parameters for part in ("--param", f"{name}={value}")]
        snapshot = ibkr_tools("fetch", "--account", ACCOUNT, *resources, *told)
        for name in resources:
            per_account = READS[name].scope is Scope.ACCOUNT and name != "positions"
            found[name] = snapshot[name][ACCOUNT] if per_account else snapshot[name]
    return found


@pytest.mark.parametrize("resource", ["positions", *(case.resource for case in CASES)])
def test_both_get_the_same(resource: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Every value of every record, however many pages."""
    assert ours[resource] == theirs[resource]
    assert theirs[resource]


@pytest.mark.parametrize(
    ("resource", "arguments"),
    [
        ("positions", [f"/portfolio/{ACCOUNT}/positions/0", "--paginate"]),
        ("ledger", [f"/portfolio/{ACCOUNT}/ledger"]),
        ("contract", [f"/iserver/contract/{CONID}/info"]),
        ("exchange_rate", ["/iserver/exchangerate?source=USD&target=EUR"]),
        ("currency_pairs", ["/iserver/currency/pairs", "--param", "currency=USD"]),
    ],
)
def test_the_path_gives_the_same(
    resource: str, arguments: list[str], ibkr_tools: Callable[..., Any], theirs: dict[str, Any]
) -> None:
    """Whoever asks by path gets no other values."""
    assert ibkr_tools("api", *arguments) == theirs[resource]


def test_every_page_is_compared(theirs: dict[str, Any]) -> None:
    """All of the account's positions, with the simulator's own values."""
    expected = {item.conid: [item.quantity, item.price, item.market_value] for item in HELD.instruments}
    found = {row["conid"]: [row["position"], row["mktPrice"], row["mktValue"]] for row in theirs["positions"]}
    assert len(expected) == 237
    assert found == expected
