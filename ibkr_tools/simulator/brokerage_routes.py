"""Accounts, orders, trades and P&L of the brokerage tier: reads of `/iserver/account*`.

Source: docs/reference/brokerage-answers.md.
"""

from collections.abc import Callable

from aiohttp import web

from ibkr_tools.simulator import session_responses, trading
from ibkr_tools.simulator.context import context_of, empty, reply, session_of
from ibkr_tools.simulator.request_parsing import (
    BAD_ACCOUNT,
    Handler,
    Route,
    bad_request,
    brokerage,
    is_first,
    number,
)
from ibkr_tools.simulator.simulated_accounts import Account, Row

__all__ = ["ROUTES"]

MOST_ORDERS = 1000
UNAVAILABLE = {
    "error": "Details currently unavailable. Please try again later and contact client services if the issue persists.",
    "statusCode": 503,
}


async def accounts(request: web.Request) -> web.Response:
    """List the accounts the user may trade; the preflight of orders, trades and market data."""
    session = session_of(request)
    session.brokerage_preflight_done = True
    if is_first(request, "accounts") and context_of(request).world.behaviour.cold_accounts:
        return empty(200)
    return reply(session_responses.brokerage_accounts(session, context_of(request).accounts_of(session)))


async def profit(request: web.Request) -> web.Response:
    """Return the P&L of all accounts; a session has none at first, or until a socket asked for it."""
    context, session = context_of(request), session_of(request)
    behaviour = context.world.behaviour
    first = is_first(request, "pnl") and "spl" not in session.warm
    if first or (behaviour.pnl_needs_spl and "spl" not in session.warm):
        return reply({"upnl": {}})
    rows = {f"{account.account_id}.Core": trading.profit(account) for account in context.accounts_of(session)}
    return reply({"upnl": rows})


async def trades(request: web.Request) -> web.Response:
    """List the executions of the last `days` (1 to 7) days, of today without; at first `[]`."""
    days = number(request.query.get("days", "1"))
    if not 1 <= days <= trading.TRADED_DAYS:
        return bad_request("days must be between 1 and 7")
    if is_first(request, "trades"):
        return reply([])
    context = context_of(request)
    found = [row for account in context.accounts_of(session_of(request))
             for row in trading.trades(account, days, context.world.now())]  # fmt: skip
    return reply(sorted(found, key=lambda row: -row["trade_time_r"]))


async def orders(request: web.Request) -> web.Response:
    """List the orders; at first, and whenever `force` clears IBKR's cache, there are none."""
    context, session = context_of(request), session_of(request)
    wanted = request.query.get("accountId")
    if wanted is not None and context.account(session, wanted) is None:
        return reply(BAD_ACCOUNT, 400)
    if is_first(request, "orders") or request.query.get("force", "").lower() == "true":
        return reply({"orders": [], "snapshot": False})
    filters = {one.lower() for one in request.query.get("filters", "").split(",") if one}
    found = [row for row in _orders(request) if wanted in (None, row["acct"])]
    chosen = [row for row in found if not filters or row["status"].lower() in filters]
    return reply({"orders": chosen[:MOST_ORDERS], "snapshot": True})


async def order_status(request: web.Request) -> web.Response:
    """Return one order; 503 when IBKR's cache does not have it, as before the first list of orders."""
    order_id = number(request.match_info["order"])
    cold = context_of(request).world.behaviour.cold_brokerage and "orders" not in session_of(request).warm
    order = next((row for row in _orders(request) if row["orderId"] == order_id), None)
    return empty(503) if order is None or cold else reply(trading.order_status(order))


async def search(request: web.Request) -> web.Response:
    """Find accounts whose number begins so; only for users with many accounts, others get a 503."""
    context, session = context_of(request), session_of(request)
    if not session.user.advisor:
        return reply(UNAVAILABLE, 503)
    pattern = request.match_info["pattern"]
    names = [one.account_id for one in context.accounts_of(session) if one.account_id.startswith(pattern)]
    found = [{"accountId": name, "alias": name, "allocationId": name} for name in names]
    return reply({"matchedAccounts": found, "pattern": pattern})


def _orders(request: web.Request) -> list[Row]:
    context = context_of(request)
    return [row for account in context.accounts_of(session_of(request))
            for row in trading.orders(account, context.world.now())]  # fmt: skip


def _summary(answer: Callable[[Account], Row]) -> Handler:
    """Wrap `answer` with the look-up of the account and the rules of the tier."""

    async def wrapped(request: web.Request) -> web.Response:
        account = context_of(request).account(session_of(request), request.match_info["account"])
        return reply(BAD_ACCOUNT, 400) if account is None else reply(answer(account))

    return brokerage(wrapped)


ROUTES: list[Route] = [
    ("GET", "/iserver/accounts", brokerage(accounts)),
    ("GET", "/iserver/account/pnl/partitioned", brokerage(profit)),
    ("GET", "/iserver/account/trades", brokerage(trades, preflight=True)),
    ("GET", "/iserver/account/trades/", brokerage(trades, preflight=True)),
    ("GET", "/iserver/account/orders", brokerage(orders, preflight=True)),
    ("GET", "/iserver/account/order/status/{order}", brokerage(order_status, preflight=True)),
    ("GET", "/iserver/account/search/{pattern}", brokerage(search)),
    ("GET", "/iserver/account/{account}/summary", _summary(trading.account_summary)),
    ("GET", "/iserver/account/{account}/summary/available_funds", _summary(trading.available_funds)),
    ("GET", "/iserver/account/{account}/summary/balances", _summary(trading.balances)),
    ("GET", "/iserver/account/{account}/summary/margins", _summary(trading.margins)),
    ("GET", "/iserver/account/{account}/summary/market_value", _summary(trading.market_value)),
]
