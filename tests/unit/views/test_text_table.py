"""Lists for people: a line for each row, aligned whatever the letters, no wider than the terminal if that can be."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.fetch.formats import Rows, jq_output_rows, response_rows
from ibkr_tools.number_format import display_width, single_line
from ibkr_tools.portal.endpoints import READS
from ibkr_tools.views import format_rows
from ibkr_tools.views.record_table import LIST_LAYOUTS
from ibkr_tools.views.text_table import Column, format_table, wrap_lines


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
    return response_rows(json.dumps(rows, ensure_ascii=False).encode(), READS["positions"])


def outputs(*values: object) -> Rows:
    """Returns what a jq program made."""
    return jq_output_rows([json.dumps(value, ensure_ascii=False) for value in values])


def test_rows_that_are_no_objects_are_shown() -> None:
    lines = format_rows(positions(row(), 7)).splitlines()
    assert lines[0].endswith("value")
    assert lines[3].strip() == "7"


def test_chosen_columns_of_trades() -> None:
    rows = response_rows(
        json.dumps(
            [
                {"accountCode": "U1", "trade_time": "20260331-18:00:49", "side": "S", "symbol": "AT&amp;T", "size": 5.0,
                 "price": "192.26", "net_amount": 961.3, "commission": "1.01", "sec_type": "STK"},
                {"account": "U1", "symbol": "B", "size": "1,000", "price": "C5", "net_amount": 1e300},
            ]
        ).encode(),
        READS["trades"],
    )  # fmt: skip
    lines = format_rows(rows).splitlines()
    assert lines[2].split() == ["U1", "20260331-18:00:49", "S", "AT&T", "STK", "5", "192.26", "961.30", "1.01"]
    assert lines[3].split() == ["U1", "B", "1,000", "C5", "1E300"]
    assert "symbol" in format_rows(rows, everything=True).splitlines()[0]


# Whatever else.


def test_columns_that_nobody_has_chosen() -> None:
    """Numbers with a point are lined up at it; what is nested or empty everywhere is left out, and said."""
    text = format_rows(
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
    assert "0.000250" in format_rows(outputs({"r": 0.00025}, {"r": -0.0000012}))


def test_what_is_rounded_to_nothing_has_no_sign() -> None:
    assert "-" not in format_rows(positions(row(mktValue=-0.001, unrealizedPnl=-0.0, mktPrice=-0.0, contractDesc="x")))


@pytest.mark.parametrize("number", ["1.7976931348623157E308", "12345678901234567890123", "1E-300"])
def test_a_number_that_is_a_mark_is_as_it_was_written(number: str) -> None:
    assert number in format_rows(jq_output_rows([f'{{"n":{number}}}']))


def test_a_number_in_quotes_is_a_number() -> None:
    lines = format_rows(outputs({"price": "192.26"}, {"price": "1.5"})).splitlines()
    assert lines[2:4] == ["192.26", "   1.5"]


def test_amounts_in_words_are_lined_up_too() -> None:
    lines = format_rows(
        outputs({"cash": "2,345 EUR", "x": "5%"}, {"cash": "-12 EUR", "x": "12.5%"}, {"x": ""})
    ).splitlines()
    assert lines[2:4] == ["2,345 EUR     5%", "  -12 EUR  12.5%"]


def test_nothing_at_all() -> None:
    assert format_rows(outputs()) == "0 rows"


@pytest.mark.parametrize("name", list(LIST_LAYOUTS))
def test_every_list_is_a_resource(name: str) -> None:
    assert name in READS
    assert format_rows(response_rows(b"[]", READS[name])).splitlines()[0].split()


def test_one_mark_among_numbers_is_shown_as_it_came() -> None:
    lines = format_rows(outputs({"x": 1.5}, {"x": "N/A"}, {"x": 2.25})).splitlines()
    assert lines[2:5] == ["1.50", " N/A", "2.25"]


def test_a_table_has_empty_lines_and_totals() -> None:
    columns = [Column("Name", is_text=True), Column("N")]
    text = format_table(columns, [["日本", "1"], ["e\u0301", "22"], ["", ""], ["", "3"]], [["all", "26"]])
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


# Terminals.


@pytest.mark.parametrize(
    ("text", "columns"),
    [("QQQ", 3), ("KÖEN", 4), ("漢字", 4), ("e\u0301", 1), ("ﬀ", 1), ("🔑", 2), ("ｶ", 1), ("\uff21", 2), ("", 0)],
)
def test_how_wide_letters_are(text: str, columns: int) -> None:
    assert display_width(text) == columns


def test_wide_letters_are_aligned() -> None:
    lines = format_rows(
        positions(row(contractDesc="漢字テスト"), row(contractDesc="e\u0301\u0301"), row(contractDesc="Jörg"))
    ).splitlines()
    ends = {display_width(line[: line.index("STK")]) for line in lines[2:5]}
    assert len(ends) == 1


def test_nothing_moves_the_cursor() -> None:
    text = format_rows(positions(row(contractDesc="\x1b[2J\r\n\tX\u202e\u200bY\x9b")))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert single_line("a\n\tb \x1b[0m\u202e") == "a b [0m"


def test_a_table_fits_the_terminal() -> None:
    """Texts are cut, numbers never."""
    wide = positions(row(contractDesc="A very long description of one contract 20270618 331 C [漢字]" * 2))
    assert max(map(display_width, format_rows(wide).splitlines())) > 120
    lines = format_rows(wide, width=100).splitlines()
    assert max(map(display_width, lines[:-1])) <= 100
    assert "…" in lines[2]
    assert "1,754.04" in format_rows(wide, width=20)


def test_as_many_columns_as_fit() -> None:
    text = format_rows(outputs({f"column{number}": "x" * 50 for number in range(20)}), width=100)
    assert max(map(display_width, text.splitlines())) <= 100
    assert text.endswith("\n15 columns left out; --all, or a wider terminal\n1 row")
    assert text.startswith("column0             column1 ")


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
    text = format_rows(positions(*rows), everything=True, width=width)
    lines = text.split("\n")
    assert len(lines) == len(rows) + 3 + ("left out" in text)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    generic = format_rows(outputs(*rows), width=width).split("\n")
    assert len(generic) in {len(rows) + 3 + any("left out" in line for line in generic), 1}


def test_columns_are_left_out_in_the_stated_order_and_counted() -> None:
    """After them the others, the last one first; the first column stays."""
    columns = [Column("Name", is_text=True), *(Column(title) for title in ("A", "B", "C"))]
    rows = [["x", "1" * 20, "2" * 20, "3" * 20]]

    def shown(width: int) -> list[str]:
        table = format_table(columns, rows, [["sum", "", "", "9"]], width=width, leave_out=("B",)).splitlines()
        return [*table[0].split(), *table[5:]]

    assert shown(80) == ["Name", "A", "B", "C"]
    assert shown(69) == ["Name", "A", "C", "1 column left out; --all, or a wider terminal"]
    assert shown(47) == ["Name", "A", "2 columns left out; --all, or a wider terminal"]
    assert shown(10) == ["Name", "3 columns left out; --all, or a wider terminal"]


def test_prose_is_broken_between_words_and_json_is_not() -> None:
    text = "cash 1.00 + positions 2.00 = 3.00 EUR"
    assert wrap_lines(f"table\n{text}", 20) == "table\ncash 1.00 +\n  positions 2.00 =\n  3.00 EUR"
    assert wrap_lines(text, None) == text
    assert wrap_lines(f'{{"a": "{text}"}}', 20) == f'{{"a": "{text}"}}'


def test_prose_is_broken_by_the_columns_that_letters_take() -> None:
    """Two, or none; a word that is longer than a line begins one of its own, and is broken anywhere."""
    assert wrap_lines("cash 日本電信電話 株式会社", 20) == "cash 日本電信電話\n  株式会社"
    assert wrap_lines("cash 日本電信電話株式会社日本", 20) == "cash\n  日本電信電話株式会\n  社日本"
    assert wrap_lines("e\u0301" * 20, 20) == "e\u0301" * 20


@given(
    st.lists(st.fixed_dictionaries(dict.fromkeys(KEYS, CELLS)), min_size=1, max_size=4),
    st.integers(80, 200),
)
def test_no_line_of_a_table_wraps_at_80_columns_and_more(rows: list[Any], width: int) -> None:
    text = wrap_lines(format_rows(positions(*rows), width=width), width)
    assert all(display_width(line) <= width for line in text.split("\n")), text
