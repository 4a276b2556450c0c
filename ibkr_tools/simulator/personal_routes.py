"""Who the customer is, and the first version of the interface. All people are made up.

Source: docs/reference/user-answers.md.
"""

from typing import Any

from aiohttp import web

from ibkr_tools.simulator import trading
from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.options import UserKind
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT, Route, brokerage
from ibkr_tools.simulator.simulated_accounts import Row

__all__ = ["ROUTES"]

PERSON: dict[str, Any] = {"firstName": "Jörg", "lastName": "Šimůnek", "entityType": "INDIVIDUAL",
                          "entityName": "Jörg Šimůnek", "dateOfBirth": "1990-01-15"}  # fmt: skip


async def signatures(request: web.Request) -> web.Response:
    """Name the owners of an account."""
    session = session_of(request)
    account = context_of(request).account(session, request.match_info["account"])
    if account is None:
        return reply(BAD_ACCOUNT, 400)
    owner = {"roleId": "OWNER", "hasRightCodeInd": True, "userName": session.user.username, "entity": PERSON}
    return reply({"accountId": account.account_id, "users": [owner],
                  "applicant": {"signatures": [PERSON["entityName"]]}})  # fmt: skip


async def entity(_request: web.Request) -> web.Response:
    """Describe the customer."""
    return reply({"entities": [PERSON]})


async def ccp_status(request: web.Request) -> web.Response:
    """Report the brokerage tier in the old way."""
    session = session_of(request)
    trading_user = session.user.kind is UserKind.TRADING
    return reply({"authenticated": session.is_authenticated, "connected": True, "name": session.user.username,
                  "tradingAllowed": trading_user, "competing": session.is_competing})  # fmt: skip


async def ccp_accounts(request: web.Request) -> web.Response:
    """List the accounts in the old way."""
    names = [one.account_id for one in context_of(request).accounts_of(session_of(request))]
    return reply({"mainAcct": names[0], "acctList": names})


async def ccp_positions(request: web.Request) -> web.Response:
    """List the positions of all accounts in the old way."""
    accounts = context_of(request).accounts_of(session_of(request))
    return reply([{"account": account.account_id, "conid": item.conid, "position": item.quantity,
                   "avgCost": item.average_cost} for account in accounts for item in account.instruments])  # fmt: skip


async def ccp_orders(request: web.Request) -> web.Response:
    """List the orders of one account in the old way."""
    context, session = context_of(request), session_of(request)
    account = context.account(session, request.query.get("acct", context.accounts_of(session)[0].account_id))
    if account is None:
        return reply(BAD_ACCOUNT, 400)
    rows = trading.orders(account, context.world.now())
    return reply({"orders": [_old(row) for row in rows]})


async def ccp_trades(request: web.Request) -> web.Response:
    """List today's executions in the old way."""
    context = context_of(request)
    return reply({"trades": [row for account in context.accounts_of(session_of(request))
                             for row in trading.trades(account, 1, context.world.now())]})  # fmt: skip


def _old(order: Row) -> Row:
    return {"orderId": order["orderId"], "conid": order["conid"], "side": order["side"][0], "status": order["status"],
            "qty": order["totalSize"], "filled": order["filledQuantity"], "account": order["acct"]}  # fmt: skip


ROUTES: list[Route] = [
    ("GET", "/acesws/{account}/signatures-and-owners", signatures),
    ("GET", "/ibcust/entity/info", entity),
    ("GET", "/ccp/status", brokerage(ccp_status)),
    ("GET", "/ccp/account", brokerage(ccp_accounts)),
    ("GET", "/ccp/accounts", brokerage(ccp_accounts)),
    ("GET", "/ccp/positions", brokerage(ccp_positions)),
    ("GET", "/ccp/orders", brokerage(ccp_orders)),
    ("GET", "/ccp/trades", brokerage(ccp_trades)),
]
