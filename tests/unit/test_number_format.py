"""Which values are numbers, in every spelling; sentinels that are none; and how both are formatted."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.number_format import (
    decode_exact,
    display_width,
    exact_product,
    exact_sum,
    format_amount,
    format_figure,
    format_percent,
    format_price,
    format_quantity,
    format_unparsed,
    parse_number,
    single_line,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, "5"),
        (0.1, "0.1"),
        (Decimal("1.10"), "1.10"),
        ("12.25", "12.25"),
        (" 7 ", "7"),
        ("+3.5", "3.5"),
        (".5", "0.5"),
        ("1,234.5", "1234.5"),
        ("-1,234,567", "-1234567"),
        ("4.58191E4", "45819.1"),
        ("-0", "0"),
        (-0.0, "0"),
        ("2147483646", "2147483646"),
        (-1.1368683772161603e-13, "-1.1368683772161603E-13"),
        ("999,999,999,999,999,999", "999999999999999999"),
    ],
)
def test_a_number(value: object, number: str) -> None:
    assert parse_number(value) == Decimal(number)
    assert not str(parse_number(value)).startswith("-0") or parse_number(value)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, "", " ", ".", "-", "e5", "x", "N/A", "nan", "NaN", "Infinity", "-inf", "1e999", {}, [], [5],
        "12,34", "1.234,5", "0,123", "1,2345", ",5", "1 234", "C198.45", "H12", "5%", "5 %", "2,345 EUR", "$5", "(5)",
        "٣", "1_000", "0x10", 1.7976931348623157e308, "1.7976931348623157E308", float("inf"), float("nan"),
        2**31 - 1, -(2**31), "2147483647", 2147483647.0, 2**63 - 1, 10**18, -(10**18), 3.4028234663852886e38, 4.9e-324,
        "1.4E-45", "9" * 500, Decimal("NaN"),
    ],
)  # fmt: skip
def test_no_number(value: object) -> None:
    """Sentinels, other spellings, other things: in no sum, and shown as they came."""
    assert parse_number(value) is None
    if value not in (None, "", " ", True, False) and not isinstance(value, dict | list):
        assert format_figure(value) == format_unparsed(value) != ""


def test_what_is_no_number_is_bearably_wide() -> None:
    assert display_width(format_figure("x" * 5000)) == 24
    assert format_figure(1.7976931348623157e308) == "1.7976931348623157e308".replace("e", "e+")
    assert format_figure(decode_exact(b"1.7976931348623157E308")) == "1.7976931348623157E308"
    assert format_figure("N/A\x1b[2J\n") == "N/A [2J"


def test_sums_are_exact() -> None:
    assert exact_sum([Decimal("0.1")] * 1000) == 100
    assert exact_sum([Decimal(999999999999999999), Decimal("1e-40"), None]) == Decimal(
        f"999999999999999999.{'0' * 39}1"
    )
    assert exact_product(Decimal("1.000000000000000001"), Decimal("1.000000000000000001")) == Decimal(
        "1.000000000000000002000000000000000001"
    )
    assert exact_product(None, Decimal(1)) is None


def test_numbers_as_people_read_them() -> None:
    assert [format_amount(Decimal("-0.001")), format_amount(Decimal("1234.5")), format_amount(None)] == [
        "0.00",
        "1,234.50",
        "",
    ]
    assert [format_quantity(Decimal(text)) for text in ("0.00000001", "1234567", "-0.5", "100")] == [
        "0.00000001",
        "1,234,567",
        "-0.5",
        "100",
    ]
    assert [
        format_price(Decimal(text)) for text in ("584.67999", "2.86352", "5", "0.1234567", "0.5", "-0.0000001")
    ] == [
        "584.68",
        "2.8635",
        "5.00",
        "0.123457",
        "0.50",
        "0.00",
    ]
    assert [
        format_percent(Decimal("0.1234")),
        format_percent(Decimal("-0.00001"), signed=True),
        format_percent(None),
    ] == [
        "12.3 %",
        "+0.0 %",
        "",
    ]


def test_texts_on_one_line() -> None:
    assert single_line("a\x1b[2Jb\n  c") == "a [2Jb c"
    assert single_line("AT&amp;T &#x26; SONS &lt;x&gt; &#10;y") == "AT&T & SONS <x> y"
    assert single_line("R&D; a&b &copy 5 &nosuch; AT&T") == "R&D; a&b &copy 5 &nosuch; AT&T"
    assert single_line({"a": Decimal("1.5")}) == '{"a":"1.5"}'
    assert single_line(None) == ""


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.floats() | st.integers() | st.text(max_size=12))
def test_any_value_is_a_number_or_as_it_came(value: Any) -> None:
    """A number is finite and below every sentinel; what is shown is short and has no negative zero."""
    found = parse_number(value)
    shown = format_figure(value)
    assert display_width(shown) <= 32
    if found is not None:
        assert found.is_finite()
        assert abs(found) < 10**18
        assert parse_number(str(found)) == found
        assert shown.strip("-0.,") or not shown.startswith("-")


@given(st.decimals(-(10**12), 10**12, places=4))
def test_separators_do_not_change_a_number(number: Decimal) -> None:
    assert parse_number(f"{number:,.4f}") == number
