"""A simulator whose accounts have a past: everything about a day comes from one ledger."""

import json

import pytest

from ibkr_tools.simulator import account_numbers
from tests.support.caller import Caller
from tests.support.installation import Installation

ACCOUNT, SECOND = ACCOUNTS = account_numbers("U1234567", 2)
API = "/v1/api"

pytestmark = pytest.mark.simulator(accounts=ACCOUNTS, positions=12, years=1, gateway=True, user="demo-reader")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_balances_add_up(caller: Caller, account: str) -> None:
    caller.get(f"{API}/portfolio/accounts")
    path = f"{API}/portfolio/{account}"
    ledger = caller.get(f"{path}/ledger").data
    summary = caller.get(f"{path}/summary").data
    total = summary["netliquidation"]["amount"]
    assert ledger["BASE"]["netliquidationvalue"] == pytest.approx(total, abs=0.3)
    assert ledger["BASE"]["dividends"] == summary["accrueddividend"]["amount"]
    days = caller.post(f"{API}/pa/allperiods", {"acctIds": [account]}).data[account]["1Y"]
    assert days["nav"][-1] == pytest.approx(total, abs=0.3)


def test_the_snapshot_of_it_adds_up(place: Installation) -> None:
    """In the product's own judgement, which says what does not."""
    done = place.run("fetch")
    assert (done.returncode, done.stderr) == (0, "")
    snapshot = json.loads(done.stdout)
    assert {row["acctId"] for row in snapshot["positions"]} == set(ACCOUNTS)
