"""Writes Flex statements of a life: of any accounts and days, as IBKR would have made them at any time."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache

from ibkr_tools.simulator.account_life import activity_rows, nav_rows, position_rows, statement_calendar
from ibkr_tools.simulator.account_life.flex_query import FlexQuery, Rows
from ibkr_tools.simulator.account_life.life import AccountLife, LifeOptions
from ibkr_tools.simulator.account_life.period import Period

_SECTIONS: dict[str, Callable[[FlexQuery, Period], Rows]] = {
    "AccountInformation": nav_rows.account_information,
    "EquitySummaryInBase": nav_rows.equity_summary,
    "ChangeInNAV": nav_rows.change_in_nav,
    "CashReport": nav_rows.cash_report,
    "OpenPositions": position_rows.open_positions,
    "Trades": activity_rows.trades,
    "CashTransactions": activity_rows.cash_transactions,
    "CorporateActions": activity_rows.corporate_actions,
    "Transfers": activity_rows.transfers,
    "ChangeInDividendAccruals": position_rows.changes_in_dividend_accruals,
    "OpenDividendAccruals": position_rows.open_dividend_accruals,
    "InterestAccruals": nav_rows.interest_accruals,
    "OptionEAE": activity_rows.option_ends,
    "TransactionTaxes": activity_rows.transaction_taxes,
    "SalesTaxes": activity_rows.sales_taxes,
    "FxTransactions": lambda _query, _period: [],
    "FxPositions": position_rows.currency_positions,
    "SecuritiesInfo": position_rows.securities,
    "ConversionRates": nav_rows.conversion_rates,
    "StmtFunds": nav_rows.statement_of_funds,
}
_SINGLE = frozenset({"AccountInformation", "ChangeInNAV"})
"""Sections that are one element without a container."""

SECTIONS = tuple(_SECTIONS)


class NoStatementError(ValueError):
    """There is no statement of these accounts and days at that time (IBKR's error 1003)."""


def write_statements(
    life: AccountLife,
    accounts: Sequence[str],
    from_day: date,
    to_day: date,
    generated_at: datetime,
    query: FlexQuery | None = None,
) -> bytes:
    """Returns the file that IBKR makes at a time: one statement for each account, or for each of its days.

    The first day is moved to the next business day, the last one to the last day that has ended by then.

    Raises:
        NoStatementError: nothing of what was asked is known by then.
    """
    query = query or FlexQuery()
    first = statement_calendar.on_or_after(from_day)
    last = min(statement_calendar.on_or_before(to_day), statement_calendar.last_reported(generated_at), life.last_day)
    written = []
    for account in accounts:
        if account not in life.accounts:
            raise NoStatementError(f"there is no account {account}")
        ledger = life.books(account, generated_at)
        if last < max(first, ledger.closes[0].day):
            continue
        periods = [Period(account, ledger, first, last)]
        if query.breaks_out_days:
            days = statement_calendar.between(max(first, ledger.closes[0].day), last)
            periods = [Period(account, ledger, day, day) for day in days]
        written += [_statement(query, period, generated_at) for period in periods]
    if not written:
        raise NoStatementError(f"no statement of {', '.join(accounts)} from {from_day} to {to_day}")
    head = query.element("FlexQueryResponse", {"queryName": query.name, "type": "AF"}, is_open=True)
    return (
        f'{head}\n<FlexStatements count="{len(written)}">\n{"".join(written)}</FlexStatements>\n</FlexQueryResponse>\n'
    ).encode()


def _statement(query: FlexQuery, period: Period, generated_at: datetime) -> str:
    head = query.element(
        "FlexStatement",
        {
            "accountId": period.account,
            "fromDate": query.day(period.first),
            "toDate": query.day(period.last),
            "period": "",
            "whenGenerated": query.moment(generated_at),
        },
        is_open=True,
    )
    parts = [head]
    for section, make in _SECTIONS.items():
        if not query.has(section):
            continue
        rows = "\n".join(query.element(element, attributes) for element, attributes in make(query, period))
        parts.append(rows if section in _SINGLE else f"<{section}>\n{rows}\n</{section}>" if rows else f"<{section} />")
    return "\n".join([*parts, "</FlexStatement>\n"])


class LivedStatements:
    """Makes the statements of some accounts, whose life goes on as time passes.

    The simulator's Flex service asks it; the accounts live from `first_day` on.
    """

    def __init__(self, options: LifeOptions, query: FlexQuery | None = None) -> None:
        self._options = options
        self._query = query or FlexQuery()
        self._life: AccountLife | None = None

    def life(self, until: date) -> AccountLife:
        """Returns the life, at least until this day."""
        if self._life is None:
            self._life = _make_life(self._options)
        self._life.continue_until(until)
        return self._life

    def statement_of(self, accounts: Sequence[str], from_day: date, to_day: date, generated_at: datetime) -> bytes:
        """Returns the file that IBKR makes at a time, of all these accounts.

        Raises:
            NoStatementError: nothing of what was asked is known by then.
        """
        life = self.life(statement_calendar.last_reported(generated_at))
        return write_statements(life, accounts, from_day, to_day, generated_at, self._query)


@lru_cache(maxsize=4)
def _make_life(options: LifeOptions) -> AccountLife:
    return AccountLife(options)
