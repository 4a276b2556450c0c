"""Reads of the brokerage tier about accounts, profit and loss, trades and orders; nothing here places an order.

`force` of the orders is not among their parameters: it clears a cache and silences the orders of the WebSocket.
"""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, ParamIn, ParamType, RequestKind, Tier

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=RequestKind.READ)

BROKERAGE_ACCOUNTS = _GET(
    "brokerage_accounts",
    path="/iserver/accounts",
    description="the accounts the user may trade, and what is allowed there",
    needs_warm_up=True,
)
PNL = _GET(
    "pnl",
    path="/iserver/account/pnl/partitioned",
    interval_s=5.0,
    description="profit and loss of today, by account",
    records_path="upnl",
    needs_warm_up=True,
)
TRADES = _GET(
    "trades",
    path="/iserver/account/trades",
    interval_s=5.0,
    description="executions of the last days",
    parameters=(
        Parameter("days", "how many days back, today included", type=ParamType.INTEGER, choices=tuple("1234567")),
    ),
    records_path="",
    needs_warm_up=True,
)
ORDERS = _GET(
    "orders",
    path="/iserver/account/orders",
    interval_s=5.0,
    description="live orders, and those of today",
    parameters=(
        Parameter("filters", "only these states, such as submitted,filled", type=ParamType.LIST),
        Parameter("accountId", "only this account's"),
    ),
    records_path="orders",
    needs_warm_up=True,
)

ENDPOINTS = (
    BROKERAGE_ACCOUNTS,
    _GET(
        "account_summary",
        path="/iserver/account/{account}/summary",
        description="balances in few numbers",
    ),
    _GET(
        "available_funds",
        path="/iserver/account/{account}/summary/available_funds",
        description="what may be spent, by segment",
    ),
    _GET(
        "balances",
        path="/iserver/account/{account}/summary/balances",
        description="net liquidation, cash and interest, by segment",
    ),
    _GET(
        "margins",
        path="/iserver/account/{account}/summary/margins",
        description="initial and maintenance margins, by segment",
    ),
    _GET(
        "market_value",
        path="/iserver/account/{account}/summary/market_value",
        description="value by currency and asset class",
    ),
    PNL,
    TRADES,
    ORDERS,
    _GET(
        "order_status",
        path="/iserver/account/order/status/{orderId}",
        description="one order in full",
        parameters=(Parameter("orderId", "the order's number", ParamIn.PATH, ParamType.INTEGER, required=True),),
    ),
    _GET(
        "account_search",
        path="/iserver/account/search/{searchPattern}",
        description="accounts by the beginning of their number (only users with very many accounts)",
        parameters=(Parameter("searchPattern", "how the number begins", ParamIn.PATH, required=True),),
    ),
)
