"""The sections of a statement about what happened: trades, bookings, corporate actions and transfers. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from ibkr_tools.simulator.account_life.booked import BookedTrade
from ibkr_tools.simulator.account_life.entries import CashEntry, CashKind, CurrencyTradeEntry, TradeEntry
from ibkr_tools.simulator.account_life.flex_query import (
    FlexQuery,
    Rows,
    account_attributes,
    number,
    security_attributes,
)
from ibkr_tools.simulator.account_life.period import Period, entry_of

ZERO = Decimal(0)
Row = dict[str, str]

_NO_ACCOUNT = {"accountId": "-", "acctAlias": "-"}
"""Of rows that sum up others."""

_SUMMED = (
    "quantity",
    "tradeMoney",
    "proceeds",
    "taxes",
    "ibCommission",
    "netCash",
    "cost",
    "fifoPnlRealized",
    "mtmPnl",
)
_COARSER = (
    ("ORDER", "Order", ("ibOrderID",)),
    ("SYMBOL_SUMMARY", "SymbolSummary", ("conid",)),
    ("ASSET_SUMMARY", "AssetSummary", ("assetCategory", "currency")),
)


def trades(query: FlexQuery, period: Period) -> Rows:
    """Returns executions, the lots that they closed, and the coarser levels that the query has."""
    executions = [_trade_row(query, period, trade) for trade in period.trades]
    rows: Rows = []
    for level, element, keys in _COARSER[::-1]:
        if level in query.trade_levels:
            rows += [(element, row) for row in _summed(executions, level, keys)]
    for trade, row in zip(period.trades, executions, strict=True):
        if "EXECUTION" in query.trade_levels:
            rows.append(("Trade", row))
        if "CLOSED_LOT" in query.trade_levels and isinstance(trade, BookedTrade):
            rows += [("Lot", lot) for lot in _closed_lots(query, trade, row)]
    return rows


def _summed(executions: list[Row], level: str, keys: tuple[str, ...]) -> Iterator[Row]:
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in executions:
        groups[*(row[key] for key in keys), row["symbol"] if level != "ASSET_SUMMARY" else ""].append(row)
    for members in groups.values():
        row = members[0] | dict.fromkeys(("tradeID", "transactionID", "ibExecID", "exchange", "transactionType"), "")
        row |= {name: number(sum((Decimal(one[name] or 0) for one in members), ZERO)) for name in _SUMMED}
        if len(members) > 1:
            row |= dict.fromkeys(("tradeDate", "dateTime", "reportDate", "settleDateTarget", "tradePrice"), "MULTI")
        if level == "ASSET_SUMMARY":
            row |= dict.fromkeys(("symbol", "conid", "description", "isin", "buySell"), "")
        yield row | {"levelOfDetail": level, "fxRateToBase": ""}


def _trade_row(query: FlexQuery, period: Period, trade: BookedTrade | CurrencyTradeEntry) -> Row:
    if isinstance(trade, CurrencyTradeEntry):
        return _currency_trade_row(query, period, trade)
    entry = trade.entry
    security = entry.security
    net = entry.proceeds + entry.commission + entry.taxes
    closing_price = period.market.price(security, entry.day)
    side = "BUY" if entry.quantity > 0 else "SELL"
    if entry.original is not None:
        side = "SELL (Ca.)" if side == "BUY" else "BUY (Ca.)"
    flow = ";".join(letter for letter, is_so in (("C", trade.is_closing), ("O", trade.is_opening)) if is_so)
    traded_on = (entry.original or entry).at.date()
    return {
        **account_attributes(period.account, security.currency, period.rate(security.currency, entry.day)),
        **security_attributes(query, security),
        **_execution(query, entry, traded_on),
        "transactionType": entry.kind,
        "exchange": security.exchange if entry.kind == "ExchTrade" else "--",
        "quantity": number(entry.quantity),
        "tradePrice": number(entry.price),
        "tradeMoney": number(-entry.proceeds),
        "proceeds": number(entry.proceeds),
        "taxes": number(entry.taxes),
        "ibCommission": number(entry.commission),
        "ibCommissionCurrency": security.currency,
        "netCash": number(entry.commission if security.is_settled_daily else net),
        "netCashInBase": number(period.in_base(entry.day, security.currency, net)),
        "closePrice": number(closing_price),
        "openCloseIndicator": flow,
        "notes": entry.notes,
        "cost": number(trade.cost),
        "fifoPnlRealized": number(trade.realized),
        "capitalGainsPnl": number(trade.realized),
        "fxPnl": "0",
        "mtmPnl": number(security.value(entry.quantity, closing_price - entry.price)),
        "buySell": side,
        "levelOfDetail": "EXECUTION",
        "orderType": "LMT" if entry.order_id else "",
        "isAPIOrder": "N",
        "accruedInt": "0",
    }


def _execution(query: FlexQuery, entry: TradeEntry, traded_on: date) -> Row:
    """Returns the numbers and times of a trade; a cancellation names the trade that it takes back."""
    original = entry.original
    return {
        "tradeID": "" if original else str(entry.trade_id),
        "transactionID": str(entry.number),
        "ibOrderID": str(entry.order_id or ""),
        "ibExecID": "" if original else f"0000d349.{entry.trade_id & 0xFFFFFFFF:08x}.01.01",
        "origTradeID": str(original.trade_id) if original else "",
        "origTransactionID": str(original.number) if original else "0",
        "origTradeDate": query.day(original.at.date()) if original else "",
        "origTradePrice": number(original.price) if original else "0",
        "reportDate": query.day(entry.day),
        "tradeDate": query.day(traded_on),
        "dateTime": query.moment(entry.at),
        "settleDateTarget": query.day(entry.settle_day),
        "orderTime": query.moment(entry.at) if entry.order_id else "",
        "openDateTime": "",
    }


def _currency_trade_row(query: FlexQuery, period: Period, entry: CurrencyTradeEntry) -> Row:
    return {
        **account_attributes(period.account, entry.other, period.rate(entry.other, entry.day)),
        **security_attributes(query, None),
        "assetCategory": "CASH",
        "symbol": f"{entry.currency}.{entry.other}",
        "description": f"{entry.currency}.{entry.other}",
        "conid": str(12_087_792 + sum(map(ord, entry.currency + entry.other))),
        "multiplier": "1",
        "tradeID": str(entry.trade_id),
        "transactionID": str(entry.number),
        "ibOrderID": "",
        "ibExecID": "",
        "origTradeID": "",
        "origTransactionID": "0",
        "origTradeDate": "",
        "origTradePrice": "0",
        "reportDate": query.day(entry.day),
        "tradeDate": query.day(entry.at.date()),
        "dateTime": query.moment(entry.at),
        "settleDateTarget": query.day(entry.day),
        "orderTime": "",
        "openDateTime": "",
        "transactionType": "ExchTrade",
        "exchange": "IDEALFX",
        "quantity": number(entry.quantity),
        "tradePrice": number(entry.price),
        "tradeMoney": number(-entry.proceeds),
        "proceeds": number(entry.proceeds),
        "taxes": "0",
        "ibCommission": number(entry.commission),
        "ibCommissionCurrency": entry.commission_currency,
        "netCash": "0",
        "netCashInBase": "0",
        "closePrice": "0",
        "openCloseIndicator": "",
        "notes": entry.notes,
        "cost": "0",
        "fifoPnlRealized": "0",
        "capitalGainsPnl": "0",
        "fxPnl": "0",
        "mtmPnl": "0",
        "buySell": "BUY" if entry.quantity > 0 else "SELL",
        "levelOfDetail": "EXECUTION",
        "orderType": "",
        "isAPIOrder": "N",
        "accruedInt": "0",
    }


def _closed_lots(query: FlexQuery, trade: BookedTrade, row: Row) -> Iterator[Row]:
    """Yields the lots that a trade closed; their profits sum to its own."""
    closed_quantity = sum((lot.quantity for lot in trade.closed), ZERO)
    left = trade.realized
    for place, lot in enumerate(trade.closed, 1):
        profit = (trade.realized * lot.quantity / closed_quantity).quantize(Decimal("0.00000001"))
        if place == len(trade.closed):
            profit = left
        left -= profit
        yield row | {
            "quantity": number(abs(lot.quantity)),
            "cost": number(lot.cost),
            "fifoPnlRealized": number(profit),
            "openDateTime": query.moment(lot.opened),
            "holdingPeriodDateTime": query.moment(lot.opened),
            "transactionID": str(lot.number),
            "levelOfDetail": "CLOSED_LOT",
            "ibCommission": "",
            "netCash": "",
            "proceeds": "",
            "ibExecID": "",
        }


def cash_transactions(query: FlexQuery, period: Period) -> Rows:
    """Returns the bookings of cash, and where the query has them the rows that sum them up."""
    details = [_booking(query, period, entry) for entry in period.bookings if entry.kind.type]
    rows: Rows = []
    if "SUMMARY" in query.booking_levels:
        groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in details:
            groups[tuple(row[key] for key in ("type", "currency", "conid", "reportDate", "description"))].append(row)
        for members in groups.values():
            total = number(sum((Decimal(row["amount"]) for row in members), ZERO))
            more = {**_NO_ACCOUNT, "amount": total, "transactionID": "", "levelOfDetail": "SUMMARY"}
            rows.append(("CashTransaction", members[0] | more))
    if "DETAIL" in query.booking_levels:
        rows += [("CashTransaction", row) for row in details]
    return rows


def _booking(query: FlexQuery, period: Period, entry: CashEntry) -> Row:
    at = query.day(entry.at.date()) if entry.security is None else query.moment(entry.at)
    return {
        **account_attributes(period.account, entry.currency, period.rate(entry.currency, entry.day)),
        **security_attributes(query, entry.security),
        "description": entry.description,
        "dateTime": at,
        "settleDate": query.day(entry.settle_day),
        "availableForTradingDate": "",
        "exDate": "",
        "amount": number(entry.amount),
        "type": entry.kind.type,
        "tradeID": "",
        "code": entry.code,
        "transactionID": str(entry.number),
        "reportDate": query.day(entry.day),
        "clientReference": "",
        "actionID": str(entry.action_id or ""),
        "levelOfDetail": "DETAIL",
    }


def sales_taxes(query: FlexQuery, period: Period) -> Rows:
    """Returns value added taxes, which are in no other section."""
    return [
        (
            "SalesTax",
            {
                **account_attributes(period.account, entry.currency, period.rate(entry.currency, entry.day)),
                "date": query.day(entry.day),
                "country": "Germany",
                "taxType": "VAT",
                "payer": period.account,
                "taxableDescription": entry.description,
                "taxRate": "0.19",
                "salesTax": number(entry.amount),
                "transactionID": str(entry.number),
            },
        )
        for entry in period.bookings
        if entry.kind is CashKind.SALES_TAX
    ]


def transaction_taxes(query: FlexQuery, period: Period) -> Rows:
    """Returns the taxes that are in trades already."""
    return [
        (
            "TransactionTax",
            {
                **account_attributes(period.account, one.entry.security.currency),
                **security_attributes(query, one.entry.security),
                "date": query.day(one.entry.day),
                "taxDescription": "UK Stamp Tax",
                "quantity": number(one.entry.quantity),
                "taxAmount": number(one.entry.taxes),
                "tradeId": str(one.entry.trade_id),
                "tradePrice": number(one.entry.price),
                "levelOfDetail": "SUMMARY",
            },
        )
        for one in period.trades
        if isinstance(one, BookedTrade) and one.entry.taxes
    ]


def corporate_actions(query: FlexQuery, period: Period) -> Rows:
    """Returns a row for each security that a corporate action touched."""
    rows: Rows = []
    for booked in period.actions:
        security, action = booked.security, booked.entry.action
        row = {
            **account_attributes(period.account, security.currency, period.rate(security.currency, booked.entry.day)),
            **security_attributes(query, security),
            "reportDate": query.day(booked.entry.day),
            "dateTime": query.moment(booked.entry.at),
            "actionDescription": action.description,
            "amount": number(-booked.proceeds),
            "proceeds": number(booked.proceeds),
            "value": number(booked.value),
            "quantity": number(booked.quantity),
            "fifoPnlRealized": number(booked.realized),
            "capitalGainsPnl": number(booked.realized),
            "mtmPnl": "0",
            "code": "",
            "type": action.kind.code,
            "transactionID": str(booked.entry.number + booked.leg),
            "actionID": str(action.action_id),
            "levelOfDetail": "DETAIL",
        }
        row["description"] = action.description
        if "SUMMARY" in query.booking_levels:
            summary = {**_NO_ACCOUNT, "transactionID": "", "levelOfDetail": "SUMMARY"}
            rows.append(("CorporateAction", row | summary))
        if "DETAIL" in query.booking_levels:
            rows.append(("CorporateAction", row))
    return rows


def transfers(query: FlexQuery, period: Period) -> Rows:
    """Returns transfers of positions and of cash."""
    rows: Rows = []
    for booked in period.transfers:
        entry = booked.entry
        currency = entry.security.currency if entry.security else entry.currency
        rate = period.rate(currency, entry.day)
        row = {
            **account_attributes(period.account, currency, rate),
            **security_attributes(query, entry.security),
            "reportDate": query.day(entry.day),
            "date": query.day(entry.day),
            "dateTime": query.moment(entry.at),
            "settleDate": query.day(entry.day),
            "type": entry.kind,
            "direction": "IN" if entry.is_incoming else "OUT",
            "company": "--",
            "account": entry.counterpart,
            "accountName": "",
            "deliveringBroker": "",
            "quantity": number(entry.quantity),
            "transferPrice": number(booked.price),
            "positionAmount": number(booked.amount),
            "positionAmountInBase": number(booked.amount * rate),
            "pnlAmount": "0",
            "pnlAmountInBase": "0",
            "cashTransfer": number(entry.cash),
            "code": "",
            "clientReference": "",
            "transactionID": str(entry.number),
            "levelOfDetail": "TRANSFER",
        }
        if entry.security is None:
            row |= {"assetCategory": "CASH", "symbol": "--", "description": f"{currency} CASH"}
        rows.append(("Transfer", row))
    return rows


def option_ends(query: FlexQuery, period: Period) -> Rows:
    """Returns options that expired, were assigned or were exercised, and the trades in shares that this made."""
    rows: Rows = []
    for trade in period.trades:
        if not isinstance(trade, BookedTrade) or not trade.entry.exercise:
            continue
        entry, security = trade.entry, trade.entry.security
        is_option = security.underlying is not None
        row = {
            **account_attributes(period.account, security.currency, period.rate(security.currency, entry.day)),
            **security_attributes(query, security),
            "date": query.day(entry.day),
            "transactionType": entry.exercise if is_option else ("Buy" if entry.quantity > 0 else "Sell"),
            "quantity": number(entry.quantity),
            "tradePrice": number(entry.price),
            "markPrice": number(period.market.price(security, entry.day)),
            "proceeds": number(entry.proceeds),
            "commisionsAndTax": number(entry.commission + entry.taxes),
            "costBasis": number(trade.cost),
            "realizedPnl": number(trade.realized),
            "tradeID": str(entry_of(trade).number),
        }
        rows.append(("OptionEAE", row))
    return rows
