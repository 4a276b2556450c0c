"""What the brokerage tier knows of an account: trades, orders, P&L, balances. Reads only.

Everything is about contracts that the account holds. Times are relative to now.
Source: docs/reference/brokerage-answers.md.
"""

from datetime import UTC, datetime
from typing import Any

from ibkr_tools.simulator.instruments import EXCHANGES, Instrument
from ibkr_tools.simulator.json_encoding import fixed, scientific
from ibkr_tools.simulator.simulated_accounts import Account, Row

__all__ = [
    "ORDER_STATUSES",
    "TRADED_DAYS",
    "account_summary",
    "available_funds",
    "balances",
    "margins",
    "market_value",
    "order_status",
    "orders",
    "profit",
    "trades",
]

DAY_S = 86_400
ORDER_STATUSES = ("Filled", "Submitted", "PreSubmitted", "Cancelled", "Inactive")
SEGMENTS = ("total", "securities", "commodities", "Crypto at Paxos")
TRADES_A_DAY = 2
TRADED_DAYS = 7


def trades(account: Account, days: int, now: float) -> list[Row]:
    """Return the executions of the last `days` days, today the first of them; newest first."""
    held, midnight = _tradeable(account), now // DAY_S * DAY_S
    found = []
    for ago in range(min(days, TRADED_DAYS) if held else 0):
        rng = account.rng(f"trades:{ago}")
        until = now if ago == 0 else midnight - (ago - 1) * DAY_S
        for place in range(TRADES_A_DAY):
            item = rng.choice(held)
            at = until - (until - (midnight - ago * DAY_S)) * (place + rng.random()) / TRADES_A_DAY
            found.append(_trade(account, item, ago * TRADES_A_DAY + place, int(at), rng.random()))
    return found


def _trade(account: Account, item: Instrument, place: int, at: int, chance: float) -> Row:
    size, price = 1 + int(chance * 20), round(item.price * (0.95 + chance / 10), 2)
    side = "S" if chance < 0.5 else "B"
    verb = "Sold" if side == "S" else "Bot"
    exchange = EXCHANGES.get(item.currency, "SMART")
    return {
        "execution_id": f"0000{account.index:04x}.{item.conid:08x}.01.{place:02d}", "symbol": item.ticker,
        "supports_tax_opt": "1", "side": side, "order_description": f"{verb} {size} @ {price:.2f} on {exchange}",
        "trade_time": f"{datetime.fromtimestamp(at, UTC):%Y%m%d-%H:%M:%S}", "trade_time_r": at * 1000,
        "size": float(size), "price": f"{price:.2f}", "order_ref": "ref1", "submitter": "demo-trader",
        "exchange": exchange, "commission": "1.01", "net_amount": fixed(size * price * (item.multiplier or 1.0)),
        "account": account.account_id, "accountCode": account.account_id,
        "account_allocation_name": account.account_id, "company_name": item.name,
        "contract_description_1": item.ticker, "sec_type": item.asset_class, "listing_exchange": exchange,
        "conid": item.conid, "conidEx": str(item.conid), "clearing_id": "IB", "clearing_name": "IB",
        "liquidation_trade": "0", "is_event_trading": "0", "order_id": 100_000_001 + account.index * 1000 + place,
    }  # fmt: skip


def orders(account: Account, now: float) -> list[Row]:
    """Return one order of each status."""
    held = _tradeable(account)
    return [_order(account, held[place % len(held)], place, status, now)
            for place, status in enumerate(ORDER_STATUSES if held else ())]  # fmt: skip


def _order(account: Account, item: Instrument, place: int, status: str, now: float) -> Row:
    side, size = ("BUY", "SELL")[place % 2], 5.0 + place
    filled = size if status == "Filled" else 0.0
    price, at = round(item.price * 0.97, 2), int(now) - (place + 1) * 600
    described = f"{side.title()} {size:g} {'Market' if place == 0 else f'Limit {price:.2f}'}, {_tif(place)}"
    order: Row = {
        "acct": account.account_id, "conidex": str(item.conid), "conid": item.conid, "account": account.account_id,
        "orderId": 200_000_001 + account.index * 1000 + place, "cashCcy": item.currency,
        "sizeAndFills": f"{filled:g}/{size:g}", "orderDesc": described, "description1": item.ticker,
        "ticker": item.ticker, "secType": item.asset_class, "listingExchange": EXCHANGES.get(item.currency, "SMART"),
        "remainingQuantity": size - filled, "filledQuantity": filled, "totalSize": size, "companyName": item.name,
        "status": status, "order_ccp_status": status, "origOrderType": "MARKET" if place == 0 else "LIMIT",
        "supportsTaxOpt": "1", "lastExecutionTime": f"{datetime.fromtimestamp(at, UTC):%y%m%d%H%M%S}",
        "lastExecutionTime_r": at * 1000, "orderType": "Market" if place == 0 else "Limit", "order_ref": f"ref{place}",
        "bgColor": "#FFFFFF", "fgColor": "#0000CC", "isEventTrading": "0", "timeInForce": _tif(place), "side": side,
        "outsideRTH": False,
    }  # fmt: skip
    if place:
        order["price"] = f"{price:.2f}"
    if filled:
        order["avgPrice"] = f"{price:.2f}"
    return order


def order_status(order: Row) -> Row:
    """Return what `/iserver/account/order/status/{orderId}` says of one of `orders`."""
    size, filled = f"{order['totalSize']:.1f}", f"{order['filledQuantity']:.1f}"
    over = order["status"] in ("Filled", "Cancelled")
    return {
        "sub_type": None, "request_id": "209", "server_id": "0", "order_id": order["orderId"],
        "conidex": order["conidex"], "conid": order["conid"], "symbol": order["ticker"], "side": order["side"][0],
        "contract_description_1": order["description1"], "listing_exchange": order["listingExchange"],
        "option_acct": "c", "company_name": order["companyName"], "size": size, "total_size": size,
        "currency": order["cashCcy"], "account": order["account"], "order_type": order["origOrderType"],
        "cum_fill": filled, "order_status": order["status"], "order_ccp_status": "2" if over else "0",
        "order_status_description": f"Order {order['status']}", "tif": order["timeInForce"], "fg_color": "#FFFFFF",
        "bg_color": "#000000", "order_not_editable": over, "editable_fields": "" if over else "\u001e",
        "alert_active": 1,
        "cannot_cancel_order": over, "deactivate_order": False, "sec_type": order["secType"],
        "available_chart_periods": "#R|1", "order_description": order["orderDesc"], "child_order_type": "0",
        "order_description_with_contract": f"{order['ticker']} {order['orderDesc']}",
        "order_clearing_account": order["account"], "size_and_fills": order["sizeAndFills"],
        "exit_strategy_display_price": order.get("price", "0"), "exit_strategy_tool_availability": "1",
        "exit_strategy_chart_description": order["orderDesc"], "average_price": order.get("avgPrice", "0"),
        "order_time": order["lastExecutionTime"], "allowed_duplicate_opposite": True,
    }  # fmt: skip


def profit(account: Account) -> Row:
    """Return the account's row of `/iserver/account/pnl/partitioned`, in the base currency."""
    _, profits = account.by_currency
    unrealized = sum(value * account.rates[currency] for currency, value in profits.items())
    return {
        "rowType": 1, "dpl": round(-account.net_liquidation * 0.001, 1), "nl": scientific(account.net_liquidation),
        "upl": fixed(unrealized), "uel": account.cash_value, "el": account.cash_value, "mv": account.market_value,
    }  # fmt: skip


def account_summary(account: Account) -> Row:
    """Return `/iserver/account/{account}/summary`: flat numbers in the base currency."""
    cash, total = account.cash_value, account.net_liquidation
    balances: list[Row] = [{"currency": currency, "balance": amount, "settledCash": amount}
                           for currency, amount in account.cash.items()]  # fmt: skip
    balances.append({"currency": f"Total (in {account.base})", "balance": cash, "settledCash": cash})
    return {
        "accountType": "", "status": "", "balance": cash, "SMA": 0.0, "buyingPower": cash, "availableFunds": cash,
        "excessLiquidity": cash, "netLiquidationValue": total, "equityWithLoanValue": total, "regTLoan": 0.0,
        "securitiesGVP": account.gross_value, "totalCashValue": cash, "accruedInterest": account.interest,
        "regTMargin": 0.0, "initialMargin": 0.0, "maintenanceMargin": 0.0, "cashBalances": balances,
    }  # fmt: skip


def available_funds(account: Account) -> Row:
    """Return `…/summary/available_funds`: texts by segment."""
    table = _segments(account.base, account.cash_value, (
        "current_available", "current_excess", "Prdctd Pst-xpry Excss", "Lk Ahd Avlbl Fnds", "Lk Ahd Excss Lqdty",
        "overnight_available", "overnight_excess",
    ))  # fmt: skip
    table["total"] |= {"buying_power": _money(account.cash_value, account.base), "leverage": "1.01",
                       "Lk Ahd Nxt Chng": "@ 16:00:00", "day_trades_left": "Unlimited"}  # fmt: skip
    table["securities"] |= {"leverage": "1.01", "SMA": _money(0.0, account.base)}
    return table


def balances(account: Account) -> Row:
    """Return `…/summary/balances`: texts by segment."""
    table = _segments(account.base, account.net_liquidation, ("net_liquidation", "equity_with_loan"))
    for segment in SEGMENTS:
        has = segment in ("total", "securities")
        table[segment] |= {"cash": _money(account.cash_value if has else 0.0, account.base),
                           "MTD Interest": _money(account.interest if has else 0.0, account.base),
                           "Pndng Dbt Crd Chrgs": _money(0.0, account.base)}  # fmt: skip
    before = _money(account.net_liquidation * 0.998, account.base)
    for segment in ("total", "securities"):
        table[segment] |= {
            "Prvs Dy Eqty Wth Ln Vl": before,
            "sec_gross_pos_val": _money(account.gross_value, account.base),
        }
    return table


def margins(account: Account) -> Row:
    """Return `…/summary/margins`: texts by segment; a cash account has none."""
    table = _segments(account.base, 0.0, (
        "current_initial", "current_maint", "Prdctd Pst-xpry Mrgn @ Opn", "projected_liquidity_inital_margin",
        "Prjctd Lk Ahd Mntnnc Mrgn", "projected_overnight_initial_margin", "Prjctd Ovrnght Mntnnc Mrgn",
    ))  # fmt: skip
    table["securities"]["RegT Margin"] = _money(0.0, account.base)
    return table


def market_value(account: Account) -> Row:
    """Return `…/summary/market_value`: texts by currency, and the total in the base currency."""
    names = {
        "stock": "stockmarketvalue", "options": "stockoptionmarketvalue", "futures": "futuremarketvalue",
        "bonds": "corporatebondsmarketvalue", "funds": "funds", "Cryptocurrency": "cryptocurrencyvalue",
    }  # fmt: skip
    values, profits = account.by_currency
    table: Row = {}
    total = dict.fromkeys(
        ("total_cash", "settled_cash", *names, "net_liquidation", "MTD Interest", "unrealized_pnl"), 0.0
    )
    for currency in sorted({*account.cash, *values}):
        cash, held = account.cash.get(currency, 0.0), values.get(currency, {})
        row = {"total_cash": cash, "settled_cash": cash,
               **{name: held.get(key, 0.0) for name, key in names.items()},
               "net_liquidation": cash + account.worth_in(currency) + account.interest_in(currency)
               + account.dividends_in(currency),
               "MTD Interest": account.interest_in(currency), "unrealized_pnl": profits.get(currency, 0.0)}  # fmt: skip
        for name, value in row.items():
            total[name] += value * account.rates[currency]
        table[currency] = _texts(row, f"{account.rates[currency]:g}")
    table[f"Total (in {account.base})"] = _texts(total, "1.00")
    return table


def _texts(row: dict[str, float], rate: str) -> Row:
    return {name: f"{value:,.0f}" for name, value in row.items()} | {
        "realized_pnl": "0", "Exchange Rate": rate}  # fmt: skip


def _segments(base: str, amount: float, keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return every key for every segment; all is held in securities."""
    return {segment: {key: _money(amount if segment in ("total", "securities") else 0.0, base) for key in keys}
            for segment in SEGMENTS}  # fmt: skip


def _money(amount: float, base: str) -> str:
    return f"{amount:,.0f} {base}"


def _tif(place: int) -> str:
    return ("CLOSE", "GTC")[place % 2]


def _tradeable(account: Account) -> list[Instrument]:
    return [item for item in account.instruments if item.asset_class in ("STK", "OPT", "FUT")][:20]
