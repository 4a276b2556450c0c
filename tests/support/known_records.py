"""The rows that the history's tables should have of a life, by day: made of its ledger and of nothing else."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from ibkr_tools.history.records import CashKind, ClosedLot, CorporateAction, Lot, Position, Trade, Transfer
from ibkr_tools.simulator.account_life.booked import BookedTrade, DayClose
from ibkr_tools.simulator.account_life.entries import CashKind as Booked
from ibkr_tools.simulator.account_life.known_values import FEES, INCOME
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.lots import total_cost, total_quantity
from ibkr_tools.simulator.account_life.market import Market

DayRow = tuple[date, tuple[Any, ...]]
"""A day, and what tells a row of it from others."""

BOOKING_KINDS = {
    **dict.fromkeys(FEES, frozenset({CashKind.FEE})),
    **dict.fromkeys(INCOME, frozenset({CashKind.DIVIDEND, CashKind.INTEREST, CashKind.TAX})),
    Booked.DEPOSIT: frozenset({CashKind.DEPOSIT}),
    Booked.OTHER_INCOME: frozenset({CashKind.OTHER}),
}
"""By the ledger's kind of a booking, those that the history may call it."""


def positions_of(ledger: Ledger, closed: DayClose, market: Market) -> Iterator[tuple[Any, ...]]:
    """Yields what is held at the end of a day, with its worth and its cost."""
    for conid, lots in closed.lots.items():
        security = ledger.securities[conid]
        quantity = total_quantity(lots)
        value = security.value(quantity, market.price(security, closed.day))
        yield str(conid), quantity, value, value * closed.rates[security.currency], total_cost(lots)


def position_row(position: Position) -> tuple[Any, ...]:
    """Returns what `positions_of` has of a position."""
    return (position.conid, position.quantity, position.value, position.value_in_base, position.cost)


def lots_of(closed: DayClose) -> Iterator[tuple[Any, ...]]:
    """Yields the tax lots of the end of a day, with their cost."""
    for conid, lots in closed.lots.items():
        for lot in lots:
            yield str(conid), lot.quantity, lot.cost, lot.opened.isoformat(), str(lot.number)


def lot_row(lot: Lot) -> tuple[Any, ...]:
    """Returns what `lots_of` has of a lot."""
    return (lot.conid, lot.quantity, lot.cost, lot.opened_at, lot.transaction_id)


def trades_of(ledger: Ledger) -> Iterator[DayRow]:
    """Yields the trades, cancellations and what was booked anew among them."""
    for trade in ledger.trades:
        if isinstance(trade, BookedTrade):
            entry = trade.entry
            amounts = (entry.quantity, entry.proceeds, entry.commission, entry.taxes, trade.realized, trade.cost)
            yield entry.day, (str(entry.number), str(entry.security.conid), entry.kind, *amounts)
        else:
            nothing = Decimal(0)
            amounts = (trade.quantity, trade.proceeds, trade.commission, nothing, nothing, nothing)
            yield trade.day, (str(trade.number), "", "ExchTrade", *amounts)


def trade_row(trade: Trade) -> tuple[Any, ...]:
    """Returns what `trades_of` has of a trade."""
    conid = "" if trade.asset_class == "CASH" else trade.conid
    amounts = (trade.quantity, trade.proceeds, trade.commission, trade.taxes, trade.realized, trade.cost)
    return (trade.transaction_id, conid, trade.type, *amounts)


def closed_lots_of(ledger: Ledger) -> Iterator[DayRow]:
    """Yields the lots that trades closed."""
    for trade in ledger.trades:
        if isinstance(trade, BookedTrade):
            for lot in trade.closed:
                yield trade.entry.day, (str(trade.entry.security.conid), abs(lot.quantity), lot.cost, str(lot.number))


def closed_lot_row(lot: ClosedLot) -> tuple[Any, ...]:
    """Returns what `closed_lots_of` has of a lot."""
    return (lot.conid, lot.quantity, lot.cost, lot.transaction_id)


def actions_of(ledger: Ledger) -> Iterator[DayRow]:
    """Yields what the account got and lost by corporate actions."""
    for one in ledger.actions:
        kind = one.entry.action.kind.code
        yield one.entry.day, (kind, str(one.security.conid), one.quantity, one.proceeds, one.realized)


def action_row(action: CorporateAction) -> tuple[Any, ...]:
    """Returns what `actions_of` has of a corporate action."""
    return (action.type, action.conid, action.quantity, action.proceeds, action.realized)


def transfers_of(ledger: Ledger) -> Iterator[DayRow]:
    """Yields the transfers, with their worth in the base currency."""
    rates = {closed.day: closed for closed in ledger.closes}
    for one in ledger.transfers:
        entry = one.entry
        currency = entry.security.currency if entry.security else entry.currency
        in_base = rates[entry.day].in_base(currency, one.amount + entry.cash)
        direction = "IN" if entry.is_incoming else "OUT"
        conid = str(entry.security.conid) if entry.security else ""
        yield entry.day, (str(entry.number), entry.kind, direction, entry.counterpart, conid, in_base)


def transfer_row(transfer: Transfer) -> tuple[Any, ...]:
    """Returns what `transfers_of` has of a transfer."""
    place = (transfer.transaction_id, transfer.type, transfer.direction, transfer.counterpart)
    return (*place, transfer.conid, transfer.amount_in_base)


def rows_of(account: str, rows: Iterable[DayRow]) -> Iterator[tuple[Any, ...]]:
    """Yields the rows of an account with it and their day in front."""
    for day, row in rows:
        yield account, day, *row
