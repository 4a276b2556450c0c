"""Contracts and reference data: search, chains, definitions, currencies, schedules.

Source: docs/reference/contract-answers.md.
"""

from typing import Any

from aiohttp import web

from ibkr_tools.simulator import contract_descriptions
from ibkr_tools.simulator.catalogue import MONTHS, Catalogue, catalogue
from ibkr_tools.simulator.context import context_of, empty, reply, session_of
from ibkr_tools.simulator.instruments import EXCHANGES, RATES, Instrument
from ibkr_tools.simulator.request_parsing import Route, bad_request, body_of, brokerage, number, numbers

__all__ = ["ROUTES"]

SEARCHED = ("STK", "IND", "BOND", "FUND", "CRYPTO", "CASH")
NO_CONTRACT = {"error": "Contract not found"}
ALGOS = {"Adaptive": "Adaptive", "ArrivalPx": "Arrival Price", "Twap": "TWAP", "Vwap": "VWAP"}


async def search(request: web.Request) -> web.Response:
    """Find contracts by symbol, or by company with `name`; chains can be asked for after that."""
    asked: dict[str, Any] = {**request.query, **(await body_of(request))}
    symbol, kind = str(asked.get("symbol", "")), str(asked.get("secType", "STK")).upper()
    if not symbol:
        return bad_request("symbol is required")
    if kind not in SEARCHED:
        return reply({"error": "secType is not valid"}, 500)
    known = _known(request)
    by_name = str(asked.get("name", "")).lower() == "true"
    found = [one for one in known.searchable() if symbol.upper() in one.name] if by_name else known.named(symbol)
    kinds = ("BOND",) if kind == "BOND" else SEARCHED if kind == "STK" else (kind,)
    session_of(request).warm |= {f"searched:{one.conid}" for one in found}
    return reply([contract_descriptions.search_entry(one, known.chain(one.conid)) for one in found
                  if one.asset_class in kinds and (kind == "BOND" or one.asset_class != "BOND")])  # fmt: skip


async def strikes(request: web.Request) -> web.Response:
    """Return the strikes of a month; none before a search."""
    missing = [name for name in ("conid", "sectype", "month") if name not in request.query]
    if missing:
        return bad_request(f"{missing[0]} is required")
    conid = number(request.query["conid"])
    chain = _known(request).chain(conid)
    searched = f"searched:{conid}" in session_of(request).warm
    if chain is None or chain.kind != "OPT" or request.query["month"] not in MONTHS or not searched:
        return reply({"call": [], "put": []})
    return reply({"call": chain.strikes, "put": chain.strikes})


async def info(request: web.Request) -> web.Response:
    """Return the contracts of a chain that fit; a list."""
    conid, kind = number(request.query.get("conid", "")), request.query.get("sectype", "STK").upper()
    known = _known(request)
    item, chain = known.contract(conid), known.chain(conid)
    if item is None:
        return reply(NO_CONTRACT, 500)
    if kind == item.asset_class:
        return reply([contract_descriptions.derived(item)])
    month, right = request.query.get("month", ""), request.query.get("right", "").upper()
    if chain is None or kind != chain.kind or month not in MONTHS:
        return bad_request("no contracts with this sectype and month")
    try:
        strike = float(request.query["strike"]) if "strike" in request.query else None
    except ValueError:
        return bad_request("strike is not valid")
    found = [one for one in chain.all() if one.expiry == MONTHS[month] and right in ("", one.right)
             and (strike in (None, one.strike) or kind == "FUT")]  # fmt: skip
    return reply([contract_descriptions.derived(one) for one in found])


async def bond_filters(request: web.Request) -> web.Response:
    """Return what bonds of an issuer can be chosen by; of an unknown issuer nothing, with 200."""
    issuer = request.query.get("issuerId", "")
    found = [one for one in _known(request).searchable() if one.asset_class == "BOND"]
    item = next((one for one in found if contract_descriptions.issuer_of(one) == issuer), None)
    return reply({"bondFilters": []} if item is None else contract_descriptions.bond_filters(item))


async def contract_info(request: web.Request) -> web.Response:
    """Describe one contract."""
    item = _contract(request)
    return reply(NO_CONTRACT, 500) if item is None else reply(contract_descriptions.contract_info(item))


async def contract_info_and_rules(request: web.Request) -> web.Response:
    """Describe one contract and the rules for orders in it."""
    item = _contract(request)
    if item is None:
        return reply(NO_CONTRACT, 500)
    is_buy = request.query.get("isBuy", "true") == "true"
    return reply(
        {
            **contract_descriptions.contract_info(item),
            "rules": contract_descriptions.rules(item, _accounts(request), is_buy=is_buy),
        }
    )


async def contract_rules(request: web.Request) -> web.Response:
    """Return the rules for orders in one contract; what is wrong stands inside."""
    body = await body_of(request)
    item = _known(request).contract(number(str(body.get("conid", ""))))
    if item is None:
        return reply({"error": "Contract not found", "orderTypes": []})
    return reply(contract_descriptions.rules(item, _accounts(request), is_buy=body.get("isBuy") is not False))


async def algos(request: web.Request) -> web.Response:
    """Return the algorithms for one contract; 503 if there is no such contract."""
    if _contract(request) is None:
        return empty(503)
    wanted = [one for one in request.query.get("algos", "").replace(";", ",").split(",") if one]
    found: list[dict[str, Any]] = [{"name": name, "id": key} for key, name in ALGOS.items()
                                   if not wanted or key in wanted]  # fmt: skip
    if request.query.get("addDescription") == "1":
        found = [{**one, "description": f"{one['name']} algorithm"} for one in found]
    if request.query.get("addParams") == "1":
        parameter = {"id": "adaptivePriority", "name": "Adaptive order priority/urgency", "guiRank": 1,
                     "defaultValue": "Normal", "legalStrings": ["Urgent", "Normal", "Patient"],
                     "required": "true", "valueClassName": "String"}  # fmt: skip
        found = [{**one, "parameters": [parameter]} for one in found]
    return reply({"algos": found})


async def pairs(request: web.Request) -> web.Response:
    """List the pairs with a currency."""
    currency = request.query.get("currency", "").upper()
    if not currency:
        return bad_request("currency is required")
    found = [one for one in _known(request).pairs if currency in one.ticker.split(".")]
    shown = [{"symbol": one.ticker, "conid": one.conid, "ccyPair": _other(one, currency)} for one in found]
    return reply({currency: shown})


async def exchange_rate(request: web.Request) -> web.Response:
    """Return how much of `target` one unit of `source` is."""
    source, target = (request.query.get(name, "").upper() for name in ("source", "target"))
    if source not in RATES or target not in RATES:
        return bad_request("currency is not valid")
    return reply({"rate": 1 if source == target else round(RATES[source] / RATES[target], 8)})


async def definitions(request: web.Request) -> web.Response:
    """Define contracts; 204 if there is none of them."""
    conids = numbers(request.query.get("conids", ""))
    if request.method == "POST":
        asked = (await body_of(request)).get("conids")
        conids = [number(str(one)) for one in asked] if isinstance(asked, list) else []
    found = [one for one in map(_known(request).contract, conids) if one is not None]
    return reply({"secdef": [contract_descriptions.definition(one) for one in found]}) if found else empty(204)


async def all_conids(request: web.Request) -> web.Response:
    """List the stocks of an exchange."""
    exchange = request.query.get("exchange", "").upper()
    if not exchange:
        return bad_request("exchange is required")
    return reply([{"ticker": one.ticker, "conid": one.conid, "exchange": exchange}
                  for one in _known(request).searchable()
                  if one.asset_class == "STK" and EXCHANGES[one.currency] == exchange])  # fmt: skip


async def stocks(request: web.Request) -> web.Response:
    """List the stocks with these symbols; an unknown symbol has an empty list."""
    known, answer = _known(request), {}
    for symbol in request.query.get("symbols", "").split(","):
        found = [one for one in known.named(symbol) if one.asset_class == "STK"]
        answer[symbol] = [contract_descriptions.stock(found)] if found else []
    return reply(answer)


async def futures(request: web.Request) -> web.Response:
    """List the futures with these symbols; an unknown symbol has an empty list."""
    known, answer = _known(request), {}
    for symbol in request.query.get("symbols", "").split(","):
        chains = [chain for one in known.named(symbol) if (chain := known.chain(one.conid)) and chain.kind == "FUT"]
        answer[symbol] = [contract_descriptions.future(one) for chain in chains for one in chain.all()]
    return reply(answer)


async def venues(request: web.Request) -> web.Response:
    """Return when the venues of a symbol are open; a list."""
    if not request.query.get("symbol") or not request.query.get("assetClass"):
        return bad_request("assetClass and symbol are required")
    return reply([contract_descriptions.venue_schedule(one) for one in _known(request).named(request.query["symbol"])])


async def trading_hours(request: web.Request) -> web.Response:
    """Return when a contract is traded around today."""
    item = _known(request).contract(number(request.query.get("conid", "")))
    now = context_of(request).world.now()
    return reply(NO_CONTRACT, 500) if item is None else reply(contract_descriptions.trading_hours(item, now))


def _known(request: web.Request) -> Catalogue:
    return catalogue(context_of(request).world.options.seed)


def _contract(request: web.Request) -> Instrument | None:
    return _known(request).contract(number(request.match_info["conid"]))


def _accounts(request: web.Request) -> list[str]:
    return [one.account_id for one in context_of(request).accounts_of(session_of(request))]


def _other(pair: Instrument, currency: str) -> str:
    first, second = pair.ticker.split(".")
    return second if currency == first else first


ROUTES: list[Route] = [
    ("GET", "/iserver/secdef/search", brokerage(search)),
    ("POST", "/iserver/secdef/search", brokerage(search)),
    ("GET", "/iserver/secdef/strikes", brokerage(strikes)),
    ("GET", "/iserver/secdef/info", brokerage(info)),
    ("GET", "/iserver/secdef/bond-filters", brokerage(bond_filters)),
    ("GET", "/iserver/contract/{conid}/info", brokerage(contract_info)),
    ("GET", "/iserver/contract/{conid}/info-and-rules", brokerage(contract_info_and_rules)),
    ("GET", "/iserver/contract/{conid}/algos", brokerage(algos)),
    ("POST", "/iserver/contract/rules", brokerage(contract_rules)),
    ("GET", "/iserver/currency/pairs", brokerage(pairs)),
    ("GET", "/iserver/exchangerate", brokerage(exchange_rate)),
    ("GET", "/trsrv/secdef", definitions),
    ("POST", "/trsrv/secdef", definitions),
    ("GET", "/trsrv/all-conids", all_conids),
    ("GET", "/trsrv/futures", futures),
    ("GET", "/trsrv/stocks", stocks),
    ("GET", "/trsrv/secdef/schedule", venues),
    ("GET", "/contract/trading-schedule", trading_hours),
]
