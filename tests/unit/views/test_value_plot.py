"""The plot of values: both lines, one plot for each account and currency, and no colours."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from ibkr_tools.history.flows import ExternalFlow, FlowKind
from ibkr_tools.history.records import AccountValue
from ibkr_tools.views.value_plot import format_value_plot

FIRST = date(2026, 1, 5)


def values(account: str = "U1", currency: str = "EUR", count: int = 30) -> list[AccountValue]:
    days = (FIRST + timedelta(days=number) for number in range(count))
    return [AccountValue(account, day, currency, Decimal(1000 + day.day), None, None, "") for day in days]


def flow(amount: str | None) -> ExternalFlow:
    return ExternalFlow("U1", FIRST + timedelta(days=3), None if amount is None else Decimal(amount), FlowKind.DEPOSIT)


def test_values_and_what_was_paid_in() -> None:
    plot = format_value_plot(values(), [flow("500")])
    lines = plot.splitlines()
    assert lines[0].strip() == "U1, EUR"
    assert "value" in plot
    assert "paid in" in plot
    # What was paid in rises to 1,505, above all values.
    assert "1,505┤" in plot
    assert "1,001┤" in plot
    assert "2026-01-05" in lines[-1]
    assert "\x1b" not in plot


@pytest.mark.parametrize("width", [60, 120])
def test_it_is_as_wide_as_the_terminal(width: int) -> None:
    assert max(map(len, format_value_plot(values(), [], width=width).splitlines())) <= width


def test_what_is_not_known_is_not_drawn() -> None:
    assert "paid in" not in format_value_plot(values(), [flow(None)])


def test_each_account_and_currency_has_its_own() -> None:
    plot = format_value_plot([*values(), *values("U2"), *values("U2", "USD")], [])
    assert [title for title in ("U1, EUR", "U2, EUR", "U2, USD") if title in plot] == ["U1, EUR", "U2, EUR", "U2, USD"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_values(count: int) -> None:
    plot = format_value_plot(values(count=count), [])
    assert plot == "no values" if count == 0 else "U1, EUR" in plot
