"""A stretch of days of an account's books. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from ibkr_tools.simulator.account_life.booked import (
    AnyTrade,
    BookedAction,
    BookedTransfer,
    DayClose,
    Movement,
)
from ibkr_tools.simulator.account_life.entries import (
    CashEntry,
    CurrencyTradeEntry,
    DividendAccrualEntry,
    Entry,
    InterestAccrualEntry,
)
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.market import Market


@dataclass(frozen=True)
class Period:
    """The days from `first` to `last` of an account. At least one day of its books is in it."""

    account: str
    ledger: Ledger
    first: date
    last: date

    @property
    def market(self) -> Market:
        """Returns the prices and rates."""
        return self.ledger.market

    @property
    def base(self) -> str:
        """Returns the base currency."""
        return self.ledger.base

    @cached_property
    def days(self) -> list[DayClose]:
        """Returns the ends of its days."""
        return [closed for closed in self.ledger.closes if self.first <= closed.day <= self.last]

    @cached_property
    def start(self) -> DayClose | None:
        """Returns the end of the day before; None: the account did not exist."""
        place = self.ledger.closes.index(self.days[0])
        return self.ledger.closes[place - 1] if place else None

    @property
    def end(self) -> DayClose:
        """Returns the end of its last day."""
        return self.days[-1]

    @cached_property
    def _by_day(self) -> dict[date, DayClose]:
        return {closed.day: closed for closed in self.days}

    def in_base(self, day: date, currency: str, amount: Decimal) -> Decimal:
        """Returns an amount in the base currency at the rate of a day of the period."""
        return self._by_day[day].in_base(currency, amount)

    def rate(self, currency: str, day: date) -> Decimal:
        """Returns what one unit of a currency was in the base currency."""
        return self.market.rate(currency, self.base, day)

    @cached_property
    def movements(self) -> list[Movement]:
        """Returns the movements of cash."""
        return [movement for movement in self.ledger.movements if self.first <= movement.day <= self.last]

    @cached_property
    def bookings(self) -> list[CashEntry]:
        """Returns the bookings of cash that are no trades."""
        return [one.entry for one in self.movements if isinstance(one.entry, CashEntry)]

    @cached_property
    def trades(self) -> list[AnyTrade]:
        """Returns the trades."""
        return [one for one in self.ledger.trades if self.first <= entry_of(one).day <= self.last]

    @cached_property
    def actions(self) -> list[BookedAction]:
        """Returns what corporate actions did."""
        return [one for one in self.ledger.actions if self.first <= one.entry.day <= self.last]

    @cached_property
    def transfers(self) -> list[BookedTransfer]:
        """Returns the transfers."""
        return [one for one in self.ledger.transfers if self.first <= one.entry.day <= self.last]

    @cached_property
    def dividend_changes(self) -> Sequence[DividendAccrualEntry]:
        """Returns dividends that became due, or are due no longer."""
        return [one for one in self.ledger.dividend_changes if self.first <= one.day <= self.last]

    @cached_property
    def interest_changes(self) -> Sequence[InterestAccrualEntry]:
        """Returns interest that became due, or is due no longer."""
        return [one for one in self.ledger.interest_changes if self.first <= one.day <= self.last]


def entry_of(trade: AnyTrade) -> Entry:
    """Returns the entry of a trade."""
    return trade if isinstance(trade, CurrencyTradeEntry) else trade.entry
