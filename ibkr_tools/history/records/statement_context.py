"""What of a statement its rows are read with: its days, the base currency, the rates of exchange. Pure."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ibkr_tools.flex.statement_xml import Row, Statement
from ibkr_tools.history.records.row_fields import day_of, number_of, text_of
from ibkr_tools.number_format import exact_product

_ONE = Decimal(1)


@dataclass(frozen=True)
class StatementContext:
    """The head of a statement and what the rows of several sections rest on.

    `base_currency` is empty where the query does not give it. `rates` are those to it, by currency, in the order of
    the days.
    """

    statement: Statement
    base_currency: str = ""
    rates: dict[str, list[tuple[date, Decimal]]] = field(default_factory=dict)

    @property
    def account(self) -> str:
        """Returns whose statement it is."""
        return self.statement.account

    @property
    def generated_at(self) -> str:
        """Returns when IBKR made it (ISO 8601, without a zone)."""
        return self.statement.generated_at.isoformat()

    @property
    def last_day(self) -> date:
        """Returns the day as of whose end the statement is."""
        return self.statement.to_day

    def booked_on(self, row: Row, *names: str) -> date:
        """Returns the day on which a row entered the net asset value: the first of these that is given.

        One outside of the statement's days is moved to the nearest of them, since that is when the statement has it.
        """
        day = day_of(row, *names) or self.statement.to_day
        return min(max(day, self.statement.from_day), self.statement.to_day)

    def rate(self, row: Row, day: date) -> Decimal | None:
        """Returns the rate of a row's currency to the base currency: the row's own, or that of the day.

        Weekends have none: that of up to a week before counts. None: nothing says it.
        """
        stated = number_of(row, "fxRateToBase")
        if stated is not None and stated > 0:
            return stated
        currency = text_of(row, "currency")
        if not currency:
            return None
        return _ONE if currency == self.base_currency else self._rate_before(currency, day)

    def in_base(self, amount: Decimal | None, row: Row, day: date) -> Decimal | None:
        """Returns an amount of a row in the base currency, exactly; None without a rate."""
        return None if amount is None else exact_product(amount, self.rate(row, day))

    def _rate_before(self, currency: str, day: date) -> Decimal | None:
        known = self.rates.get(currency, ())
        at = bisect_right(known, day, key=lambda item: item[0])
        if not at:
            return None
        rate_day, rate = known[at - 1]
        return rate if (day - rate_day).days <= _MAX_RATE_AGE_DAYS else None


_MAX_RATE_AGE_DAYS = 7
"""How old a rate may be, in days: holidays in a row are fewer."""


def make_context(statement: Statement, base_currency: str, rate_rows: Iterable[Row]) -> StatementContext:
    """Returns the context of a statement with these rows of ConversionRates; a rate of -1 is none."""
    by_currency: dict[str, dict[date, Decimal]] = {}
    for row in rate_rows:
        day, rate = day_of(row, "reportDate"), number_of(row, "rate")
        currency, to_currency = text_of(row, "fromCurrency"), text_of(row, "toCurrency")
        if day and currency and rate is not None and rate > 0 and to_currency == base_currency:
            by_currency.setdefault(currency, {})[day] = rate
    return StatementContext(
        statement, base_currency, {currency: sorted(days.items()) for currency, days in by_currency.items()}
    )
