"""Reads of the brokerage tier about accounts, profit and loss, trades and orders; nothing here places an order.

`force` of the orders is not among their parameters: it clears a cache and silences the orders of the WebSocket.
"""

from functools import partial

from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Parameter, Place, Tier, Type

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=Kind.READ)

BROKERAGE_ACCOUNTS = _GET(
    "brokerage_accounts",
    path="/iserver/accounts",
    gives="the accounts the user may trade, and what is allowed there",
    may_be_cold=True,
)
PNL = _GET(
    "pnl",
    path="/iserver/account/pnl/partitioned",
    interval_s=5.0,
    gives="profit and loss of today, by account",
    rows="upnl",
    may_be_cold=True,
)
TRADES = _GET(
    "trades",
    path="/iserver/account/trades",
    interval_s=5.0,
    gives="executions of the last days",
    parameters=(Parameter("days", "how many days back, today included", type=Type.INTEGER, choices=tuple("1234567")),),
    rows="",
    may_be_cold=True,
)
ORDERS = _GET(
    "orders",
    path="/iserver/account/orders",
    interval_s=5.0,
    gives="live orders, and those of today",
    parameters=(
        Parameter("filters", "only these states, such as submitted,filled", type=Type.LIST),
        Parameter("accountId", "only this account's"),
    ),
    rows="orders",
    may_be_cold=True,
)

ENDPOINTS = (
    BROKERAGE_ACCOUNTS,
    _GET(
        "account_summary",
        path="/iserver/account/{account}/summary",
        gives="balances in few numbers",
    ),
    _GET(
        "available_funds",
        path="/iserver/account/{account}/summary/available_funds",
        gives="what may be spent, by segment",
    ),
    _GET(
        "balances",
        path="/iserver/account/{account}/summary/balances",
        gives="net liquidation, cash and interest, by segment",
    ),
    _GET(
        "margins",
        path="/iserver/account/{account}/summary/margins",
        gives="initial and maintenance margins, by segment",
    ),
    _GET(
        "market_value",
        path="/iserver/account/{account}/summary/market_value",
        gives="value by currency and asset class",
    ),
    PNL,
    TRADES,
    ORDERS,
    _GET(
        "order_status",
        path="/iserver/account/order/status/{orderId}",
        gives="one order in full",
        parameters=(Parameter("orderId", "the order's number", Place.PATH, Type.INTEGER, required=True),),
    ),
    _GET(
        "account_search",
        path="/iserver/account/search/{searchPattern}",
        gives="accounts by the beginning of their number (only users with very many accounts)",
        parameters=(Parameter("searchPattern", "how the number begins", Place.PATH, required=True),),
    ),
)
