"""Market data: snapshots, histories and their streams. Source: docs/reference/market-data-answers.md."""

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


ROUTES: list[Route] = [
    ("GET", "/iserver/marketdata/snapshot", brokerage(snapshot, preflight=True)),
    ("GET", "/iserver/marketdata/history", brokerage(history)),
    ("POST", "/iserver/marketdata/unsubscribe", brokerage(unsubscribe)),
    ("GET", "/iserver/marketdata/unsubscribeall", brokerage(unsubscribe_all)),
    ("GET", "/iserver/marketdata/{conid}/unsubscribe", brokerage(unsubscribe)),
]
