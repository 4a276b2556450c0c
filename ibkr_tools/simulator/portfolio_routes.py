"""The `/portfolio` family of the REST interface: preflight, pages, short and long form (cpapi-facts 3.1 to 3.9)."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ibkr_tools.simulator.context import context_of, empty, reply, session_of
from ibkr_tools.simulator.options import UserKind
from ibkr_tools.simulator.portfolio import Account, consolidated_allocation

__all__ = ["ROUTES"]

SUBACCOUNTS_PAGE = 20
BAD_ACCOUNT: dict[str, Any] = {"error": "Bad Request: accountId is not valid", "statusCode": 400}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AccountHandler = Callable[[web.Request, Account], web.Response]


async def accounts(request: web.Request) -> web.Response:
    """List the accounts the user may view; the preflight of every other call of the family."""
    session = session_of(request)
    session.preflight_done = True
    trading = session.user.kind is UserKind.TRADING
    accounts = context_of(request).accounts_of(session)
    return reply([account.record(brokerage_access=trading) for account in accounts])


async def subaccounts2(request: web.Request) -> web.Response:
    """List accounts twenty at a time; without `page` a bare array."""
    session = session_of(request)
    session.preflight_done = True
    records = [account.record() for account in context_of(request).accounts_of(session)]
    if "page" not in request.query:
        return reply(records)
    page = _number(request.query["page"])
    shown = records[page * SUBACCOUNTS_PAGE : (page + 1) * SUBACCOUNTS_PAGE]
    return reply({"metadata": {"total": len(records), "pageSize": SUBACCOUNTS_PAGE, "pageNum": page},
                  "subaccounts": shown})  # fmt: skip


def meta(_request: web.Request, account: Account) -> web.Response:
    """Return the account's record; its `brokerageAccess` is unreliable, as witnessed."""
    return reply(account.record(brokerage_access=False))


def summary(request: web.Request, account: Account) -> web.Response:
    """Return the summary map."""
    return reply(account.summary(context_of(request).world.now()))


def ledger(request: web.Request, account: Account) -> web.Response:
    """Return the ledger by currency."""
    return reply(account.ledger(context_of(request).world.now()))


def allocation(_request: web.Request, account: Account) -> web.Response:
    """Return the allocation of one account."""
    return reply(account.allocation())


def positions(request: web.Request, account: Account) -> web.Response:
    """Return one page; the first call for an account has the short form, since contract data is not loaded yet."""
    session, behaviour = session_of(request), context_of(request).world.behaviour
    warm = account.account_id in session.warm_accounts
    session.warm_accounts.add(account.account_id)
    if not warm and behaviour.cold_positions:
        return reply([])
    rows = account.page(
        _number(request.match_info["page"]),
        long_form=warm and not behaviour.always_short_form,
        sort=request.query.get("sort", ""),
        descending=request.query.get("direction") == "d",
    )
    return reply(rows)


def invalidate(request: web.Request, account: Account) -> web.Response:
    """Forget what the back end has cached for the account."""
    session_of(request).warm_accounts.discard(account.account_id)
    return reply({"message": "success"})


def positions2(request: web.Request, account: Account) -> web.Response:
    """Return all positions at once, with other names."""
    return reply(account.rows2(context_of(request).world.now()))


def position(request: web.Request, account: Account) -> web.Response:
    """Return one position in a list."""
    return reply(account.position(_number(request.match_info["conid"])))


def combos(_request: web.Request, _account: Account) -> web.Response:
    """Return no combination."""
    return reply([])


async def allocation_of_several(request: web.Request) -> web.Response:
    """Return the consolidated allocation of the accounts in `acctIds`."""
    context = context_of(request)
    if context.world.behaviour.require_preflight and not session_of(request).preflight_done:
        return empty(401)
    body = json.loads(await request.text())
    wanted = body.get("acctIds", []) if isinstance(body, dict) else []
    chosen = [account for account in context.accounts_of(session_of(request)) if account.account_id in wanted]
    if len(chosen) != len(wanted) or not chosen:
        return reply(BAD_ACCOUNT, 400)
    return reply(consolidated_allocation(chosen))


async def position_everywhere(request: web.Request) -> web.Response:
    """Return one instrument in all accounts, keyed by account."""
    context = context_of(request)
    if context.world.behaviour.require_preflight and not session_of(request).preflight_done:
        return empty(401)
    conid = _number(request.match_info["conid"])
    accounts = context.accounts_of(session_of(request))
    found = {account.account_id: account.position(conid) for account in accounts}
    return reply({name: rows for name, rows in found.items() if rows})


def _for_account(handler: AccountHandler) -> Handler:
    """Wrap `handler` with the preflight rule and the look-up of the account."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        context = context_of(request)
        if context.world.behaviour.require_preflight and not session_of(request).preflight_done:
            return empty(401)
        account = context.account(session_of(request), request.match_info["account"])
        return reply(BAD_ACCOUNT, 400) if account is None else handler(request, account)

    return wrapped


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/portfolio/accounts", accounts),
    ("GET", "/portfolio/subaccounts", accounts),
    ("GET", "/portfolio/subaccounts2", subaccounts2),
    ("POST", "/portfolio/allocation", allocation_of_several),
    ("GET", "/portfolio/positions/{conid}", position_everywhere),
    ("GET", "/portfolio/{account}/meta", _for_account(meta)),
    ("GET", "/portfolio/{account}/summary", _for_account(summary)),
    ("GET", "/portfolio/{account}/ledger", _for_account(ledger)),
    ("GET", "/portfolio/{account}/allocation", _for_account(allocation)),
    ("POST", "/portfolio/{account}/positions/invalidate", _for_account(invalidate)),
    ("GET", "/portfolio/{account}/positions/{page}", _for_account(positions)),
    ("GET", "/portfolio/{account}/position/{conid}", _for_account(position)),
    ("GET", "/portfolio/{account}/combo/positions", _for_account(combos)),
    ("GET", "/portfolio2/{account}/positions", _for_account(positions2)),
]
