"""Days, times and numbers as Flex statements write them."""

from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.flex.flex_values import FlexValueError, parse_day, parse_decimal, parse_timestamp

DAY = date(2026, 1, 5)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "20260105",
            "2026-01-05",
            "20260105;093000",
            "20260105 093000",
            "2026-01-05;09:30:00",
            "2026-01-05, 19:45:00",
        ),
        *("2026-01-05;093000", "20260105,093000", "20260105093000", "20260105;093000 EST", "2026-01-05T09:30:00"),
        " 20260105 ",
    ],
)
def test_a_day_is_read_in_every_format_that_begins_with_the_year(text: str) -> None:
    assert parse_day(text) == DAY


@pytest.mark.parametrize(
    "text",
    [
        *("01/05/2026", "05/01/26", "05-JAN-26", "2026/01/05", "20260132", "20261301", "2026-0105", "202601", "x"),
        *(
            "20260105;2530",
            "20260105;250000",
            "\u0662\u0660\u0662\u0666\u0660\u0661\u0660\u0665",
            "20260105;093000;1",
            "MULTI 2026",
        ),
    ],
)
def test_a_day_that_could_be_another_one_is_refused(text: str) -> None:
    """03/04/2026 is a day of March in one format and of April in another."""
    with pytest.raises(FlexValueError):
        parse_day(text)


@pytest.mark.parametrize("text", ["", "-", "--", "N/A", "MULTI", " "])
def test_nothing_is_nothing(text: str) -> None:
    assert parse_day(text) is None
    assert parse_timestamp(text) is None
    assert parse_decimal(text) is None


def test_a_time_has_no_zone() -> None:
    assert parse_timestamp("20260312;060808") == datetime.fromisoformat("2026-03-12T06:08:08")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("52.122809312", "52.122809312"),
        ("-0", "0"),
        ("-1,234,567.5", "-1234567.5"),
        ("1E-7", "1E-7"),
        ("0", "0"),
        ("+3", "3"),
    ],
)
def test_a_number_is_exact(text: str, value: str) -> None:
    number = parse_decimal(text)
    assert number == Decimal(value)
    assert number is not None
    assert not (number.is_zero() and number.is_signed())


@pytest.mark.parametrize(
    "text", ["1,23", "NaN", "Infinity", "1.2.3", "0x10", "1_000", "12,34.5", "1e999", "9" * 61, "\u0661"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(FlexValueError):
        parse_decimal(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**12), max_value=10**12))
def test_any_number_of_ibkr_comes_back(number: Decimal) -> None:
    assert parse_decimal(f"{number:f}") == number


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    for parse in (parse_timestamp, parse_decimal):
        with suppress(FlexValueError):
            parse(text)
