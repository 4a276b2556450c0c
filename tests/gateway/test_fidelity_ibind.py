"""ibind 0.2.2, as it comes from PyPI, reads through IBKR's real gateway what the simulator has."""

import json
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.simulated_accounts import Account
from tests.support.chromium import chromium, page_text, sign_in
from tests.support.jar import running_jar
from tests.support.peers import IBIND, peer_python
from tests.support.simulation import simulator_options, wait_until

pytestmark = [pytest.mark.gateway, pytest.mark.browser]

READ_EVERYTHING = """
import json, sys
from ibind import IbkrClient
client = IbkrClient(url=sys.argv[1] + "/v1/api/", cacert=False)
accounts = client.portfolio_accounts().data
found = {"accounts": [entry["accountId"] for entry in accounts], "positions": {}, "ledger": {}}
for account in found["accounts"]:
    rows, page = [], 0
    while batch := client.positions(account_id=account, page=page).data:
        rows += batch
        page += 1
    found["positions"][account] = {
        str(row["conid"]): [row["position"], row["mktPrice"], row["mktValue"]] for row in rows
    }
    found["ledger"][account] = client.get_ledger(account_id=account).data["BASE"]["netliquidationvalue"]
found["tickle"] = sorted(client.tickle().data)
print(json.dumps(found))
"""


def test_ibind_reads_accounts_and_positions(tmp_path: Path) -> None:
    """Accounts, every position of every page and the ledger have the simulator's own values."""
    numbers = account_numbers("U1234567", 2)
    options = simulator_options(accounts=numbers)
    python = peer_python(IBIND)
    with Simulator(options) as upstream, running_jar(tmp_path / "gateway", upstream.url) as jar:
        with chromium() as browser:
            sign_in(browser, jar.url, "demo-reader")
            wait_until(lambda: page_text(browser) == "Client login succeeds")
        result = subprocess.run(
            [python, "-c", READ_EVERYTHING, jar.url],
            env={"HOME": str(tmp_path), "IBIND_LOG_TO_CONSOLE": "False", "IBIND_LOG_TO_FILE": "False"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["accounts"] == list(numbers)
    assert {"session", "ssoExpires", "iserver"} <= set(found["tickle"])
    for index, number in enumerate(numbers):
        account = Account(number, seed=options.seed, count=options.positions, index=index)
        expected = {str(item.conid): [item.quantity, item.price, item.market_value] for item in account.instruments}
        assert len(expected) == 237
        assert found["positions"][number] == expected
        assert found["ledger"][number] == account.ledger(0)["BASE"]["netliquidationvalue"]
