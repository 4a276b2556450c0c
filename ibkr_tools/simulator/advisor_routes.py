"""What financial advisors see: allocation groups and model portfolios. Reads only; 503 for others.

Source: docs/reference/brokerage-answers.md#advisors.
"""

from typing import Any

from aiohttp import web

from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.request_parsing import Handler, Route, bad_request, body_of, brokerage
from ibkr_tools.simulator.simulated_accounts import BASE_CURRENCY, Account, Row

__all__ = ["ROUTES"]

UNAVAILABLE: dict[str, Any] = {"error": "Service Unavailable", "statusCode": 503}
GROUP = "Group_1_NetLiq"
MODELS = ("Sample-Model", "Wachstum")
POSITIONS = 10


async def allocatable(request: web.Request) -> web.Response:
    """List the accounts that orders may be allocated to, amounts as text."""
    return reply({"accounts": [
        {"name": one.account_id, "data": [{"value": f"{one.net_liquidation:.2f}", "key": "NetLiquidation"},
                                          {"value": f"{one.cash_value:.2f}", "key": "AvailableEquity"}]}
        for one in _clients(request)]})  # fmt: skip


async def groups(request: web.Request) -> web.Response:
    """List the groups."""
    return reply({"data": [{"allocation_method": "N", "size": len(_clients(request)), "name": GROUP}]})


async def group(request: web.Request) -> web.Response:
    """Return one group."""
    if (await body_of(request)).get("name") != GROUP:
        return bad_request("group does not exist")
    return reply({"name": GROUP, "accounts": [{"name": one.account_id} for one in _clients(request)],
                  "default_method": "N"})  # fmt: skip


async def presets(_request: web.Request) -> web.Response:
    """Return how orders are allocated by default."""
    return reply({"group_auto_close_positions": False, "default_method_for_all": "N",
                  "profiles_auto_close_positions": False, "strict_credit_check": False,
                  "group_proportional_allocation": False})  # fmt: skip


async def model_presets(request: web.Request) -> web.Response:
    """Return how models are rebalanced by default."""
    names = ("keepModelOpen", "useToleranceRange", "useNonBaseCcy", "preferTransferFromIndependent",
             "preferCrossWithIndependent", "closeDivestIndependentPosition", "avoidNegativeCashInIndependent",
             "fullyInvestExistingLongPositions", "roundAllocationQuantityToExchangeBoardLot")  # fmt: skip
    return reply(await _answer(request) | dict.fromkeys(names, False))


async def models(request: web.Request) -> web.Response:
    """List the models."""
    master = context_of(request).accounts_of(session_of(request))[0].account_id
    rows = [_model(request, name) for name in MODELS]
    return reply(await _answer(request) | {"masterAccount": master, "baseCcy": BASE_CURRENCY, "models": rows})


async def model_summary(request: web.Request) -> web.Response:
    """Return one model in few numbers."""
    name = (await body_of(request)).get("model")
    return reply(await _answer(request) | _model(request, name)) if name in MODELS else bad_request("no such model")


async def model_positions(request: web.Request) -> web.Response:
    """Return the positions of a model with their targets, numbers as text; at most `limit` of them."""
    body = await body_of(request)
    limit = body.get("limit", POSITIONS)
    if body.get("model") not in MODELS or not isinstance(limit, int):
        return bad_request("no such model")
    held = [one for one in _clients(request)[0].instruments if one.asset_class == "STK"][:POSITIONS]
    rows = [{
        "instrument": one.ticker, "conid": one.conid, "ccy": one.currency, "position": f"{one.quantity:g}",
        "actual": "0.1", "target": "0.1", "mv": f"{one.market_value:.2f}", "dlv": f"{one.market_value:.2f}",
        "exchangeRate": "1", "flags": 0, "instrumentImbalance": "0", "mismatchType": 0, "actualRangeMin": None,
        "actualRangeMax": None,
    } for one in held]  # fmt: skip
    column = body.get("sortField")
    if column in ("conid", "ccy", "instrument"):
        rows.sort(key=lambda row: str(row[column]), reverse=body.get("sortDirection") == "DESC")
    total = round(sum(one.market_value for one in held), 2)
    cash = {"ccy": BASE_CURRENCY, "actual": "0", "target": "0", "mv": "0", "exchangeRate": "1",
            "instrumentImbalance": "0"}  # fmt: skip
    return reply(await _answer(request) | {
        "model": body["model"], "nlv": total, "positionList": rows[:limit], "cash": [cash], "mismatched": False,
        "positionTs": int(context_of(request).world.now() * 1000), "stkOnly": True, "totalDlv": total,
        "totalMv": total})  # fmt: skip


async def model_accounts(request: web.Request) -> web.Response:
    """Return the accounts in a model and their total, numbers as text."""
    name = (await body_of(request)).get("model")
    if name not in MODELS:
        return bad_request("no such model")
    clients = _clients(request)
    rows = [_account(one.account_id, one.net_liquidation) for one in clients]
    rows.append(_account("TOTAL", sum(one.net_liquidation for one in clients)))
    return reply(await _answer(request) | {"model": name, "baseCcyMaster": BASE_CURRENCY, "accountInfoList": rows})


async def model_investments(request: web.Request) -> web.Response:
    """Return what each account has in a model and beside it, numbers as text."""
    name = (await body_of(request)).get("model")
    if name not in MODELS:
        return bad_request("no such model")
    rows = [{
        "account": one.account_id, "alias": "", "baseCcyAccount": BASE_CURRENCY, "baseCcyAccountPrecision": "0.01",
        "exchangeRate": 1.0, "nlv": f"{one.net_liquidation:.2f}", "accountModelNlv": "0",
        "accountOtherModelsNlv": "0", "cashInIndependentNlv": f"{one.cash_value:.2f}",
        "positionsInIndependentNlv": f"{one.market_value:.2f}",
    } for one in _clients(request)]  # fmt: skip
    return reply(await _answer(request) | {"model": name, "baseCcyMaster": BASE_CURRENCY,
                                           "baseCcyMasterPrecision": "0.01", "accountList": rows})  # fmt: skip


async def _answer(request: web.Request) -> Row:
    return {"reqID": (await body_of(request)).get("reqID"), "subscriptionStatus": 1}


def _account(name: str, value: float) -> Row:
    return {"account": name, "alias": "", "baseCcyAccount": BASE_CURRENCY, "exchangeRate": 1.0,
            "nlv": f"{value:.2f}", "accountImbalance": "0", "costBasis": "0", "cashInIndependent": "0",
            "unrealizedPnL": "0", "numInstrumentsOutsideRange": 0}  # fmt: skip


def _model(request: web.Request, name: object) -> Row:
    value = sum(one.net_liquidation for one in _clients(request))
    return {"model": name, "desc": f"{name} of all accounts", "nlv": f"{value:.2f}", "isStatic": False,
            "mismatch": False, "customIndex": False, "bootstrapped": True,
            "numAccounts": len(_clients(request))}  # fmt: skip


def _clients(request: web.Request) -> list[Account]:
    """Return the accounts under the master account."""
    return context_of(request).accounts_of(session_of(request))[1:]


def _advised(handler: Handler) -> Handler:
    """Wrap `handler`: 503 for everybody who is no advisor."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        return await handler(request) if session_of(request).user.advisor else reply(UNAVAILABLE, 503)

    return brokerage(wrapped)


ROUTES: list[Route] = [
    ("GET", "/iserver/account/allocation/accounts", _advised(allocatable)),
    ("GET", "/iserver/account/allocation/group", _advised(groups)),
    ("POST", "/iserver/account/allocation/group/single", _advised(group)),
    ("GET", "/iserver/account/allocation/presets", _advised(presets)),
    ("POST", "/fa/fa-preset/get", _advised(model_presets)),
    ("POST", "/fa/model/list", _advised(models)),
    ("POST", "/fa/model/positions", _advised(model_positions)),
    ("POST", "/fa/model/summary", _advised(model_summary)),
    ("POST", "/fa/model/accounts-details", _advised(model_accounts)),
    ("POST", "/fa/model/invest-divest-positions", _advised(model_investments)),
]
