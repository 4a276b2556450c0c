"""Which sections of a statement become which records, and of which days a statement's section speaks. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

from ibkr_tools.flex.statement_xml import Row, Statement
from ibkr_tools.history.records import (
    AccountValue,
    CashBalance,
    CashBooking,
    ClosedLot,
    CorporateAction,
    DividendAccrual,
    Lot,
    NavChange,
    Position,
    Rate,
    StatementContext,
    Trade,
    Transfer,
    account_values,
    cash_balances,
    cash_bookings,
    closed_lots,
    corporate_actions,
    dividend_accruals,
    lots,
    nav_changes,
    positions,
    rates,
    trades,
    transfers,
)
from ibkr_tools.history.records.reference import used_currencies
from ibkr_tools.history.records.trades import is_of_use

Record = Any
"""One of the records of `ibkr_tools.history.records`."""

RowsBySection = Mapping[str, Sequence[Row]]

VALUES, RATES, BASE_CURRENCY = "EquitySummaryInBase", "ConversionRates", "AccountInformation"

CONTEXT_SECTIONS = (BASE_CURRENCY, VALUES, "ChangeInNAV")
"""Sections that may say the base currency, the best first."""

REFERENCE_SECTIONS = ("SecuritiesInfo",)
"""Sections that only describe what is in others."""


class Span(Enum):
    """Of which days a section of a statement speaks."""

    DAYS = "each of its days"
    LAST_DAY = "its last day"
    WHOLE = "all of them together"


@dataclass(frozen=True)
class HistorySection:
    """A section of statements, the span that it speaks of, and the records that are made of its rows."""

    name: str
    span: Span
    records: tuple[tuple[type, Callable[[StatementContext, RowsBySection], Iterable[Record]]], ...]

    def keys(self, statement: Statement, records: Iterable[Record]) -> list[tuple[date, ...]]:
        """Returns the days that a statement speaks of, each as `key_of` gives that of a record."""
        match self.span:
            case Span.DAYS:
                days = range(statement.from_day.toordinal(), statement.to_day.toordinal() + 1)
                # The net asset value begins with the day before the first one.
                return sorted({*((date.fromordinal(day),) for day in days), *((record.day,) for record in records)})
            case Span.LAST_DAY:
                return [(statement.to_day,)]
            case Span.WHOLE:
                return [(statement.to_day, statement.from_day)]

    def key_of(self, record: Record) -> tuple[date, ...]:
        """Returns the day of a record, and the first one where it is of several together."""
        return (record.day, record.from_day) if self.span is Span.WHOLE else (record.day,)


def _of(name: str, read: Callable[[StatementContext, Sequence[Row]], Iterable[Record]]) -> Any:
    return lambda context, rows: read(context, rows[name])


def _rates(context: StatementContext, rows: RowsBySection) -> Iterable[Record]:
    return rates(context, used_currencies(rows))


SECTIONS = (
    HistorySection(VALUES, Span.DAYS, ((AccountValue, _of(VALUES, account_values)),)),
    HistorySection("ChangeInNAV", Span.WHOLE, ((NavChange, _of("ChangeInNAV", nav_changes)),)),
    HistorySection("CashReport", Span.LAST_DAY, ((CashBalance, _of("CashReport", cash_balances)),)),
    HistorySection(
        "OpenPositions", Span.LAST_DAY, ((Position, _of("OpenPositions", positions)), (Lot, _of("OpenPositions", lots)))
    ),
    HistorySection("Trades", Span.DAYS, ((Trade, _of("Trades", trades)), (ClosedLot, _of("Trades", closed_lots)))),
    HistorySection("CashTransactions", Span.DAYS, ((CashBooking, _of("CashTransactions", cash_bookings)),)),
    HistorySection("CorporateActions", Span.DAYS, ((CorporateAction, _of("CorporateActions", corporate_actions)),)),
    HistorySection("Transfers", Span.DAYS, ((Transfer, _of("Transfers", transfers)),)),
    HistorySection(
        "OpenDividendAccruals", Span.LAST_DAY, ((DividendAccrual, _of("OpenDividendAccruals", dividend_accruals)),)
    ),
    HistorySection(RATES, Span.DAYS, ((Rate, _rates),)),
)

USED_SECTIONS = frozenset({section.name for section in SECTIONS} | {*CONTEXT_SECTIONS, *REFERENCE_SECTIONS})


def says_something(name: str, rows: Sequence[Row]) -> bool:
    """Says whether a section speaks of anything; Trades with summaries alone do not say what happened when."""
    return name != "Trades" or is_of_use(rows)
