"""The `/portfolio` family of the REST interface: preflight, pages, short and long form.

Source: docs/reference/portfolio-answers.md.
"""

from collections.abc import Callable

from aiohttp import web

from ibkr_tools.simulator.context import context_of, empty, reply, session_of
from ibkr_tools.simulator.options import UserKind
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT, Handler, Route, body_of, chosen_accounts, number
from ibkr_tools.simulator.simulated_accounts import Account, Row, consolidated_allocation
from ibkr_tools.simulator.simulated_sessions import Session

__all__ = ["ROUTES"]

SUBACCOUNTS_PAGE = 20
NEWER = ("brokerageAccess", "acctCustType", "category", "PrepaidCrypto-Z", "PrepaidCrypto-P")
"""What records of accounts lack in older builds."""
AccountHandler = Callable[[web.Request, Account], web.Response]


async def accounts(request: web.Request) -> web.Response:
    """List the accounts the user may view; the preflight of every other call of the family."""
    session = session_of(request)
    session.preflight_done = True
    first, session.accounts_listed = not session.accounts_listed, True
    if first and context_of(request).world.behaviour.cold_accounts:
        return reply([])
    trading = session.user.kind is UserKind.TRADING
    records = [one.record(brokerage_access=trading) for one in context_of(request).accounts_of(session)]
    if context_of(request).world.behaviour.older_records:
        records = [{key: value for key, value in one.items() if key not in NEWER} for one in records]
    return reply(records)


async def subaccounts2(request: web.Request) -> web.Response:
    """List accounts twenty at a time; without `page` a bare array, unless it is always an object."""
    session, behaviour = session_of(request), context_of(request).world.behaviour
    session.preflight_done = True
    records = [account.record() for account in context_of(request).accounts_of(session)]
    if "page" not in request.query and behaviour.subaccounts == "by-page":
        return reply(records)
    page = number(request.query.get("page", "0"))
    shown = records[page * SUBACCOUNTS_PAGE : (page + 1) * SUBACCOUNTS_PAGE] if page >= 0 else []
    if behaviour.subaccounts == "array":
        return reply(shown)
    return reply({"metadata": {"total": len(records), "pageSize": SUBACCOUNTS_PAGE, "pageNum": page},
                  "subaccounts": shown})  # fmt: skip


def meta(_request: web.Request, account: Account) -> web.Response:
    """Return the account's record; its `brokerageAccess` is unreliable, as witnessed."""
    return reply(account.record(brokerage_access=False))


def summary(request: web.Request, account: Account) -> web.Response:
    """Return the summary map."""
    return reply(account.rendered(account.summary, context_of(request).world.now()))


def ledger(request: web.Request, account: Account) -> web.Response:
    """Return the ledger by currency."""
    return reply(account.rendered(account.ledger, context_of(request).world.now()))


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
    page = number(request.match_info["page"])
    if behaviour.short_answers is not None:
        return reply(_rows_by_contract(session, account, page, behaviour.short_answers, behaviour.page_size))
    rows = account.page(
        page,
        long_form=warm and not behaviour.always_short_form,
        sort=request.query.get("sort", ""),
        descending=request.query.get("direction") == "d",
        size=behaviour.page_size,
    )
    return reply(rows)


def _rows_by_contract(session: Session, account: Account, page: int, answers: int, size: int) -> list[Row]:
    """Return a page on which each contract has its short form in so many answers of the session."""
    held = account.held[page * size : (page + 1) * size] if page >= 0 else []
    for one in held:
        session.answered[f"{account.account_id} {one.conid}"] += 1
    return [
        account.short_row(one)
        if session.answered[f"{account.account_id} {one.conid}"] <= answers + one.conid % 2
        else account.long_row(one) | {"pageSize": size}
        for one in held
    ]


def invalidate(request: web.Request, account: Account) -> web.Response:
    """Forget what the back end has cached for the account."""
    session_of(request).warm_accounts.discard(account.account_id)
    return reply({"message": "success"})


def positions2(request: web.Request, account: Account) -> web.Response:
    """Return all positions at once, with other names."""
    return reply(account.rendered(account.rows2, context_of(request).world.now()))


def position(request: web.Request, account: Account) -> web.Response:
    """Return one position in a list."""
    return reply(account.position(number(request.match_info["conid"])))


def combos(_request: web.Request, account: Account) -> web.Response:
    """Return the combinations."""
    return reply(account.combinations())


async def allocation_of_several(request: web.Request) -> web.Response:
    """Return the consolidated allocation of the accounts in `acctIds`."""
    context = context_of(request)
    if context.world.behaviour.require_preflight and not session_of(request).preflight_done:
        return empty(401)
    chosen = chosen_accounts(request, await body_of(request))
    return reply(consolidated_allocation(chosen)) if chosen else reply(BAD_ACCOUNT, 400)


async def position_everywhere(request: web.Request) -> web.Response:
    """Return one instrument in all accounts: keyed by account, futures by its segment; or as one list."""
    context = context_of(request)
    if context.world.behaviour.require_preflight and not session_of(request).preflight_done:
        return empty(401)
    conid = number(request.match_info["conid"])
    accounts = context.accounts_of(session_of(request))
    found = [(account.account_id, row) for account in accounts for row in account.position(conid)]
    if context.world.behaviour.position_shape == "list":
        return reply([row for _, row in found])
    return reply({name + ("C" if row["assetClass"] == "FUT" else ""): [row] for name, row in found})


def _for_account(handler: AccountHandler) -> Handler:
    """Wrap `handler` with the preflight rule and the look-up of the account."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        context = context_of(request)
        if context.world.behaviour.require_preflight and not session_of(request).preflight_done:
            return empty(401)
        account = context.account(session_of(request), request.match_info["account"])
        return reply(BAD_ACCOUNT, 400) if account is None else handler(request, account)

    return wrapped


ROUTES: list[Route] = [
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
