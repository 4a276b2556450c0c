"""Trades: every execution, cancellation and booking once, whatever else the query gives."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ibkr_tools.history.records import ClosedLot, Trade
from tests.support.history_sources import BASE, records

if TYPE_CHECKING:
    from tests.support.flex_statements import Sections

DAY = {"reportDate": "20260106", "tradeDate": "20260106", "dateTime": "20260106;093000"}
BUY = DAY | {
    "currency": "USD",
    "fxRateToBase": "0.9",
    "assetCategory": "STK",
    "symbol": "VT",
    "conid": "4711",
    "transactionType": "ExchTrade",
    "buySell": "BUY",
    "quantity": "10",
    "tradePrice": "100.5",
    "tradeMoney": "1005",
    "proceeds": "-1005",
    "ibCommission": "-1",
    "ibCommissionCurrency": "USD",
    "taxes": "0",
    "netCash": "-1006",
    "tradeID": "1",
    "transactionID": "11",
    "levelOfDetail": "EXECUTION",
}


def made(*rows: tuple[str, dict[str, str]], base: bool = True) -> list[Any]:
    sections: Sections = {**(BASE if base else {}), "Trades": list(rows)}
    return records(Trade, sections)


def test_an_execution() -> None:
    (trade,) = made(("Trade", BUY | {"origTradeID": "0", "origTransactionID": "0", "settleDateTarget": "20260108"}))
    assert (trade.day.isoformat(), trade.traded_on, trade.traded_at) == (
        "2026-01-06",
        "2026-01-06",
        "2026-01-06T09:30:00",
    )
    assert (trade.quantity, trade.proceeds, trade.net_cash, trade.rate) == (
        Decimal(10),
        Decimal(-1005),
        Decimal(-1006),
        Decimal("0.9"),
    )
    assert (trade.original_trade_id, trade.original_transaction_id, trade.settles_on) == ("", "", "2026-01-08")


def test_cancelled_and_booked_anew_all_rows_count() -> None:
    """The third has the number of the first: what tells rows apart is their place."""
    cancelled = BUY | {"transactionType": "TradeCancel", "buySell": "BUY (Ca.)", "quantity": "-10", "netCash": "1006"}
    cancelled |= {"tradeID": "", "transactionID": "12", "origTradeID": "1", "origTransactionID": "11"}
    anew = BUY | {"transactionID": "13", "quantity": "9", "netCash": "-905.5"}
    trades = made(("Trade", BUY), ("Trade", cancelled), ("Trade", anew))
    assert sum(trade.quantity for trade in trades) == 9
    assert sum(trade.net_cash or 0 for trade in trades) == Decimal("-905.5")
    assert [trade.trade_id for trade in trades] == ["1", "", "1"]
    assert trades[1].original_transaction_id == "11"


def test_a_cancellation_of_an_earlier_trade_is_of_the_day_of_its_report() -> None:
    (trade,) = made(
        ("Trade", BUY | {"reportDate": "20260108", "tradeDate": "20251215", "transactionType": "TradeCancel"})
    )
    assert (f"{trade.day}", trade.traded_on) == ("2026-01-08", "2025-12-15")


def test_equal_executions_are_two() -> None:
    assert len(made(("Trade", BUY), ("Trade", BUY))) == 2


@pytest.mark.parametrize("level", ["EXECUTION", ""])
def test_coarser_rows_beside_executions_do_not_count(level: str) -> None:
    """A query gives the same trade as asset, symbol, order and execution."""
    coarse = [
        ("AssetSummary", BUY | {"levelOfDetail": "ASSET_SUMMARY", "tradeDate": "MULTI"}),
        ("SymbolSummary", BUY | {"levelOfDetail": "SYMBOL_SUMMARY", "tradeDate": "MULTI"}),
        ("Order", BUY | {"levelOfDetail": "ORDER"}),
    ]
    rows = [*coarse, ("Trade", BUY | {"levelOfDetail": level})]
    assert [trade.quantity for trade in made(*rows)] == [10]
    assert [trade.quantity for trade in made(*coarse)] == [10], "orders count where there is no execution"
    assert made(*coarse[:2]) == []


def test_options_that_expire_and_the_stock_of_an_assignment() -> None:
    """Both are bookings without an exchange; neither may be left out."""
    option = BUY | {"assetCategory": "OPT", "transactionType": "BookTrade", "exchange": "--", "tradePrice": "0"}
    expired = option | {"quantity": "1", "notes": "Ep", "proceeds": "0", "netCash": "0"}
    assigned = option | {"assetCategory": "STK", "quantity": "-100", "notes": "A", "tradePrice": "22.5"}
    trades = made(("Trade", expired), ("Trade", assigned))
    assert [(trade.notes, trade.exchange, trade.quantity) for trade in trades] == [("Ep", "", 1), ("A", "", -100)]


def test_a_trade_in_currencies() -> None:
    """Its net cash is 0 and its commission in another currency: both stay as IBKR gives them."""
    forex = BUY | {"assetCategory": "CASH", "symbol": "EUR.USD", "quantity": "1000", "netCash": "0"}
    (trade,) = made(("Trade", forex | {"proceeds": "-1080", "ibCommissionCurrency": "EUR"}))
    assert (trade.net_cash, trade.proceeds, trade.commission_currency) == (0, -1080, "EUR")


def test_proceeds_follow_from_the_money_where_the_query_lacks_them() -> None:
    row = {name: text for name, text in BUY.items() if name not in {"proceeds", "levelOfDetail"}}
    assert [trade.proceeds for trade in made(("Trade", row))] == [-1005]


def test_the_base_currency_needs_no_rate() -> None:
    row = {name: text for name, text in BUY.items() if name != "fxRateToBase"}
    assert [trade.rate for trade in made(("Trade", row | {"currency": "EUR"}))] == [1]
    assert [trade.rate for trade in made(("Trade", row))] == [None]
    assert [trade.rate for trade in made(("Trade", row | {"currency": "EUR"}), base=False)] == [None]


def test_closed_lots_belong_to_the_trade_before_them() -> None:
    """Two that are equal are two; a wash sale is none."""
    lot = {"levelOfDetail": "CLOSED_LOT", "quantity": "5", "openDateTime": "20250106;093000", "cost": "400"}
    sections: Sections = {
        "Trades": [
            ("Trade", BUY),
            ("Trade", BUY | {"quantity": "-10", "reportDate": "20260107"}),
            ("Lot", lot),
            ("Lot", lot),
            ("WashSale", lot | {"levelOfDetail": "WASH_SALE"}),
        ]
    }
    lots = records(ClosedLot, sections)
    assert [(f"{item.day}", item.trade, item.quantity) for item in lots] == [("2026-01-07", 1, 5)] * 2
    assert lots[0].opened_at == "2025-01-06T09:30:00"
    assert len(records(Trade, sections)) == 2
    assert [item.trade for item in records(ClosedLot, {"Trades": [("Lot", lot)]})] == [None]
