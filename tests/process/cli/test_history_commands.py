"""`ibkr-tools history`: the account over time, in every form, from the statements that were imported."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ibkr_tools import files
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.flex.statement_xml import Statement, read_statements
from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import document, head, statement, week
from tests.support.installation import Installation, printed
from tests.support.patience import wait_until
from tests.support.snapshots import document_of


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A user who has imported the week."""
    installation = Installation(tmp_path / "place", environment)
    installation.configure(5000)
    (tmp_path / "week.xml").write_bytes(document())
    printed(installation, "flex", "import", str(tmp_path / "week.xml"))
    return installation


def block(command: str) -> list[str]:
    """Returns what docs/history.md shows of a command."""
    page = (CHECKOUT / "docs/history.md").read_text()
    text = page.split(f"    $ ibkr-tools {command}\n")[1].split("\n\n")[0]
    return [line.removeprefix("    ") for line in text.splitlines()]


@pytest.mark.parametrize(
    "command", ["history values", "history income", "history flows --by month", "history positions", "history returns"]
)
def test_the_page_shows_what_is_printed(place: Installation, command: str) -> None:
    assert printed(place, *command.split()).splitlines() == block(command)


def test_the_forms(place: Installation) -> None:
    rows = json.loads(printed(place, "history", "values", "-f", "json"))
    assert [row["total"] for row in rows] == [1350.5, 2408.5]
    assert printed(place, "history", "values", "--jq", ".[-1].total") == "2408.5\n"
    assert printed(place, "history", "income", "-f", "csv").splitlines()[1].startswith("2026-01-06,U1234567,dividend,")
    assert len(printed(place, "history", "flows", "-f", "ndjson").splitlines()) == 1
    assert printed(place, "history", "fees") == "0 rows\n"


def test_returns(place: Installation, tmp_path: Path) -> None:
    """By period, as one account, beside a benchmark; a file that is none is named with its line."""
    (row,) = json.loads(printed(place, "history", "returns", "--by", "month", "-f", "json"))
    assert (row["period"], row["flows"], row["gain"], row["ibkr_ratio"]) == ("2026-01", 1000, 58, 0.0429)
    assert row["time_weighted_ratio"] == pytest.approx(2408.5 / 2350.5 - 1)
    (joined,) = json.loads(printed(place, "history", "returns", "--together", "-f", "json"))
    assert joined["account"] == "together"
    assert joined["time_weighted_ratio"] == row["time_weighted_ratio"]
    (tmp_path / "index.csv").write_text("2026-01-02,100\n2026-01-09,101\n")
    compared = printed(place, "history", "returns", "--benchmark", str(tmp_path / "index.csv"), "-f", "json")
    assert json.loads(compared)[0]["benchmark_ratio"] == pytest.approx(0.01)
    (tmp_path / "index.csv").write_text("02.01.2026,100\n")
    done = place.run("history", "returns", "--benchmark", str(tmp_path / "index.csv"))
    assert done.returncode == 65
    assert "line 1" in done.stderr
    assert place.run("history", "returns", "--by", "week").returncode == 2
    # A period begins with the close before its first day.
    assert len(json.loads(printed(place, "history", "returns", "--from", "2026-01-09", "-f", "json"))) == 1
    assert json.loads(printed(place, "history", "returns", "--to", "2026-01-05", "-f", "json")) == []


def test_a_plot_is_text(place: Installation) -> None:
    drawn = printed(place, "history", "values", "--plot")
    assert drawn.splitlines()[0].strip() == "U1234567, EUR"
    assert "paid in" in drawn
    assert place.run("history", "values", "--plot", "-f", "csv").returncode == 2


def test_days_and_accounts(place: Installation) -> None:
    days = ["history", "values", "-f", "json"]
    assert len(json.loads(printed(place, *days, "--from", "2026-01-03"))) == 1
    assert len(json.loads(printed(place, *days, "--to", "2026-01-03"))) == 1
    for command in ("values", "income", "trades", "positions", "returns"):
        done = place.run("history", command, "--account", "U9999999", "-f", "json")
        assert (done.returncode, json.loads(done.stdout)) == (0, [])
        assert done.stderr == "note: U9999999: not in the history, which has U1234567\n"
    assert len(json.loads(printed(place, *days, "--by", "month"))) == 1
    assert len(json.loads(printed(place, *days, "--by", "year"))) == 1
    assert place.run("history", "values", "--by", "week").returncode == 2
    assert place.run("history", "values", "--by", "month", "--plot").returncode == 2


def test_a_restatement_is_seen_at_once(place: Installation, tmp_path: Path) -> None:
    sections = week()
    sections["CashTransactions"][1][1]["amount"] = "12"
    (tmp_path / "new.xml").write_bytes(document(statement(sections, head(whenGenerated="20260201;000000"))))
    place.run("flex", "import", str(tmp_path / "new.xml"))
    assert printed(place, "history", "income", "--jq", "[.[].amount]", "-c") == "[12]\n"


def test_every_booking_is_in_one_of_the_lists(place: Installation, tmp_path: Path) -> None:
    """Also one of a type that is about nothing of its own, and one that IBKR has added since."""
    sections = week()
    booking = sections["CashTransactions"][1][1]
    types = ("Other Income", "Price Adjustments", "Magic", "Other Fees", "Withholding Tax", "Bond Interest Received")
    sections["CashTransactions"] += [("CashTransaction", booking | {"type": name}) for name in types]
    (tmp_path / "new.xml").write_bytes(document(statement(sections, head(whenGenerated="20260201;000000"))))
    place.run("flex", "import", str(tmp_path / "new.xml"))
    listed = {
        name: json.loads(printed(place, "history", name, "--jq", "[.[].kind]", "-c"))
        for name in ("income", "fees", "flows")
    }
    income = ["dividend", "other", "other", "other", "tax", "interest"]
    assert listed == {"income": income, "fees": ["fee"], "flows": ["deposit"]}


def test_rebuilding_makes_the_same(place: Installation) -> None:
    database = place.directories.history
    before = database.read_bytes()
    database.write_bytes(b"damaged")
    done = place.run("history", "values")
    assert done.returncode == 65
    assert "history rebuild" in done.stderr
    assert printed(place, "history", "rebuild") == "history: 2 values, 2 bookings and 0 trades of 1 files\n"
    assert database.read_bytes() == before


def test_a_damaged_statement_stops_the_rebuild_and_nothing_is_lost(place: Installation) -> None:
    before = place.directories.history.read_bytes()
    (archived,) = place.directories.statements.glob("*.xml.gz")
    archived.write_bytes(archived.read_bytes()[:-20])
    done = place.run("history", "rebuild")
    assert done.returncode == 65
    assert archived.name in done.stderr
    assert place.directories.history.read_bytes() == before


def test_without_statements(place: Installation) -> None:
    """Both ways to have some are named."""
    place.directories.history.unlink()
    done = place.run("history", "values")
    assert (done.returncode, len(done.stderr.splitlines())) == (75, 2)
    assert "flex fetch" in done.stderr
    assert "flex import" in done.stderr


def test_a_period_stands_for_two_days(place: Installation) -> None:
    days = ["history", "values", "-f", "json"]
    assert len(json.loads(printed(place, *days, "--period", "2026-01"))) == 2
    assert len(json.loads(printed(place, *days, "--period", "2026-01-02"))) == 1
    assert json.loads(printed(place, *days, "--period", "2025")) == []


def test_trades_with_their_cancellation(place: Installation, tmp_path: Path) -> None:
    row = {"reportDate": "20260107", "symbol": "VWRL", "conid": "4711", "currency": "USD", "netCash": "-100"}
    trade = row | {"transactionType": "ExchTrade", "quantity": "1", "tradePrice": "100", "levelOfDetail": "EXECUTION"}
    sections = week() | {
        "Trades": [("Trade", trade), ("Trade", trade | {"transactionType": "TradeCancel", "quantity": "-1"})]
    }
    (tmp_path / "new.xml").write_bytes(document(statement(sections, head(whenGenerated="20260201;000000"))))
    place.run("flex", "import", str(tmp_path / "new.xml"))
    rows = json.loads(printed(place, "history", "trades", "--period", "2026", "-f", "json"))
    assert [(row["type"], row["quantity"]) for row in rows] == [("ExchTrade", 1), ("TradeCancel", -1)]
    assert "TradeCancel" in printed(place, "history", "trades", "--all")
    assert printed(place, "history", "trades", "--from", "2026-01-08") == "0 rows\n"


def test_positions_of_a_day_are_those_of_the_last_statement_before(place: Installation) -> None:
    """And it says so."""
    done = place.run("history", "positions", "--on", "2026-01-20", "-f", "json")
    assert [row["quantity"] for row in json.loads(done.stdout)] == [10]
    assert "U1234567: no statement ends on 2026-01-20; the positions are those of 2026-01-09" in done.stderr
    done = place.run("history", "positions", "--on", "2026-01-09", "-f", "json")
    assert (len(json.loads(done.stdout)), done.stderr) == (1, "")
    assert printed(place, "history", "positions", "--on", "2026-01-08") == "0 rows\n"


def test_show_has_the_positions_of_a_day_too(place: Installation) -> None:
    """What a statement has; of a snapshot, or of anything else, that is a mistake."""
    for more in ([], ["-f", "json"], ["--jq", "length"], ["--account", "U9999999"]):
        day = ["--on", "2026-01-20", *more]
        one, other = place.run("show", "positions", *day), place.run("history", "positions", *day)
        assert (one.returncode, one.stdout, one.stderr) == (0, other.stdout, other.stderr)
    for wrong in (["--on", "2026-01-09"], ["summary", "--on", "2026-01-09"], ["positions", "--on", "9.1.2026"]):
        assert place.run("show", *wrong).returncode == 2
    done = place.run("show", "positions", "--on", "2026-01-09", "--at", "2026-01-09")
    assert (done.returncode, "--at DAY shows what was saved" in done.stderr) == (2, True)


def test_what_is_kept_while_a_rebuild_waits_is_in_it(place: Installation) -> None:
    """A rebuild that began before must not replace one that knows more."""
    lock = place.directories.history.with_name(".lock")
    new = document(statement(attributes=head(fromDate="20260112", toDate="20260116", whenGenerated="20260201;000000")))
    with files.locked(lock):
        rebuild = subprocess.Popen(place.command("history", "rebuild"), env=place.environment, stdout=subprocess.PIPE)
        inode = f":{lock.stat().st_ino} "
        wait_until(
            lambda: any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()), 60
        )
        (kept,) = (event for event in read_statements(new) if isinstance(event, Statement))
        StatementArchive(place.directories.statements).keep(new, [kept])
    out, _ = rebuild.communicate()
    assert out.decode().endswith("of 2 files\n"), out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--by", "week"],
        ["--from", "05.01.2026"],
        ["--from", "2026-13-01"],
        ["--period", "week"],
        ["--period", "2026", "--from", "2026-01-01"],
        ["--from", "2026-01-02", "--to", "2026-01-01"],
    ],
)
def test_a_bad_command_line_is_2(place: Installation, arguments: list[str]) -> None:
    assert place.run("history", "income", *arguments).returncode == 2


def snapshot(place: Installation, day: int, quantity: str = "10", value: str = "2410") -> None:
    """Saves what the gateway would have said of the account on a day of January."""
    parts = {
        "accounts": b'[{"id":"U1234567","currency":"EUR"}]',
        "ledger": b'{"U1234567":{"BASE":{"netliquidationvalue":%s,"cashbalance":1500}}}' % value.encode(),
        "positions": b'[{"acctId":"U1234567","conid":4711,"contractDesc":"VWRL","position":%s}]' % quantity.encode(),
    }
    as_of = datetime(2026, 1, day, 18, tzinfo=UTC)
    snapshot_store.save(place.directories.snapshots, document_of(parts, ("U1234567",), as_of), 30, as_of)


def test_check_compares_both_sides(place: Installation) -> None:
    done = place.run("history", "check")
    assert (done.returncode, len(done.stderr.splitlines())) == (75, 2)
    snapshot(place, 10)
    assert place.run("history", "check").returncode == 75, "of a day that no statement ends with"
    snapshot(place, 9)
    done = place.run("history", "check", "-f", "json")
    assert done.returncode == 0
    assert [(row["what"], row["statement"], row["snapshot"], row["agrees"]) for row in json.loads(done.stdout)] == [
        ("VWRL", 10, 10, "yes"),
        ("net asset value", 2408.5, 2410, "yes"),
    ]
    assert "2026-01-09T180000Z.json.gz" in done.stderr
    snapshot(place, 9, quantity="11", value="3000")
    done = place.run("history", "check")
    assert done.returncode == 65
    assert "contradict each other: U1234567 VWRL, U1234567 net asset value" in done.stderr
    assert "3,000" in done.stdout or "3000" in done.stdout
