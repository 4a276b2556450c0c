"""Every table of the history of whole lives, however their statements are imported: what the ledger has."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.history.flows import FlowKind, external_flows
from ibkr_tools.history.projection import project
from ibkr_tools.history.records import (
    CashBalance,
    CashBooking,
    ClosedLot,
    CorporateAction,
    DividendAccrual,
    Lot,
    Position,
    Trade,
    Transfer,
)
from ibkr_tools.simulator.account_life import known_values
from ibkr_tools.simulator.account_life.booked import BookedTrade, DayClose
from ibkr_tools.simulator.account_life.flex_query import ISO, FlexQuery
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.life import AccountLife
from tests.support import known_records
from tests.support.life_imports import Request, Sources, newest, requests, sources_of
from tests.support.lives import SEEDS, life_of, of_lives

QUERIES = st.sampled_from(
    [
        FlexQuery(),
        FlexQuery(
            booking_levels=("SUMMARY", "DETAIL"),
            trade_levels=("EXECUTION", "CLOSED_LOT", "ORDER", "SYMBOL_SUMMARY", "ASSET_SUMMARY"),
            date_format=ISO,
            time_format="%H:%M:%S",
        ),
        FlexQuery(without=frozenset({"fxRateToBase", "positionAmountInBase", "positionValueInBase"})),
    ]
)


def last_days(life: AccountLife, sources: Sources) -> Iterable[tuple[str, Ledger, DayClose]]:
    """Yields the ends of days that statements end with, as the newest of these has them."""
    newest_at: dict[tuple[str, date], datetime] = {}
    for source, _ in sources:
        head = source.statement
        key = (head.account, head.to_day)
        newest_at[key] = max(head.generated_at, newest_at.get(key, head.generated_at))
    for (account, day), at in newest_at.items():
        ledger = life.books(account, at)
        yield account, ledger, next(closed for closed in ledger.closes if closed.day == day)


@given(SEEDS, requests(), QUERIES)
@of_lives(0.1)
def test_what_is_held_on_last_days(seed: int, wanted: list[Request], query: FlexQuery) -> None:
    """Positions with their worth, lots with their cost, cash by currency, and the dividends that are due."""
    life = life_of(seed)
    sources = sources_of(life, wanted, query)
    projection = project(sources)
    known: dict[type, Counter[tuple[Any, ...]]] = {
        kind: Counter() for kind in (Position, Lot, CashBalance, DividendAccrual)
    }
    for account, ledger, closed in last_days(life, sources):
        for row in known_records.positions_of(ledger, closed, life.market):
            known[Position][account, closed.day, *row] += 1
        for row in known_records.lots_of(closed):
            known[Lot][account, closed.day, *row] += 1
        for currency, amount in closed.cash.items():
            known[CashBalance][account, closed.day, currency, amount] += bool(amount)
        for due in closed.dividend_accruals:
            in_base = due.net * closed.rates[due.security.currency]
            known[DividendAccrual][account, closed.day, str(due.security.conid), due.net, in_base] += 1
    assert found_days(projection.records(Position), known_records.position_row) == known[Position]
    assert found_days(projection.records(Lot), known_records.lot_row) == known[Lot]
    balances = projection.records(CashBalance)
    assert (
        Counter((one.account, one.day, one.currency, one.amount) for one in balances if one.amount)
        == +known[CashBalance]
    )
    assert (
        Counter(
            (one.account, one.day, one.conid, one.net_amount, one.net_in_base)
            for one in projection.records(DividendAccrual)
        )
        == known[DividendAccrual]
    )


def found_days(records: Iterable[Any], row_of: Callable[[Any], tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Returns the records with their account and day, as `known_days` has them."""
    return Counter((record.account, record.day, *row_of(record)) for record in records)


def known_days(
    life: AccountLife, sources: Sources, of: Callable[[Ledger], Iterable[tuple[date, tuple[Any, ...]]]]
) -> Counter[tuple[Any, ...]]:
    """Returns what happened on each day that statements cover, as the newest of these has it."""
    found: Counter[tuple[Any, ...]] = Counter()
    by_books: dict[tuple[str, datetime], set[date]] = {}
    for (account, day), at in newest(sources, before_too=False).items():
        by_books.setdefault((account, at), set()).add(day)
    for (account, at), days in by_books.items():
        for day, row in of(life.books(account, at)):
            if day in days:
                found[account, day, *row] += 1
    return found


@given(SEEDS, requests(), QUERIES)
@of_lives(0.1)
def test_trades_are_those_that_were_known_last(seed: int, wanted: list[Request], query: FlexQuery) -> None:
    """Each once, with cancellations and what was booked anew; and the lots that they closed."""
    life = life_of(seed)
    sources = sources_of(life, wanted, query)
    projection = project(sources)
    found = found_days(projection.records(Trade), known_records.trade_row)
    assert found == known_days(life, sources, known_records.trades_of)
    closed = found_days(projection.records(ClosedLot), known_records.closed_lot_row)
    assert closed == known_days(life, sources, known_records.closed_lots_of)


@given(SEEDS, requests(), QUERIES)
@of_lives(0.1)
def test_actions_transfers_and_flows(seed: int, wanted: list[Request], query: FlexQuery) -> None:
    life = life_of(seed)
    sources = sources_of(life, wanted, query)
    projection = project(sources)
    actions = found_days(projection.records(CorporateAction), known_records.action_row)
    assert actions == known_days(life, sources, known_records.actions_of)
    transfers = found_days(projection.records(Transfer), known_records.transfer_row)
    assert transfers == known_days(life, sources, known_records.transfers_of)
    flows = external_flows(projection.records(CashBooking), projection.records(Transfer))
    found = Counter(
        (flow.account, flow.day, flow.amount_in_base, flow.kind is FlowKind.INTERNAL_TRANSFER) for flow in flows
    )
    assert found == known_days(
        life,
        sources,
        lambda ledger: ((flow.day, (flow.amount, flow.is_internal)) for flow in known_values.flows(ledger)),
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_life_has_everything(seed: int) -> None:
    """Or the tests above could not fail."""
    life = life_of(seed)
    ledgers = [life.books(account) for account in life.accounts]
    trades = [trade for ledger in ledgers for trade in ledger.trades if isinstance(trade, BookedTrade)]
    kinds = {trade.entry.kind for trade in trades}
    assert kinds >= {"ExchTrade", "BookTrade", "TradeCancel"}
    assert {trade.entry.exercise for trade in trades} >= {"", "Expiration", "Assignment"}
    assert {entry.kind for ledger in ledgers for entry in (one.entry for one in ledger.transfers)} == {
        *("ACATS", "FOP", "INTERNAL", "INTERCOMPANY")
    }
    assert len({one.entry.action.kind for ledger in ledgers for one in ledger.actions}) >= 6
