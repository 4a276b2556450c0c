"""Rates and instruments, and amounts in base where a row has no rate of its own."""

import itertools
from decimal import Decimal

from ibkr_tools.history.projection import project
from ibkr_tools.history.records import CashBalance, CashBooking, Instrument, Rate
from tests.support.flex_statements import Sections, week
from tests.support.history_sources import BASE, of, records, source


def rate(day: str, currency: str, value: str, to: str = "EUR") -> dict[str, str]:
    return {"reportDate": day, "fromCurrency": currency, "toCurrency": to, "rate": value}


def booking(currency: str = "USD", day: str = "20260107", **more: str) -> Sections:
    row = {"type": "Other Fees", "currency": currency, "amount": "-10", "reportDate": day, **more}
    return of("CashTransactions", "CashTransaction", row)


def test_only_rates_of_currencies_that_the_account_has() -> None:
    """-1 is none; another direction, and a day outside of the statement, are none of ours."""
    rows = [
        rate("20260106", "USD", "0.9"),
        rate("20260107", "USD", "-1"),
        rate("20260106", "JPY", "0.006"),
        rate("20260106", "USD", "1.2", to="CHF"),
        rate("20260101", "USD", "0.8"),
    ]
    found = records(Rate, BASE | booking() | of("ConversionRates", "ConversionRate", *rows))
    assert [(f"{item.day}", item.currency, item.rate) for item in found] == [("2026-01-06", "USD", Decimal("0.9"))]


def test_a_booking_without_a_rate_takes_that_of_its_day() -> None:
    """Or of up to a week before; the base currency needs none, and without any nothing is guessed."""
    rates = of("ConversionRates", "ConversionRate", rate("20260106", "USD", "0.9"), rate("20260109", "USD", "0.5"))

    def in_base(sections: Sections) -> Decimal | None:
        found: list[CashBooking] = records(CashBooking, sections)
        return found[0].amount_in_base

    assert in_base(BASE | booking() | rates) == -9
    assert in_base(BASE | booking(fxRateToBase="0.7") | rates) == -7
    assert in_base(BASE | booking(fxRateToBase="-1") | rates) == -9
    assert in_base(BASE | booking(currency="EUR") | rates) == -10
    assert in_base(BASE | booking(currency="CHF") | rates) is None
    assert in_base(BASE | booking(day="20260105") | rates) is None
    assert in_base(BASE | booking()) is None
    old = of("ConversionRates", "ConversionRate", rate("20260106", "USD", "0.9"))
    assert in_base_of_month(BASE | booking(day="20260120") | old) is None


def in_base_of_month(sections: Sections) -> Decimal | None:
    found: list[CashBooking] = records(CashBooking, sections, toDate="20260131", whenGenerated="20260201;063000")
    return found[0].amount_in_base


def test_balances_are_per_currency_and_not_of_all_together() -> None:
    found = records(CashBalance, week())
    assert [(item.currency, item.amount) for item in found] == [("EUR", 1500), ("USD", Decimal("9.444444444"))]
    bare = of("CashReport", "CashReportCurrency", {"currency": "BASE_SUMMARY", "endingCash": "1"})
    assert records(CashBalance, bare) == []


def info(symbol: str, **more: str) -> Sections:
    return of("SecuritiesInfo", "SecurityInfo", {"conid": "4711", "symbol": symbol, **more})


def test_an_instrument_is_what_the_newest_statement_says() -> None:
    """Field by field: what a newer one does not have stays. The days of a statement count, not when it was made."""
    old = source(info("FB", isin="US1"), toDate="20260106", whenGenerated="20260901;000000")
    new = source(info("META", isin="", multiplier="1"), fromDate="20260107", whenGenerated="20260110;000000")
    for order in itertools.permutations([(old, "a"), (new, "b")]):
        (found,) = project(order).records(Instrument)
        assert (found.symbol, found.isin, found.multiplier, f"{found.day}") == ("META", "US1", "1", "2026-01-09")


def test_instruments_are_known_from_positions_and_trades_too() -> None:
    """The description of a booking is none of the instrument; what has no conid is none."""
    option = {"conid": "5", "symbol": "X", "expiry": "20260320", "strike": "17", "putCall": "C", "description": "X C"}
    sections = of("Trades", "Trade", option) | booking(conid="6", symbol="Y", description="FEE") | info("VT")
    found = records(Instrument, sections)
    assert [(item.conid, item.description, item.expires_on, item.strike) for item in found] == [
        ("4711", "", "", ""),
        ("5", "X C", "2026-03-20", "17"),
        ("6", "", "", ""),
    ]
    assert records(Instrument, booking()) == []
