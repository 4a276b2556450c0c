"""Flex statements of accounts in which nothing happens: small, and every sum in them adds up."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol
from xml.sax.saxutils import quoteattr

__all__ = ["StatementSource", "statement_of"]

CASH = Decimal("1000.00")
"""What each account has, in its base currency."""

_SATURDAY = 5


class StatementSource(Protocol):
    """Makes the document that answers a query."""

    def __call__(self, accounts: Sequence[str], from_day: date, to_day: date, generated_at: datetime) -> bytes:
        """Return a FlexQueryResponse with one statement of each account, for these working days."""


def statement_of(accounts: Sequence[str], from_day: date, to_day: date, generated_at: datetime) -> bytes:
    """Return statements of accounts with nothing but cash; see `StatementSource`."""
    statements = "\n".join(_statement(account, from_day, to_day, generated_at) for account in accounts)
    return (
        '<FlexQueryResponse queryName="Everything" type="AF">\n'
        f'<FlexStatements count="{len(accounts)}">\n{statements}\n</FlexStatements>\n</FlexQueryResponse>\n'
    ).encode()


def _element(tag: str, attributes: Mapping[str, object]) -> str:
    return f"<{tag} " + " ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items()) + "/>"


def _working_days(from_day: date, to_day: date) -> Iterator[date]:
    day = from_day
    while day <= to_day:
        if day.weekday() < _SATURDAY:
            yield day
        day += timedelta(days=1)


def _statement(account: str, from_day: date, to_day: date, generated_at: datetime) -> str:
    span = {"accountId": account, "fromDate": f"{from_day:%Y%m%d}", "toDate": f"{to_day:%Y%m%d}"}
    value = {"accountId": account, "currency": "EUR", "cash": CASH, "stock": 0, "dividendAccruals": 0}
    value |= {"interestAccruals": 0, "total": CASH}
    days = _working_days(from_day, to_day)
    values = [_element("EquitySummaryByReportDateInBase", {"reportDate": f"{day:%Y%m%d}"} | value) for day in days]
    nothing = {"depositsWithdrawals": 0, "dividends": 0, "mtm": 0, "withholdingTax": 0}
    change = span | {"startingValue": CASH} | nothing | {"endingValue": CASH, "twr": 0}
    cash = span | {"startingCash": CASH, "depositWithdrawals": 0, "dividends": 0, "withholdingTax": 0}
    cash |= {"endingCash": CASH}
    rate = {"reportDate": f"{to_day:%Y%m%d}", "fromCurrency": "USD", "toCurrency": "EUR", "rate": "0.9"}
    head = _element("FlexStatement", span | {"period": "", "whenGenerated": f"{generated_at:%Y%m%d;%H%M%S}"})
    return "\n".join([
        head.replace("/>", ">"),
        _element("AccountInformation", {"accountId": account, "currency": "EUR", "name": "Jane Roe"}),
        f"<EquitySummaryInBase>{''.join(values)}</EquitySummaryInBase>",
        _element("ChangeInNAV", change),
        "<CashReport>",
        _element("CashReportCurrency", cash | {"levelOfDetail": "BaseCurrency", "currency": "BASE_SUMMARY"}),
        _element("CashReportCurrency", cash | {"levelOfDetail": "Currency", "currency": "EUR"}),
        "</CashReport>",
        "<OpenPositions></OpenPositions>",
        "<Trades></Trades>",
        "<CashTransactions></CashTransactions>",
        f"<ConversionRates>{_element('ConversionRate', rate)}</ConversionRates>",
        "</FlexStatement>",
    ])  # fmt: skip
