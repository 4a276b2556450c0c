"""Periods by name."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import UsageError
from ibkr_tools.history.periods import EXAMPLES, parse_period

TODAY = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("ytd", "2026-01-01", "2026-03-31"),
        ("YTD", "2026-01-01", "2026-03-31"),
        ("mtd", "2026-03-01", "2026-03-31"),
        ("1y", "2025-04-01", "2026-03-31"),
        ("1m", "2026-03-01", "2026-03-31"),
        ("6m", "2025-10-01", "2026-03-31"),
        ("1w", "2026-03-25", "2026-03-31"),
        ("1d", "2026-03-31", "2026-03-31"),
        ("2024", "2024-01-01", "2024-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2025-Q1", "2025-01-01", "2025-03-31"),
        ("2025-q4", "2025-10-01", "2025-12-31"),
        ("2025-03-04", "2025-03-04", "2025-03-04"),
    ],
)
def test_the_days_of_a_period(text: str, first: str, last: str) -> None:
    assert parse_period(text, TODAY) == (date.fromisoformat(first), date.fromisoformat(last))


def test_all_has_no_ends() -> None:
    assert parse_period("all", TODAY) == (None, None)


@pytest.mark.parametrize(
    "text", ["", "year", "0y", "9999y", "2025-13", "2025-Q5", "0000", "2025-02-30", "1.5y", "-1y", "2025-3", "\u0661y"]
)
def test_what_is_none_is_named_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="ytd, mtd"):
        parse_period(text, TODAY)


def test_the_examples_are_periods() -> None:
    for text in EXAMPLES.replace(" or ", ", ").split(", "):
        parse_period(text, TODAY)


@given(st.dates(min_value=date(1900, 1, 1)), st.integers(1, 40), st.sampled_from("dwmy"))
def test_a_longer_period_begins_earlier(today: date, count: int, unit: str) -> None:
    """All end today, whatever day that is."""
    first, last = parse_period(f"{count}{unit}", today)
    longer, _ = parse_period(f"{count + 1}{unit}", today)
    assert first is not None
    assert longer is not None
    assert longer < first <= today == last
