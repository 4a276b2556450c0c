"""What of the records is shown, row by row and added up."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from ibkr_tools.history.flows import external_flows
from ibkr_tools.history.periods import Split
from ibkr_tools.history.projection import project
from ibkr_tools.history.records import AccountValue, CashBooking, CashKind, Transfer
from ibkr_tools.history.summary import (
    Grouping,
    booking_rows,
    grouped_rows,
    in_order_of_days,
    last_of_each,
    value_rows,
)
from tests.support.history_sources import BASE, source


def value(day: str, total: str, **more: str) -> AccountValue:
    made = AccountValue("U1", date.fromisoformat(day), "EUR", Decimal(total), None, None, "")
    return replace(made, **more)  # type: ignore[arg-type]


def booking(day: str, amount: str, currency: str = "USD", rate: str | None = "0.9", symbol: str = "VT") -> CashBooking:
    exact = Decimal(amount)
    in_base = None if rate is None else exact * Decimal(rate)
    when = date.fromisoformat(day)
    return CashBooking("U1", when, 0, CashKind.DIVIDEND, "Dividends", currency, exact, in_base, symbol, "7", "", "", "")


def test_a_change_is_against_the_value_before_of_the_same_account() -> None:
    """None at the first, and none where the base currency has changed."""
    values = [
        value("2026-01-01", "100"),
        value("2026-01-02", "110.5"),
        value("2026-01-03", "10", currency="USD"),
        value("2026-01-01", "5", account="U2"),
    ]
    assert [row["change"] for row in value_rows(values)] == [None, Decimal("10.5"), None, None]


def test_the_last_day_of_each_month_and_year() -> None:
    values = [value("2026-01-05", "1"), value("2026-01-30", "2"), value("2026-02-02", "3")]
    assert [item.total for item in last_of_each(Split.MONTH, values)] == [2, 3]
    assert [item.total for item in last_of_each(Split.YEAR, values)] == [3]


def test_bookings_are_added_up_exactly() -> None:
    bookings = [booking("2026-01-05", "0.1"), booking("2026-01-06", "0.2"), booking("2026-02-01", "-1", symbol="")]
    assert grouped_rows(bookings, Grouping.MONTH) == [
        {"month": "2026-01", "account": "U1", "bookings": Decimal(2), "in_base": Decimal("0.27")},
        {"month": "2026-02", "account": "U1", "bookings": Decimal(1), "in_base": Decimal("-0.9")},
    ]
    assert [row["instrument"] for row in grouped_rows(bookings, Grouping.INSTRUMENT)] == ["7", "VT"]
    assert [row["year"] for row in grouped_rows(bookings, Grouping.YEAR)] == ["2026"]
    assert [row["kind"] for row in grouped_rows(bookings, Grouping.KIND)] == ["dividend"]
    assert len(booking_rows(bookings)) == 3


def test_a_sum_that_lacks_a_rate_is_none() -> None:
    """In its own currency it is one."""
    bookings = [booking("2026-01-05", "1"), booking("2026-01-05", "2", rate=None)]
    assert grouped_rows(bookings, Grouping.CURRENCY) == [
        {"currency": "USD", "account": "U1", "bookings": Decimal(2), "amount": Decimal(3), "in_base": None}
    ]


def test_transfers_are_among_the_flows() -> None:
    """Each with the amount of its position and its cash; a row that moves nothing is none. Returns count the same."""
    common = {"reportDate": "20260106", "currency": "USD", "fxRateToBase": "0.9", "direction": "IN"}
    rows = [
        ("Transfer", common | {"type": "ACATS", "symbol": "VT", "positionAmount": "100", "cashTransfer": "10"}),
        ("Transfer", common | {"type": "INTERNAL", "cashTransfer": "20"}),
        ("Transfer", common | {"type": "FOP", "positionAmount": "0", "cashTransfer": "0"}),
    ]
    transfers = project([(source(BASE | {"Transfers": rows}), "a")]).records(Transfer)
    deposit = replace(booking("2026-01-05", "5"), account="U1234567", kind=CashKind.DEPOSIT)
    found = in_order_of_days([deposit], transfers)
    assert [(row["day"], row["kind"], row["amount"]) for row in booking_rows(found)] == [
        ("2026-01-05", "deposit", Decimal(5)),
        ("2026-01-06", "transfer", Decimal(110)),
        ("2026-01-06", "internal_transfer", Decimal(20)),
    ]
    (total,) = grouped_rows(found, Grouping.CURRENCY)
    assert (total["amount"], total["in_base"]) == (Decimal(135), Decimal("121.5"))
    assert sum(flow.amount_in_base or 0 for flow in external_flows([deposit], transfers)) == total["in_base"]
