"""Market data: snapshots, histories, their streams, and the old families `/md` and `/hmds`.

Source: docs/reference/market-data-answers.md.
"""

from datetime import UTC, datetime

from aiohttp import web

from ibkr_tools.simulator import quotes
from ibkr_tools.simulator.catalogue import catalogue
from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.instruments import Instrument
from ibkr_tools.simulator.request_parsing import Route, bad_request, body_of, brokerage, is_first, number

__all__ = ["ROUTES"]

MOST_CONIDS = 100
MOST_FIELDS = 50
NO_CHART = {"error": "Chart data unavailable"}
NOT_FOUND = {"error": "Resource not found", "statusCode": 404}
HMDS = "hmds"


async def snapshot(request: web.Request) -> web.Response:
    """Return a row for each contract: numbers alone when its stream has just been opened, fields after that."""
    context, session = context_of(request), session_of(request)
    wanted = [one for one in request.query.get("conids", "").split(",") if one]
    fields = [one for one in request.query.get("fields", "").split(",") if one]
    if not wanted or any(number(one.split("@")[0]) < 0 for one in wanted):
        return bad_request("conids is not valid")
    if len(wanted) > MOST_CONIDS or len(fields) > MOST_FIELDS:
        return bad_request(f"at most {MOST_CONIDS} conids and {MOST_FIELDS} fields")
    known, account = catalogue(context.world.options.seed), context.accounts_of(session)[0]
    rows = []
    for place, one in enumerate(wanted):
        conid = number(one.split("@")[0])
        first, item = is_first(request, f"smd+{conid}"), known.contract(conid)
        row = {"conidEx": one, "conid": conid, "server_id": f"q{place}",
               "_updated": int(context.world.now() * 1000), "6119": f"q{place}"}  # fmt: skip
        if item is not None and not first:
            row |= quotes.quote(item, account, fields) | {"topic": f"smd+{conid}"}
        rows.append(row)
    return reply(rows)


async def history(request: web.Request) -> web.Response:
    """Return bars; 500 with `error` for what IBKR cannot draw."""
    item = _contract(request)
    period, bar = request.query.get("period", "1w"), request.query.get("bar", "1d")
    period_s, bar_s = quotes.seconds_of(period), quotes.seconds_of(bar, bar=True)
    until = _end(request)
    if period_s is None or bar_s is None or until is None:
        return reply({"error": "Invalid period, bar or startTime"}, 500)
    cold = is_first(request, f"history:{request.query_string}") and context_of(request).world.behaviour.cold_history
    if item is None or request.query.get("direction", "-1") != "-1" or cold:
        return reply(NO_CHART, 500)
    count = max(1, min(quotes.MOST_POINTS, period_s // bar_s))
    data = quotes.bars(item, count, bar_s, until)
    outside = request.query.get("outsideRth") == "true"
    return reply(quotes.history(item, data, period, bar_s, outside=outside))


async def unsubscribe(request: web.Request) -> web.Response:
    """Close one stream; 500 if it is not open."""
    conid = request.match_info.get("conid") or str((await body_of(request)).get("conid"))
    warm, topic = session_of(request).warm, f"smd+{conid}"
    if topic not in warm:
        return reply({"error": "unknown"}, 500)
    warm.discard(topic)
    return reply({"success": True})


async def unsubscribe_all(request: web.Request) -> web.Response:
    """Close all streams."""
    session = session_of(request)
    session.warm -= {one for one in session.warm if one.startswith("smd+")}
    return reply({"unsubscribed": True})


async def hmds_init(request: web.Request) -> web.Response:
    """Open the bridge to the servers of histories."""
    session_of(request).warm.add(HMDS)
    return reply({"authenticated": True, "connected": True, "competing": False})


async def hmds_history(request: web.Request) -> web.Response:
    """Return bars in the old form; 404 before the bridge is open."""
    item, until = _contract(request), context_of(request).world.now()
    if HMDS not in session_of(request).warm:
        return reply(NOT_FOUND, 404)
    period_s = quotes.seconds_of(request.query.get("period", "1w"))
    bar_s = quotes.seconds_of(request.query.get("bar", "1d"), bar=True)
    if item is None or period_s is None or bar_s is None:
        return reply(NO_CHART, 500)
    data = quotes.bars(item, max(1, min(quotes.MOST_POINTS, period_s // bar_s)), bar_s, until)
    return reply({"startTime": f"{_text(data[0]['t'] / 1000)}", "startTimeVal": data[0]["t"],
                  "endTime": f"{_text(until)}", "endTimeVal": int(until * 1000), "data": data,
                  "points": len(data) - 1, "mktDataDelay": 0})  # fmt: skip


async def hmds_scanner(request: web.Request) -> web.Response:
    """Return numbers of contracts; 404 before the bridge is open."""
    context = context_of(request)
    if HMDS not in session_of(request).warm:
        return reply(NOT_FOUND, 404)
    at = _text(context.world.now())
    stocks = [one for one in catalogue(context.world.options.seed).searchable() if one.asset_class == "STK"]
    listed = [{"inScanTime": at, "contractID": str(one.conid)} for one in stocks[:25]]
    return reply({"total": str(len(listed)), "size": "25", "offset": "0", "scanTime": at, "id": "scanner1",
                  "position": "v1:AAAAAQABG3gAAAAAAAAA+g==",
                  "Contracts": {"Contract": listed}})  # fmt: skip


def _contract(request: web.Request) -> Instrument | None:
    return catalogue(context_of(request).world.options.seed).contract(number(request.query.get("conid", "")))


def _end(request: web.Request) -> float | None:
    """Return where the window ends: at `startTime`, or now; None if that is no time."""
    text = request.query.get("startTime")
    if text is None:
        return context_of(request).world.now()
    try:
        return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _text(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y%m%d-%H:%M:%S}"


ROUTES: list[Route] = [
    ("GET", "/iserver/marketdata/snapshot", brokerage(snapshot, preflight=True)),
    ("GET", "/iserver/marketdata/history", brokerage(history)),
    ("POST", "/iserver/marketdata/unsubscribe", brokerage(unsubscribe)),
    ("GET", "/iserver/marketdata/unsubscribeall", brokerage(unsubscribe_all)),
    ("GET", "/iserver/marketdata/{conid}/unsubscribe", brokerage(unsubscribe)),
    ("GET", "/md/snapshot", brokerage(snapshot)),
    ("POST", "/hmds/auth/init", brokerage(hmds_init)),
    ("GET", "/hmds/history", brokerage(hmds_history)),
    ("POST", "/hmds/scanner", brokerage(hmds_scanner)),
]
