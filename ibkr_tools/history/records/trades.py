"""Trades, and the lots that they closed. Pure.

A trade that IBKR cancels stays, a TradeCancel takes it back, and what is booked anew comes besides: all rows together
are right, and none may be left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.history.records.row_fields import level_of, moment_of, number_of, text_of
from ibkr_tools.history.records.statement_context import StatementContext


@dataclass(frozen=True, slots=True)
class Trade:
    """An execution, a cancellation, or a booking such as that of an option that expires.

    `day` is the one on which it entered the net asset value, `traded_on` the one of the execution. `quantity` is
    negative for a sale; of a trade in currencies it is of the first one of `symbol`. `proceeds` are negative for a
    purchase, `commission` and `taxes` where they are paid; `net_cash` is the sum of the three, which IBKR gives as 0
    for currencies. `realized` is the profit after commissions, in `currency`.
    """

    account: str
    day: date
    number: int
    type: str
    conid: str
    symbol: str
    asset_class: str
    side: str
    quantity: Decimal
    price: Decimal | None
    currency: str
    rate: Decimal | None
    proceeds: Decimal | None
    commission: Decimal | None
    commission_currency: str
    taxes: Decimal | None
    net_cash: Decimal | None
    cost: Decimal | None
    realized: Decimal | None
    multiplier: Decimal | None
    traded_on: str
    traded_at: str
    settles_on: str
    exchange: str
    open_close: str
    notes: str
    trade_id: str
    transaction_id: str
    order_id: str
    original_trade_id: str
    original_transaction_id: str
    model: str
    generated_at: str


@dataclass(frozen=True, slots=True)
class ClosedLot:
    """A lot that a trade closed; `trade` is the `number` of that trade on its day, None where the query has none."""

    account: str
    day: date
    number: int
    trade: int | None
    conid: str
    symbol: str
    currency: str
    quantity: Decimal
    opened_at: str
    held_since: str
    cost: Decimal | None
    realized: Decimal | None
    notes: str
    transaction_id: str
    generated_at: str


_DAYS = ("reportDate", "tradeDate", "dateTime")


def _level(rows: Sequence[Row]) -> str:
    """Returns the element of the rows that count: executions, or orders where a query has no executions."""
    is_execution = any(row.element == "Trade" and level_of(row) in {"", "EXECUTION"} for row in rows)
    return "EXECUTION" if is_execution else "ORDER"


def _counted(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Yields the rows that are trades, with their places in the section."""
    level = _level(rows)
    for number, row in enumerate(rows):
        if row.element == "Trade":
            own = level_of(row) or "EXECUTION"
        elif row.element == "Order":
            own = "ORDER"
        else:
            continue
        if own == level and number_of(row, "quantity") is not None:
            yield number, row


def is_of_use(rows: Sequence[Row]) -> bool:
    """Says whether the rows of Trades say what was traded: summaries by symbol alone do not say when."""
    return not rows or any(row.element in {"Trade", "Order", "Lot"} for row in rows)


def _original(row: Row, name: str) -> str:
    """Returns the number of the trade that a row takes back; IBKR writes 0 where there is none."""
    number = text_of(row, name)
    return "" if number == "0" else number


def trades(context: StatementContext, rows: Sequence[Row]) -> list[Trade]:
    """Returns the trades that the rows of Trades have: one for each execution."""
    found = []
    for number, row in _counted(rows):
        day = context.booked_on(row, *_DAYS)
        proceeds, money = number_of(row, "proceeds"), number_of(row, "tradeMoney")
        found.append(
            Trade(
                account=context.account,
                day=day,
                number=number,
                type=text_of(row, "transactionType"),
                conid=text_of(row, "conid"),
                symbol=text_of(row, "symbol"),
                asset_class=text_of(row, "assetCategory"),
                side=text_of(row, "buySell"),
                quantity=number_of(row, "quantity") or Decimal(0),
                price=number_of(row, "tradePrice"),
                currency=text_of(row, "currency"),
                rate=context.rate(row, day),
                proceeds=-money if proceeds is None and money is not None else proceeds,
                commission=number_of(row, "ibCommission"),
                commission_currency=text_of(row, "ibCommissionCurrency"),
                taxes=number_of(row, "taxes"),
                net_cash=number_of(row, "netCash"),
                cost=number_of(row, "cost"),
                realized=number_of(row, "fifoPnlRealized"),
                multiplier=number_of(row, "multiplier"),
                traded_on=moment_of(row, "tradeDate")[:10],
                traded_at=moment_of(row, "dateTime") or moment_of(row, "tradeTime"),
                settles_on=moment_of(row, "settleDateTarget")[:10],
                exchange=text_of(row, "exchange"),
                open_close=text_of(row, "openCloseIndicator"),
                notes=text_of(row, "notes"),
                trade_id=text_of(row, "tradeID"),
                transaction_id=text_of(row, "transactionID"),
                order_id=text_of(row, "ibOrderID"),
                original_trade_id=_original(row, "origTradeID"),
                original_transaction_id=_original(row, "origTransactionID"),
                model=text_of(row, "model"),
                generated_at=context.generated_at,
            )
        )
    return found


def closed_lots(context: StatementContext, rows: Sequence[Row]) -> list[ClosedLot]:
    """Returns the lots that the rows of Trades have; each belongs to the trade before it, and is of its day."""
    executions = dict(_counted(rows))
    found = []
    before: tuple[int, Row] | None = None
    for number, row in enumerate(rows):
        if number in executions:
            before = (number, row)
        quantity = number_of(row, "quantity")
        if row.element != "Lot" or quantity is None:
            continue
        found.append(
            ClosedLot(
                account=context.account,
                day=context.booked_on(before[1] if before else row, *_DAYS),
                number=number,
                trade=before[0] if before else None,
                conid=text_of(row, "conid"),
                symbol=text_of(row, "symbol"),
                currency=text_of(row, "currency"),
                quantity=quantity,
                opened_at=moment_of(row, "openDateTime"),
                held_since=moment_of(row, "holdingPeriodDateTime"),
                cost=number_of(row, "cost"),
                realized=number_of(row, "fifoPnlRealized"),
                notes=text_of(row, "notes"),
                transaction_id=text_of(row, "transactionID"),
                generated_at=context.generated_at,
            )
        )
    return found
