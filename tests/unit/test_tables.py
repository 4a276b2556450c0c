"""Lists for people: a line for each row, aligned whatever the letters, no wider than the terminal if that can be."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.fetch.cells import columns_of, plain
from ibkr_tools.fetch.formats import Rows, answer_rows, output_rows, snapshot_rows
from ibkr_tools.fetch.tables import VIEWS, Column, View, as_table
from ibkr_tools.portal.endpoints import READS


def row(**changes: Any) -> dict[str, Any]:
    """Returns one position."""
    fields = {
        "acctId": "U1234567",
        "contractDesc": "QQQ",
        "assetClass": "STK",
        "position": 3.0,
        "mktPrice": 584.6799927,
        "mktValue": 1754.04,
        "unrealizedPnl": 1.1,
        "currency": "USD",
    }
    return fields | changes


def positions(*rows: object) -> Rows:
    """Returns positions as they come from IBKR."""
    return answer_rows(json.dumps(rows, ensure_ascii=False).encode(), READS["positions"])


def outputs(*values: object) -> Rows:
    """Returns what a jq program made."""
    return output_rows([json.dumps(value, ensure_ascii=False) for value in values])


def test_positions_are_ordered_by_value_with_totals() -> None:
    text = as_table(
        positions(
            row(),
            row(contractDesc="BIG", position=1_234_567, mktValue=-9_000_000.5, currency="EUR"),
            row(contractDesc="NONE", mktValue=None, mktPrice=None, unrealizedPnl=None, position=0.00000001),
        )
    )
    lines = text.splitlines()
    assert [line.split()[1] for line in lines[2:5]] == ["BIG", "QQQ", "NONE"]
    assert "1,234,567 " in lines[2], "a quantity keeps its digits"
    assert "-9,000,000.50" in lines[2]
    assert " 3 " in lines[3]
    assert "0.00000001" in lines[4]
    assert lines[-1] == "3 positions; market value -9,000,000.50 EUR, 1,754.04 USD"


def test_totals_are_exact() -> None:
    """0.1 is not a double, and a thousand of them are a hundred."""
    assert as_table(positions(*[row(mktValue=0.1)] * 1000)).endswith("1000 positions; market value 100.00 USD")


def test_fresh_positions_have_other_names() -> None:
    fresh = {"conid": "1", "description": "QQQ", "marketPrice": 5.0, "marketValue": 10.0, "position": 2.0}
    document = json.dumps({"positions": [fresh | {"acctId": "U1", "secType": "STK", "currency": "USD"}]}).encode()
    text = as_table(snapshot_rows(document))
    assert text.splitlines()[2].split() == ["U1", "QQQ", "STK", "2", "5.00", "10.00", "USD"]


def test_an_empty_account_and_one_position() -> None:
    lines = as_table(positions()).splitlines()
    assert (lines[0].split()[0], lines[-1]) == ("Account", "0 positions")
    assert as_table(positions(row())).splitlines()[-1].startswith("1 position;")


def test_a_long_table_can_be_cut() -> None:
    text = as_table(positions(*[row(conid=number) for number in range(30)]), most=10)
    assert "… and 20 more" in text
    assert "30 positions" in text
    assert "more" not in as_table(positions(*[row()] * 30))


def test_rows_that_are_no_objects_are_shown() -> None:
    lines = as_table(positions(row(), 7)).splitlines()
    assert lines[0].endswith("value")
    assert lines[3].strip() == "7"


def test_a_summary_is_its_texts_and_amounts() -> None:
    payload = {
        "U1": {
            "netliquidation": {"amount": 12345.678, "currency": "EUR", "value": None},
            "accounttype": {"amount": 0.0, "currency": None, "value": "INDIVIDUAL"},
            "lookaheadnextchange": {"amount": 0.0, "currency": None, "value": "1711627200"},
        }
    }
    lines = as_table(snapshot_rows(json.dumps({"summary": payload}).encode())).splitlines()
    assert lines[2].split() == ["U1", "netliquidation", "12,345.68", "EUR"]
    assert lines[3].split() == ["U1", "accounttype", "INDIVIDUAL"]
    assert lines[4].split() == ["U1", "lookaheadnextchange", "1711627200"]
    assert lines[-1] == "3 rows"


def test_allocation_and_ledger() -> None:
    allocation = {"U1": {"assetClass": {"long": {"STK": 30613.4}, "short": {"CASH": -12}}}}
    lines = as_table(snapshot_rows(json.dumps({"allocation": allocation}).encode())).splitlines()
    assert lines[2].split() == ["U1", "assetClass", "STK", "30,613.40"]
    assert lines[3].split() == ["U1", "assetClass", "CASH", "-12.00"]
    ledger = {"U1": {"USD": {"cashbalance": 1200.5, "exchangerate": 0.9234567, "currency": "USD"}}}
    lines = as_table(snapshot_rows(json.dumps({"ledger": ledger}).encode())).splitlines()
    assert lines[2].split() == ["U1", "USD", "1,200.50", "0.923457"]


# Whatever else.


def test_columns_that_nobody_has_chosen() -> None:
    """Numbers with a point are lined up at it; what is nested or empty everywhere is left out, and said."""
    text = as_table(
        outputs(
            {"conid": 265598, "price": 584.6799927, "legs": [1], "none": None, "desc": "a"},
            {"conid": 1, "price": 12, "desc": "b"},
        )
    )
    assert text.splitlines() == [
        " conid     price  desc",
        "──────  ────────  ────",
        "265598  584.6800  a",
        "     1   12.0000  b",
        "2 rows; 3 of 5 columns, --format csv has all",
    ]


def test_small_numbers_keep_more_digits() -> None:
    assert "0.000250" in as_table(outputs({"r": 0.00025}, {"r": -0.0000012}))


def test_what_is_rounded_to_nothing_has_no_sign() -> None:
    assert "-" not in as_table(positions(row(mktValue=-0.001, unrealizedPnl=-0.0, position=-0.0, contractDesc="x")))


@pytest.mark.parametrize("number", ["1e300", "123456789012345678901234567890", "1e-300"])
def test_a_number_that_nobody_could_read_is_as_it_was_written(number: str) -> None:
    assert number in as_table(output_rows([f'{{"n":{number}}}']))


def test_a_number_in_quotes_is_a_number() -> None:
    lines = as_table(outputs({"price": "192.26"}, {"price": "1.5"})).splitlines()
    assert lines[2:4] == ["192.26", "   1.5"]


def test_amounts_in_words_are_lined_up_too() -> None:
    lines = as_table(
        outputs({"cash": "2,345 EUR", "x": "5%"}, {"cash": "-12 EUR", "x": "12.5%"}, {"x": ""})
    ).splitlines()
    assert lines[2:4] == ["2,345 EUR     5%", "  -12 EUR  12.5%"]


def test_nothing_at_all() -> None:
    assert as_table(outputs()) == "0 rows"


def test_other_columns_can_be_asked_for() -> None:
    view = View((Column("Contract", ("contractDesc",)),), noun="line")
    assert as_table(positions(row()), view=view).splitlines() == ["Contract", "────────", "QQQ", "1 line"]


@pytest.mark.parametrize("name", list(VIEWS))
def test_every_view_is_of_a_resource(name: str) -> None:
    assert name in READS
    assert as_table(answer_rows(b"[]", READS[name])).splitlines()[0].split()


# Terminals.


@pytest.mark.parametrize(
    ("text", "columns"),
    [("QQQ", 3), ("KÖEN", 4), ("漢字", 4), ("e\u0301", 1), ("ﬀ", 1), ("🔑", 2), ("ｶ", 1), ("\uff21", 2), ("", 0)],
)
def test_how_wide_letters_are(text: str, columns: int) -> None:
    assert columns_of(text) == columns


def test_wide_letters_are_aligned() -> None:
    lines = as_table(
        positions(row(contractDesc="漢字テスト"), row(contractDesc="e\u0301\u0301"), row(contractDesc="Jörg"))
    ).splitlines()
    ends = {columns_of(line[: line.index("STK")]) for line in lines[2:5]}
    assert len(ends) == 1


def test_nothing_moves_the_cursor() -> None:
    text = as_table(positions(row(contractDesc="\x1b[2J\r\n\tX\u202e\u200bY\x9b")))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert plain("a\n\tb \x1b[0m\u202e") == "a b [0m"


def test_a_table_fits_the_terminal() -> None:
    """Texts are cut, numbers never."""
    wide = positions(row(contractDesc="A very long description of one contract 20270618 331 C [漢字]" * 2))
    assert max(map(columns_of, as_table(wide).splitlines())) > 120
    lines = as_table(wide, width=100).splitlines()
    assert max(map(columns_of, lines[:-1])) <= 100
    assert "…" in lines[2]
    assert "1,754.04" in as_table(wide, width=20)


def test_as_many_columns_as_fit() -> None:
    text = as_table(outputs({f"column{number}": "x" * 50 for number in range(20)}), width=100)
    assert max(map(columns_of, text.splitlines())) <= 100
    assert text.endswith("1 row; 2 of 20 columns, --format csv has all")


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
KEYS = ("acctId", "contractDesc", "assetClass", "position", "mktPrice", "mktValue", "unrealizedPnl", "currency")


@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), CELLS) | CELLS, max_size=5),
    st.none() | st.integers(1, 200),
)
def test_any_row_can_be_shown(rows: list[Any], width: int | None) -> None:
    """Fields come as numbers, texts or null; each row has one line, and nobody's letters break it."""
    text = as_table(positions(*rows), width=width)
    lines = text.split("\n")
    assert len(lines) == len(rows) + 3
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    generic = as_table(outputs(*rows), width=width).split("\n")
    assert len(generic) in {len(rows) + 3, 1}


@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20))
def test_any_totals(amounts: list[Decimal]) -> None:
    raw = "[" + ",".join(f'{{"mktValue":{amount},"currency":"EUR","contractDesc":"x"}}' for amount in amounts) + "]"
    text = as_table(answer_rows(raw.encode(), READS["positions"]))
    assert text.endswith(f"; market value {sum(amounts, Decimal(0)) + 0:,.2f} EUR")
