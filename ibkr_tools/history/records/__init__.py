"""The records of an account's past, and how they are read out of a statement's rows. Pure.

A record's `account`, `day` and `number` say where it stands: `number` is its place among the rows of its section. Of a
section that IBKR gives as of the end of a statement (positions, balances) the day is the statement's last.
`generated_at` is when its source was made. Texts are empty and numbers None where the query does not give them.
"""

from ibkr_tools.history.records.actions import (
    CorporateAction,
    DividendAccrual,
    Transfer,
    corporate_actions,
    dividend_accruals,
    transfers,
)
from ibkr_tools.history.records.cash import (
    INCOME_KINDS,
    CashBalance,
    CashBooking,
    CashKind,
    cash_balances,
    cash_bookings,
    kind_of,
)
from ibkr_tools.history.records.coverage import Coverage
from ibkr_tools.history.records.nav_records import AccountValue, NavChange, Source, account_values, nav_changes
from ibkr_tools.history.records.positions import Lot, Position, lots, positions
from ibkr_tools.history.records.reference import Instrument, Rate, instruments, rates
from ibkr_tools.history.records.statement_context import StatementContext
from ibkr_tools.history.records.trades import ClosedLot, Trade, closed_lots, trades

__all__ = [
    "INCOME_KINDS",
    "AccountValue",
    "CashBalance",
    "CashBooking",
    "CashKind",
    "ClosedLot",
    "CorporateAction",
    "Coverage",
    "DividendAccrual",
    "Instrument",
    "Lot",
    "NavChange",
    "Position",
    "Rate",
    "Source",
    "StatementContext",
    "Trade",
    "Transfer",
    "account_values",
    "cash_balances",
    "cash_bookings",
    "closed_lots",
    "corporate_actions",
    "dividend_accruals",
    "instruments",
    "kind_of",
    "lots",
    "nav_changes",
    "positions",
    "rates",
    "trades",
    "transfers",
]
