"""Tables of a saved snapshot: what is in them, and that nothing IBKR sends can break them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.cli.views import allocation, ledger, overview, performance, positions, summary
from ibkr_tools.cli.views.grid import amount, grid, number, percent, plain, quantity
from ibkr_tools.errors import DataError, IbkrError, UsageError
from ibkr_tools.fetch.saved import Snapshot
from ibkr_tools.fetch.store import Copy
from tests.support.saved import simulated

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE = ("U1234567",)
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


# Positions.


def test_positions_are_ordered_by_value_with_weights(one: Snapshot) -> None:
    text = positions.view(one, ONE, everything=False).splitlines()
    assert text[0].split() == [
        "Position",
        "Class",
        "Quantity",
        "Price",
        "Value",
        "Unrealized",
        "Value",
        "EUR",
        "Weight",
    ]
    assert text[2].split()[-2:] == ["30.2", "%"]
    assert text[2].startswith("GOTE")
    values = [float(line.split()[-3].replace(",", "")) for line in text[2:13]]
    assert values == sorted(values, reverse=True)
    assert text[-3].split() == ["total", "683,290.46", "93.7", "%"]
    assert text[-2] == "11 positions worth 683,290.46 EUR, unrealized 24,480.01 EUR; 1 closed, shown by --all"
    assert text[-1] == "net liquidation value 729,109.56 EUR"


def test_all_positions_include_closed_ones_and_what_they_cost(one: Snapshot) -> None:
    text = positions.view(one, ONE, everything=True)
    assert "BATE" in text
    assert "Avg. cost" in text
    assert "closed" not in text


def test_positions_of_several_accounts_name_them(three: Snapshot) -> None:
    text = positions.view(three, THREE, everything=False)
    assert text.startswith("Account ")
    own = positions.view(three.narrowed((), ("U1234568",)), ("U1234568",), everything=False)
    assert "Account" not in own
    assert "-662.29" in own, "a short position"


def test_without_a_ledger_nothing_is_converted() -> None:
    rows = [
        {"acctId": "U1", "contractDesc": "A", "position": 2, "mktValue": 10.5, "currency": "USD"},
        {"acctId": "U1", "contractDesc": "B", "position": "3", "mktValue": "-20", "currency": "EUR"},
        {"acctId": "U1", "contractDesc": None, "conid": 7, "position": None},
    ]
    text = positions.view({"positions": rows}, ("U1",), everything=False)
    assert "Weight" not in text
    assert text.splitlines()[-1] == "3 positions worth 0.00 ?, -20.00 EUR, 10.50 USD"
    assert [line[0] for line in lines(text)[2:5]] == ["B", "A", "7"]


def test_positions_past_ibkrs_cache_have_other_names() -> None:
    row = {"acctId": "U1", "description": "QQQ", "secType": "STK", "position": 3.0, "conid": "320227571"}
    row |= {"marketPrice": 584.67999, "marketValue": 1754.04, "unrealizedPnl": 1.1, "currency": "USD"}
    text = positions.view({"positions": [row]}, ("U1",), everything=False)
    assert text.splitlines()[2].split() == ["QQQ", "STK", "3", "584.68", "1,754.04", "1.10", "USD"]


def test_a_position_of_no_known_account_is_shown_too() -> None:
    """Whatever IBKR writes there: no row is lost on the way to the table."""
    rows = [{"acctId": whose, "contractDesc": "A", "position": 1, "mktValue": 2.0} for whose in ("U1", None, "U1.X")]
    text = positions.view({"positions": rows}, ("U1",), everything=False)
    assert text.splitlines()[-1] == "3 positions worth 6.00 ?"


def test_no_positions() -> None:
    text = positions.view({"positions": []}, ("U1",), everything=False)
    assert text.splitlines()[-1] == "0 positions"


def test_rows_that_are_not_objects_are_told() -> None:
    with pytest.raises(DataError, match="not objects"):
        positions.view({"positions": [5]}, ("U1",), everything=False)


# Summary.


def test_the_summary_begins_with_what_counts(one: Snapshot) -> None:
    text = summary.view(one, ONE, everything=False)
    assert lines(text)[0] == ["U1234567", "EUR"]
    assert text.splitlines()[2].split() == ["Net", "liquidation", "value", "729,109.56"]
    assert "Cushion" in text
    assert "sma" not in text


def test_all_of_the_summary(one: Snapshot) -> None:
    text = summary.view(one, ONE, everything=True)
    shown = {line[0] for line in lines(text)[2:]}
    assert shown == {key.removesuffix("-s").removesuffix("-c") for key in one["summary"]["U1234567"]}


def test_the_summary_of_several_accounts_has_totals(three: Snapshot) -> None:
    text = summary.view(three, THREE, everything=False)
    assert text.splitlines()[0].split() == [*(word for name in THREE for word in (name, "EUR")), "Total", "EUR"]
    assert text.splitlines()[2].endswith("2,211,311.94")


def test_the_summary_of_many_accounts_has_a_row_for_each() -> None:
    many = Snapshot(simulated(NOON, accounts=8, positions=2).encode())
    text = summary.view(many, many.covers.accounts, everything=False).splitlines()
    assert text[0].startswith("Account ")
    assert len(text) == 2 + 8 + 2
    assert text[-1].startswith("total ")


def test_currencies_that_differ_are_not_added() -> None:
    parts = {
        name: {"netliquidation": {"amount": 1.0, "currency": currency}}
        for name, currency in (("A", "EUR"), ("B", "USD"))
    }
    assert "Total" not in summary.view({"summary": parts}, ("A", "B"), everything=False)


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
    text = summary.view({"summary": {"U1": {"netliquidation": record}}}, ("U1",), everything=False)
    assert text.splitlines()[2].removeprefix("Net liquidation value").strip() == shown


# Ledger.


def test_the_ledger_ends_with_the_base_currency(one: Snapshot) -> None:
    text = ledger.view(one, ONE, everything=False)
    assert [line[0] for line in lines(text)[2:-2]] == ["CHF", "EUR", "GBP", "JPY", "USD"]
    assert lines(text)[-1][:3] == ["total", "EUR", "45,819.10"]
    assert "Dividends" not in text, "nobody paid any"


def test_all_of_the_ledger(one: Snapshot) -> None:
    text = ledger.view(one, ONE, everything=True)
    assert "Stocks" in text
    assert "Settled cash" in text
    assert "Crypto" not in text


def test_the_ledger_of_several_accounts_has_a_total(three: Snapshot) -> None:
    text = ledger.view(three, THREE, everything=False)
    assert lines(text)[-1][:4] == ["all", "total", "EUR", "91,013.34"]
    assert text.count("\n\n") == 2


# Allocation.


def test_the_allocation_has_shares(one: Snapshot) -> None:
    text = allocation.view(one, ONE, everything=False)
    assert [block.split()[0] for block in text.split("\n\n")] == ["Asset", "Sector", "Group"]
    assert "STK          581,158.26    0.00  581,158.26   79.7 %" in text
    assert lines(text)[-1] == ["total", "683,290.46", "100.0", "%"]


def test_long_tables_of_the_allocation_are_cut_unless_all_is_wanted() -> None:
    values = {f"group {number}": float(100 - number) for number in range(30)}
    part = {"allocation": {"U1": {"group": {"long": values, "short": {}}}}}
    text = allocation.view(part, ("U1",), everything=False)
    assert "20 others" in text
    assert len(text.splitlines()) == 2 + 11 + 2
    assert len(allocation.view(part, ("U1",), everything=True).splitlines()) == 2 + 30 + 2


def test_the_allocation_of_several_accounts_is_added_up(three: Snapshot) -> None:
    text = allocation.view(three, THREE, everything=False)
    assert "CASH            91,055.46   -42.12     91,013.34    4.1 %" in text


def test_what_ibkr_has_added_up(three: Snapshot) -> None:
    """The same as what we add up."""
    one = three["allocation"]["U1234568"]
    added = allocation.view({"allocation": {"U1": one}}, ("U1",), everything=False)
    assert allocation.consolidated({"consolidated_allocation": one}, ("U1",), everything=False) == added


# Performance.


def test_performance_by_month(one: Snapshot) -> None:
    text = performance.view(one, ONE, everything=False)
    first, last = text.splitlines()[2], text.splitlines()[-1]
    assert first.split()[1] == "744,391.02"
    assert last.split()[1:] == ["729,109.56", "+3.91", "%", "-2.05", "%"]
    assert 13 <= len(text.splitlines()) - 2 <= 14


def test_returns_of_months_make_the_cumulative_one(one: Snapshot) -> None:
    rows = performance.view(one, ONE, everything=True).splitlines()[3:]
    product = 1.0
    for row in rows:
        product *= 1 + float(row.split()[2]) / 100
    assert product - 1 == pytest.approx(float(rows[-1].split()[4]) / 100, abs=0.01)


def test_performance_of_several_is_not_taken_apart(three: Snapshot) -> None:
    assert performance.view(three, THREE, everything=False)
    with pytest.raises(UsageError, match="together"):
        performance.view(three, ONE, everything=False)


def test_periods(three: Snapshot) -> None:
    text = performance.periods(three, THREE, everything=False)
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
    assert overview.age(NOON, ("U1",), NOON + later) == text


def test_many_accounts_are_not_all_named() -> None:
    assert overview.age(NOON, [f"U{number}" for number in range(50)], NOON).endswith("U3, U4 and 45 more")


def test_what_is_there(three: Snapshot, tmp_path: Any) -> None:
    copies = [Copy(tmp_path, NOON - timedelta(days=1)), Copy(tmp_path, NOON)]
    text = overview.view(three, copies)
    assert "positions       15 rows  2026-11-22 12:00" in text
    assert text.splitlines()[-1] == "2 dated copies, 2026-11-21 12:00 to 2026-11-22 12:00 UTC: --at DATE"
    assert "copies" not in overview.view(three, [])


# Cells.


def test_the_grid_counts_what_a_terminal_shows() -> None:
    text = grid(["Name ", "N"], [["日本", "1"], ["e\u0301", "22"], [], ["", "3"]], [["all", "26"]])
    assert text.splitlines() == [
        "Name   N",
        "────  ──",
        "日本   1",
        "e\u0301     22",
        "",
        "       3",
        "────  ──",
        "all   26",
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [(1, 1.0), ("12.25", 12.25), ("x", None), (None, None), (True, None), ("nan", None), ("1e999", None), ({}, None)],
)
def test_numbers(value: object, found: float | None) -> None:
    assert number(value) == found


def test_numbers_as_people_read_them() -> None:
    assert [amount(-0.001), amount(1234.5), amount(None)] == ["0.00", "1,234.50", ""]
    assert [quantity(0.00000001), quantity(1_234_567), quantity(-0.5), quantity(None)] == [
        "0.00000001",
        "1,234,567",
        "-0.5",
        "",
    ]
    assert [percent(0.1234), percent(-0.00001, signed=True), percent(None)] == ["12.3 %", "+0.0 %", ""]
    assert plain("a\x1b[2Jb\n  c") == "a [2Jb c"


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
VIEWS = {
    "positions": positions.view,
    "summary": summary.view,
    "ledger": ledger.view,
    "allocation": allocation.view,
    "consolidated_allocation": allocation.consolidated,
    "performance": performance.view,
    "periods": performance.periods,
}


@pytest.mark.parametrize("resource", VIEWS)
@given(part=ANYTHING, other=ANYTHING, everything=st.booleans())
def test_whatever_ibkr_sends_is_shown_or_told(resource: str, part: Any, other: Any, *, everything: bool) -> None:
    """No shape ends in a traceback."""
    try:
        text = VIEWS[resource](
            {"ledger": other, "summary": other, "accounts": other, resource: part}, ("U1",), everything=everything
        )
    except IbkrError as error:
        text = error.message
    assert text.isprintable() or "\n" in text
