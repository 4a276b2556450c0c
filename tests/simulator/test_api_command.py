"""`ibkr-tools api`: the answer to a raw path, printed as `fetch` prints, and what is refused."""

import json
import re
from typing import Any

import pytest

from ibkr_tools.simulator import Simulator, account_numbers
from tests.support.installation import Installation, printed
from tests.support.portal import asked

ACCOUNTS = account_numbers("U1234567", 2)

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS, positions=101)


def api(place: Installation, *arguments: str) -> Any:
    """Returns the answer to a raw path."""
    return json.loads(printed(place, "api", *arguments))


def test_an_answer_is_printed_as_it_came(place: Installation, simulator: Simulator) -> None:
    body = '{"USD": {"cashbalance":1.10,"sequence":9007199254740993}}'
    simulator.control.fault("/portfolio/*/ledger", "status", status=200, body=body)
    assert printed(place, "api", "/portfolio/U1234568/ledger") == body + "\n"
    assert printed(place, "api", "v1/api/portfolio/U1234568/ledger", "-f", "csv", "--columns", "all") == (
        "currency,cashbalance,sequence\nUSD,1.10,9007199254740993\n"
    )
    fixed = printed(place, "api", "v1/api/portfolio/U1234568/ledger", "-f", "csv")
    assert fixed.startswith("account,currency,cashbalance,settledcash,")
    assert fixed.splitlines()[1].startswith(",USD,1.10,,")


def test_one_page_and_all_pages(place: Installation, simulator: Simulator) -> None:
    # Rows are longer from the second time on; here two answers are compared.
    simulator.control.behaviour(always_short_form=True)
    first = api(place, "/portfolio/U1234567/positions/0")
    second = api(place, "portfolio/U1234567/positions/1")
    assert (len(first), len(second)) == (100, 1)
    assert api(place, "/portfolio/U1234567/positions/0", "--paginate") == first + second
    assert printed(place, "api", "/portfolio/U1234567/positions/0", "--paginate", "--jq", "length") == "101\n"
    table = printed(place, "api", "/portfolio/U1234567/positions/0", "--paginate", "--table")
    assert re.search(r"^\d+ positions worth [\d,.]+ CHF, .*; \d+ closed, shown by --all$", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "included"),
    [
        ([], ["U1234567"]),
        (["--param", "acctIds=U1234568", "--param", "period=1D"], ["U1234568"]),
        (["--param", "acctIds=U1234567,U1234568", "--param", "period=7D"], ["U1234567", "U1234568"]),
    ],
)
def test_a_post_has_its_body_from_parameters(place: Installation, arguments: list[str], included: list[str]) -> None:
    assert sorted(api(place, "/pa/performance", *arguments)["included"]) == included


def test_what_may_not_be_asked_again_is_remembered(place: Installation, simulator: Simulator) -> None:
    before = asked(simulator, "/pa/performance")
    first = place.run("api", "/pa/performance", "--param", "period=MTD")
    again = place.run("api", "/pa/performance", "--param", "period=MTD")
    assert (first.returncode, again.returncode, first.stderr) == (0, 0, "")
    assert first.stdout == again.stdout
    assert "note: IBKR was asked" in again.stderr
    assert asked(simulator, "/pa/performance") == before + 1


REFUSED = [
    (["/logout"], 2, "not a listed read"),
    (["/portfolio/acounts"], 2, "did you mean GET /portfolio/accounts?"),
    (["-X", "DELETE", "/portfolio/accounts"], 2, "not a listed read"),
    (["/portfolio/../logout"], 2, "cannot be part of a path"),
    (["/portfolio/%2e%2e/logout"], 2, "cannot be part of a path"),
    (["//portfolio/accounts"], 2, "is empty"),
    (["/portfolio/U1234567/ledger", "--param", "x=1"], 2, "no parameter 'x'"),
    (["/portfolio/U1234567/ledger?x=1"], 2, "no parameter 'x'"),
    (["/portfolio/U1234567/positions/0?sort=a", "--param", "sort=b"], 2, "sort is in the path already"),
    (["/portfolio/U1234567/position/abc"], 2, "conid 'abc'"),
    (["/portfolio/accounts", "--paginate"], 2, "answers all at once"),
    (["/portfolio/U1234567/positions/1", "--paginate"], 2, "takes all pages"),
    (["/pa/transactions"], 2, "--param conids=… is missing"),
    (["/iserver/account/orders"], 78, "needs the brokerage tier"),
    (["/portfolio/accounts", "--jq", ".["], 2, "unexpected end of file"),
    ([], 2, "Missing argument"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), REFUSED, ids=[str(one[0]) for one in REFUSED])
def test_a_bad_command_line_sends_nothing(
    place: Installation, simulator: Simulator, arguments: list[str], code: int, text: str
) -> None:
    before = sum(simulator.control.state()["requests"].values())
    done = place.run("api", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sum(simulator.control.state()["requests"].values()) == before


def test_a_preflight_is_made_for_a_raw_path_too(place: Installation, simulator: Simulator) -> None:
    """A fresh session wants `/portfolio/accounts` asked first."""
    simulator.control.behaviour(require_preflight=True)
    assert api(place, "/portfolio/U1234567/ledger")["BASE"]


def test_what_ibkr_answers_to_a_raw_path_is_told(place: Installation, simulator: Simulator) -> None:
    simulator.control.fault("/portfolio/*/ledger", "status", status=500)
    done = place.run("api", "/portfolio/U1234567/ledger")
    assert (done.returncode, done.stdout) == (75, "")
    simulator.control.fault("/portfolio/*/ledger", "html")
    assert place.run("api", "/portfolio/U1234567/ledger").returncode in {65, 75}
