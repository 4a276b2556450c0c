"""Tables of a snapshot: what is in them, and that nothing IBKR sends can break them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.cli import snapshot_overview
from ibkr_tools.errors import IbkrError, UsageError
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.fetch.snapshot_store import DatedCopy
from ibkr_tools.terminal_escape import escape_control_characters
from ibkr_tools.views import format_resource
from tests.support.snapshots import simulated, snapshot_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
THREE = ("U1234567", "U1234568", "U1234569")


@pytest.fixture(scope="module")
def one() -> Snapshot:
    """One account."""
    return Snapshot(simulated(NOON).encode())


@pytest.fixture(scope="module")
def three() -> Snapshot:
    """Three of them."""
    return Snapshot(simulated(NOON, accounts=3, positions=5).encode())


def lines(text: str) -> list[list[str]]:
    """Returns a table's lines as words."""
    return [line.split() for line in text.splitlines()]


def positions(*rows: object, **parts: Any) -> str:
    """Returns the table of these positions of one account."""
    return format_resource(snapshot_of({"positions": rows, **parts}), "positions")


# Positions.


def test_positions_are_ordered_by_value_with_weights(one: Snapshot) -> None:
    text = format_resource(one, "positions").splitlines()
    titles = "Position Class Quantity Price Market value Unrealized Value EUR Weight"
    assert " ".join(text[0].split()) == titles
    assert text[2].split()[-2:] == ["30.2", "%"]
    assert text[2].startswith("GOTE")
    values = [float(line.split()[-3].replace(",", "")) for line in text[2:13]]
    assert values == sorted(values, reverse=True)
    assert text[-5].split() == ["total", "683,290.46", "93.7", "%"]
    assert text[-4:] == [
        "11 positions; 1 closed, shown by --all",
        "unrealized 24,480.01 EUR",
        "cash 45,819.10 + positions 683,290.46 + interest 4.99 = 729,114.55 EUR",
        "net liquidation value 729,114.55 EUR",
    ]


def test_the_largest_positions_alone_are_shown_where_that_is_wanted(one: Snapshot) -> None:
    """Sums, weights and counts stay those of all."""
    text = format_resource(one, "positions").splitlines()
    short = format_resource(one, "positions", most=3).splitlines()
    assert [line.split()[0] for line in short[2:5]] == [line.split()[0] for line in text[2:5]]
    assert short[6].split() == text[-5].split()
    assert short[7:] == ["8 positions more, shown by: ibkr-tools fetch --table", *text[-4:]]
    assert format_resource(one, "positions", most=11).splitlines() == text


def test_all_positions_include_closed_ones_and_what_they_cost(one: Snapshot) -> None:
    text = format_resource(one, "positions", everything=True)
    assert "BATE" in text
    assert "Avg. price" in text
    assert "closed" not in text
    # A call's cost stands beside its price: neither has the multiplier in it.
    assert next(line.split()[5:8] for line in text.splitlines() if line.startswith("COTI")) == ["24", "30.90", "27.54"]


def test_positions_of_several_accounts_name_them(three: Snapshot) -> None:
    text = format_resource(three, "positions")
    assert text.startswith("Account ")
    own = format_resource(three.narrowed((), ("U1234568",)), "positions")
    assert "Account" not in own
    assert "-662.29" in own, "a short position"


def test_without_a_ledger_nothing_is_converted() -> None:
    text = positions(
        {"acctId": "U1", "contractDesc": "A", "position": 2, "mktValue": 10.5, "currency": "USD", "assetClass": "STK"},
        {"contractDesc": "B", "position": "3", "mktValue": "-20", "currency": "EUR", "assetClass": "STK"},
        {"acctId": "U1", "contractDesc": None, "conid": 7, "position": None, "assetClass": "STK"},
    )
    assert "Weight" not in text
    assert text.splitlines()[-1] == "3 positions worth -20.00 EUR, 10.50 USD, without 1 position (no price)"
    assert [line[1] if line[0] == "U1" else line[0] for line in lines(text)[2:5]] == ["B", "A", "7"]


def test_positions_past_ibkrs_cache_have_other_names() -> None:
    row = {"acctId": "U1", "description": "QQQ", "secType": "STK", "position": 3.0, "conid": "320227571"}
    row |= {"marketPrice": 584.67999, "marketValue": 1754.04, "unrealizedPnl": 1.1, "currency": "USD"}
    assert positions(row).splitlines()[2].split() == ["QQQ", "STK", "3", "584.68", "1,754.04", "1.10", "USD"]


def test_no_row_is_lost() -> None:
    """Whatever IBKR writes where the account should be, and where a row should be."""
    rows: list[object] = [
        {"acctId": whose, "contractDesc": "A", "position": 1, "mktValue": 2.0, "assetClass": "STK", "mktPrice": 2}
        for whose in ("U1", None, "U1.X")
    ]
    text = positions(*rows, "maintenance")
    assert text.splitlines()[-1] == "4 positions worth 6.00 ?"
    assert "maintenance" in text


def test_no_positions() -> None:
    assert positions().splitlines()[-1] == "0 positions"


def test_one_row_without_a_price_takes_nothing_from_the_others() -> None:
    """Its cell is blank, and the total says that it is without it."""
    held = {"acctId": "U1", "assetClass": "STK", "currency": "EUR", "position": 1, "unrealizedPnl": 1.0}
    text = positions(
        held | {"contractDesc": "A", "mktPrice": 5, "mktValue": 50.0},
        held | {"contractDesc": "HOLE", "mktPrice": None, "mktValue": None, "unrealizedPnl": None},
        held | {"contractDesc": "MARK", "mktPrice": 7, "mktValue": 1.7976931348623157e308},
        held | {"contractDesc": "FAR", "mktPrice": 7, "mktValue": 5, "currency": "TRY"},
        summary={"U1": {"netliquidation": {"amount": 100.0, "currency": "EUR"}}},
        ledger={"U1": {"EUR": {"exchangerate": 1}}},
    ).splitlines()
    found = {line.split()[0]: line.split() for line in text}
    assert found["A"][-2:] == ["50.0", "%"]
    assert found["HOLE"] == ["HOLE", "STK", "1", "EUR"]
    assert found["MARK"][4] == "1.7976931348623157E308"
    assert found["total"] == ["total", "EUR", "without", "1", "position", "(no", "price),", "1", "position", "(no",
                              "rate", "for", "TRY),", "1", "position", "(no", "value)"]  # fmt: skip
    assert ["total", "50.00", "50.0", "%"] in [line.split() for line in text]
    assert max(map(len, text)) < 140


def test_exposure_is_in_no_other_sum() -> None:
    held = {"acctId": "U1", "currency": "EUR", "position": 1, "mktPrice": 1, "unrealizedPnl": 5.0}
    text = positions(
        held | {"contractDesc": "IDX", "assetClass": "FUT", "mktValue": 240_000.0},
        held | {"contractDesc": "EUR.USD", "assetClass": "CASH", "mktValue": 7_000.0},
        held | {"contractDesc": "AAA", "assetClass": "STK", "mktValue": 100.0},
        summary={"U1": {"netliquidation": {"amount": 7_100.0, "currency": "EUR"}}},
        ledger={"U1": {"BASE": {"cashbalance": 7_000.0, "netliquidationvalue": 7_100.0, "futuresonlypnl": 5.0}}},
    )
    found = {line.split()[0]: line.split() for line in text.splitlines()}
    assert found["IDX"][1:] == ["FUT", "exposure", "1", "1.00", "240,000.00", "5.00", "EUR", "0.00", "240,000.00"]
    assert found["EUR.USD"][1:4] == ["CASH", "in", "cash"]
    assert found["total"] == ["total", "100.00", "240,000.00", "1.4", "%"]
    assert text.splitlines()[-3:] == [
        "exposure 240,000.00 EUR, in no other sum",
        "cash 7,000.00 + positions 100.00 = 7,100.00 EUR; futures have made 5.00 of the cash today",
        "net liquidation value 7,100.00 EUR",
    ]


def test_rows_of_one_contract_can_be_told_apart() -> None:
    row = {
        "acctId": "U1",
        "contractDesc": "A",
        "assetClass": "STK",
        "conid": 5,
        "position": 1,
        "mktValue": 2.0,
        "mktPrice": 2,
    }
    assert positions(row | {"model": "Growth"}, row | {"model": "Income"}).startswith("Model ")
    assert " Conid " in positions(row, row | {"conid": 6}).splitlines()[0]
    assert "Model" not in positions(row)


# Summary.


def test_the_summary_begins_with_what_counts(one: Snapshot) -> None:
    text = format_resource(one, "summary")
    assert lines(text)[0] == ["U1234567", "EUR"]
    assert text.splitlines()[2].split() == ["Net", "liquidation", "value", "729,114.55"]
    assert "Cushion" in text
    assert "sma" not in text


def test_all_of_the_summary(one: Snapshot) -> None:
    text = format_resource(one, "summary", everything=True)
    shown = {line[0] for line in lines(text)[2:]}
    assert shown == {key.removesuffix("-s").removesuffix("-c") for key in one["summary"]["U1234567"]}


def test_the_summary_of_several_accounts_has_totals(three: Snapshot) -> None:
    text = format_resource(three, "summary")
    assert text.splitlines()[0].split() == [*(word for name in THREE for word in (name, "EUR")), "Total", "EUR"]
    assert text.splitlines()[2].endswith("2,211,326.88")


def test_the_summary_of_many_accounts_has_a_row_for_each() -> None:
    many = Snapshot(simulated(NOON, accounts=8, positions=2).encode())
    text = format_resource(many, "summary").splitlines()
    assert text[0].startswith("Account ")
    assert len(text) == 2 + 8 + 2
    assert text[-1].startswith("total ")


def test_currencies_that_differ_are_not_added() -> None:
    parts = {
        name: {"netliquidation": {"amount": 1.0, "currency": currency}}
        for name, currency in (("A", "EUR"), ("B", "USD"))
    }
    assert "Total" not in format_resource(snapshot_of({"summary": parts}, ("A", "B")), "summary")


def test_a_sum_with_a_hole_says_so() -> None:
    def record(amount: object) -> dict[str, Any]:
        return {"netliquidation": {"amount": amount, "currency": "EUR"}}

    parts = {"A": record(1.5), "B": record("1,000"), "C": record("N/A")}
    text = format_resource(snapshot_of({"summary": parts}, ("A", "B", "C")), "summary").splitlines()
    assert text[2].split()[3:] == ["1.50", "1,000.00", "N/A", "1,001.50"]
    assert text[-1] == "Net liquidation value: the sum is without C"
    rows = {name: {"BASE": {"cashbalance": 1e300 if name == "B" else 2, "stockmarketvalue": "x"}} for name in "AB"}
    parts = {name: {"netliquidation": {"amount": 1, "currency": "EUR"}} for name in "AB"}
    text = format_resource(snapshot_of({"ledger": rows, "summary": parts}, ("A", "B")), "ledger").splitlines()
    assert "Cash: the sum is without B total EUR" in text
    values = {"assetClass": {"long": {"STK": 5, "OPT": "N/A"}, "short": {}}}
    text = format_resource(snapshot_of({"allocation": {"U1": values}}), "allocation").splitlines()
    assert text[-1] == "Asset class: the sum is without OPT long U1"
    assert [line.split() for line in text[2:4]] == [["STK", "5.00", "100.0", "%"], ["OPT"]]


def test_accounts_with_other_base_currencies_are_not_added() -> None:
    other = Snapshot(simulated(NOON, accounts=3, positions=4, bases=("EUR", "USD")).encode())
    text = format_resource(other, "positions").splitlines()
    totals = [line.split() for line in text if line.startswith("total")]
    assert [line[2] for line in totals] == ["EUR", "USD"]
    assert [line.split()[-1] for line in text if line.startswith("net liquidation")] == ["EUR", "USD"]
    assert [line.split()[:4] for line in format_resource(other, "ledger").splitlines()[-1:]] == [
        ["2", "accounts", "total", "EUR"]
    ]
    assert "Total" not in format_resource(other, "summary")
    assert format_resource(other, "allocation").count("U1234567, U1234569\n") == 3


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        ({"amount": 1234.5, "currency": "EUR", "value": None}, "1,234.50"),
        ({"amount": 1234.5, "currency": "EUR", "value": "1234.5"}, "1,234.50"),
        ({"amount": 0.0, "currency": None, "value": "0.97"}, "0.97"),
        ({"amount": 5.0, "currency": "EUR", "isNull": True}, ""),
        ({"amount": None, "currency": "EUR"}, ""),
        ("text", "text"),
        (None, ""),
    ],
)
def test_a_record_of_the_summary(record: object, shown: str) -> None:
    text = format_resource(snapshot_of({"summary": {"U1": {"netliquidation": record}}}), "summary")
    assert text.splitlines()[2].removeprefix("Net liquidation value").strip() == shown


# Ledger.


def test_the_ledger_ends_with_the_base_currency(one: Snapshot) -> None:
    text = format_resource(one, "ledger")
    assert [line[0] for line in lines(text)[2:-2]] == ["CHF", "EUR", "GBP", "JPY", "USD"]
    assert lines(text)[-1][:3] == ["total", "EUR", "45,819.10"]
    assert "Dividends" not in text, "nobody paid any"


def test_all_of_the_ledger(one: Snapshot) -> None:
    text = format_resource(one, "ledger", everything=True)
    assert "Stocks" in text
    assert "Settled cash" in text
    assert "Crypto" not in text


def test_the_ledger_of_several_accounts_has_a_total(three: Snapshot) -> None:
    text = format_resource(three, "ledger")
    assert lines(text)[-1][:4] == ["all", "total", "EUR", "91,013.34"]
    assert text.count("\n\n") == 2


# Allocation.


def test_the_allocation_has_shares(one: Snapshot) -> None:
    text = format_resource(one, "allocation")
    assert [block.split()[0] for block in text.split("\n\n")] == ["Asset", "Sector", "Group"]
    assert "STK          581,158.26    0.00  581,158.26   79.7 %" in text
    assert lines(text)[-1] == ["total", "683,290.46", "100.0", "%"]


def test_long_tables_of_the_allocation_are_cut_unless_all_is_wanted() -> None:
    values = {f"group {number}": float(100 - number) for number in range(30)}
    part = {"allocation": {"U1": {"group": {"long": values, "short": {}}}}}
    text = format_resource(snapshot_of(part), "allocation")
    assert "20 others" in text
    assert len(text.splitlines()) == 2 + 11 + 2
    assert len(format_resource(snapshot_of(part), "allocation", everything=True).splitlines()) == 2 + 30 + 2


def test_the_allocation_of_several_accounts_is_added_up(three: Snapshot) -> None:
    text = format_resource(three, "allocation")
    assert "CASH            91,055.46   -42.12     91,013.34    4.1 %" in text


def test_what_ibkr_has_added_up(three: Snapshot) -> None:
    """The same as what we add up."""
    one = three["allocation"]["U1234568"]
    added = format_resource(snapshot_of({"allocation": {"U1": one}}), "allocation")
    assert format_resource(snapshot_of({"consolidated_allocation": one}), "consolidated_allocation") == added


# Performance.


def test_performance_by_month(one: Snapshot) -> None:
    text = format_resource(one, "performance")
    first, last = text.splitlines()[2], text.splitlines()[-1]
    assert first.split()[1] == "744,396.11"
    assert last.split()[1:] == ["729,114.55", "+3.91", "%", "-2.05", "%"]
    assert 13 <= len(text.splitlines()) - 2 <= 14


def test_returns_of_months_make_the_cumulative_one(one: Snapshot) -> None:
    rows = format_resource(one, "performance", everything=True).splitlines()[3:]
    product = 1.0
    for row in rows:
        product *= 1 + float(row.split()[2]) / 100
    assert product - 1 == pytest.approx(float(rows[-1].split()[4]) / 100, abs=0.01)


def test_performance_of_several_is_not_taken_apart(three: Snapshot) -> None:
    assert format_resource(three, "performance")
    with pytest.raises(UsageError, match="together"):
        format_resource(three.narrowed((), THREE[:1]), "performance")


def test_periods(three: Snapshot) -> None:
    text = format_resource(three, "periods")
    blocks = text.split("\n\n")
    assert [block.split()[0] for block in blocks] == list(THREE)
    assert [line[0] for line in lines(blocks[0])[2:]] == ["1D", "7D", "MTD", "1M", "YTD", "1Y"]


# The last line, and what is there.


@pytest.mark.parametrize(
    ("later", "text"),
    [
        (timedelta(seconds=5), "saved 5 s ago, 2026-11-22 12:00 UTC; account U1"),
        (timedelta(hours=3, minutes=2), "saved 3 h 2 min ago, 2026-11-22 12:00 UTC; account U1"),
        (timedelta(days=-1), "saved in the future by this machine's clock, 2026-11-22 12:00 UTC; account U1"),
    ],
)
def test_the_age(later: timedelta, text: str) -> None:
    assert snapshot_overview.age_line(NOON, ("U1",), NOON + later) == text


def test_many_accounts_are_not_all_named() -> None:
    assert snapshot_overview.age_line(NOON, [f"U{number}" for number in range(50)], NOON).endswith("U3, U4 and 45 more")


def test_what_is_there(three: Snapshot, tmp_path: Any) -> None:
    copies = [DatedCopy(tmp_path, NOON - timedelta(days=1)), DatedCopy(tmp_path, NOON)]
    text = snapshot_overview.snapshot_table(three, copies)
    assert "positions       15 rows  2026-11-22 12:00" in text
    assert text.splitlines()[-1] == "2 dated copies, 2026-11-21 12:00 to 2026-11-22 12:00 UTC: --at DATE, --list"
    assert "copies" not in snapshot_overview.snapshot_table(three, [])


# Anything.

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "U1",
                    "BASE",
                    "long",
                    "nav",
                    "cps",
                    "data",
                    "returns",
                    "dates",
                    "netliquidation",
                    "amount",
                    "acctId",
                    "mktValue",
                    "startNAV",
                    "periods",
                    "1D",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
VIEWS = ("positions", "summary", "ledger", "allocation", "consolidated_allocation", "performance", "periods", "trades")


@pytest.mark.parametrize("resource", VIEWS)
@given(part=ANYTHING, other=ANYTHING, everything=st.booleans())
def test_whatever_ibkr_sends_is_shown_or_told(resource: str, part: Any, other: Any, *, everything: bool) -> None:
    """No shape ends in a traceback."""
    try:
        text = format_resource(snapshot_of({"ledger": other, "summary": other, "accounts": other, resource: part}),
                               resource, everything=everything)  # fmt: skip
    except IbkrError as error:
        text = error.message
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", escape_control_characters(text))
