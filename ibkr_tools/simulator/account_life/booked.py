"""What the ledger makes of entries: movements of cash, results of trades, and what each day ends with. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from ibkr_tools.simulator.account_life.entries import (
    ActionEntry,
    CurrencyTradeEntry,
    DividendAccrualEntry,
    Entry,
    TradeEntry,
    TransferEntry,
)
from ibkr_tools.simulator.account_life.lots import Lot
from ibkr_tools.simulator.account_life.securities import Security

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Movement:
    """Cash comes or goes. The two attributes are those of a cash report and of a change in NAV that it is in."""

    day: date
    currency: str
    amount: Decimal
    report_attribute: str
    nav_attribute: str
    code: str
    description: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class BookedTrade:
    """A trade, with what it has cost and brought: in the security's currency, commission and taxes in it.

    `cost` is positive for what was bought; for what was closed it is the closed lots' cost, with the other sign.
    """

    entry: TradeEntry
    cost: Decimal
    realized: Decimal
    closed: tuple[Lot, ...]
    is_opening: bool
    is_closing: bool


@dataclass(frozen=True, slots=True)
class BookedAction:
    """A corporate action in one security of an account: how many more, for what, and the profit that it made."""

    entry: ActionEntry
    leg: int
    security: Security
    quantity: Decimal
    value: Decimal
    proceeds: Decimal
    realized: Decimal


@dataclass(frozen=True, slots=True)
class BookedTransfer:
    """A transfer, at the price of its day."""

    entry: TransferEntry
    price: Decimal
    amount: Decimal


@dataclass(frozen=True)
class DayClose:
    """What an account has at the end of a day, and what the day did to its value, in the base currency.

    `lots` are by conid. `values` are those of positions by the part of the net asset value that they are in.
    `accrued_interest` is by currency, and whether it is a bond's. `market_profit` is what prices and rates did to
    positions; `translation` what rates did to cash and accruals.
    """

    day: date
    cash: Mapping[str, Decimal]
    lots: Mapping[int, tuple[Lot, ...]]
    dividend_accruals: tuple[DividendAccrualEntry, ...]
    accrued_interest: Mapping[tuple[str, bool], Decimal]
    rates: Mapping[str, Decimal]
    values: Mapping[str, Decimal]
    market_profit: Decimal
    cash_translation: Decimal
    accrual_translation: Decimal

    def in_base(self, currency: str, amount: Decimal) -> Decimal:
        """Returns an amount in the base currency, at the day's rate."""
        return amount * self.rates[currency]

    @cached_property
    def cash_in_base(self) -> Decimal:
        """Returns all cash."""
        return sum((self.in_base(currency, amount) for currency, amount in self.cash.items()), ZERO)

    @cached_property
    def dividends_in_base(self) -> Decimal:
        """Returns the dividends that are due."""
        return sum((self.in_base(one.security.currency, one.net) for one in self.dividend_accruals), ZERO)

    def interest_in_base(self, *, is_bond: bool) -> Decimal:
        """Returns the interest that is due, of bonds or of cash."""
        return sum(
            (self.in_base(key[0], amount) for key, amount in self.accrued_interest.items() if key[1] is is_bond), ZERO
        )

    @cached_property
    def total(self) -> Decimal:
        """Returns the net asset value."""
        interest = self.interest_in_base(is_bond=True) + self.interest_in_base(is_bond=False)
        return self.cash_in_base + sum(self.values.values(), ZERO) + self.dividends_in_base + interest


AnyTrade = BookedTrade | CurrencyTradeEntry
