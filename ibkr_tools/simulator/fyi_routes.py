"""IBKR's notifications, the `/fyi` family of the REST interface. Reads only.

Source: docs/reference/list-answers.md#fyi.
"""

from aiohttp import web

from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.request_parsing import Route, bad_request, number
from ibkr_tools.simulator.simulated_accounts import Row

__all__ = ["KINDS", "NOTIFICATIONS", "ROUTES"]

KINDS = {
    "BA": "Borrow Availability", "DA": "Dividends Advisory", "EA": "Upcoming Earnings", "MF": "Mutual Fund Advisory",
    "OE": "Option Expiration", "PT": "Position Transfer", "SM": "System Messages",
}  # fmt: skip
NOTIFICATIONS = 37
MOST = 10
LOCKED_S = 300.0
FIRST_ID = 2_026_040_190_532_000
UNREAD = 4
HOUR_S = 3600


async def unread(request: web.Request) -> web.Response:
    """Return how many are unread; 423 within five minutes of the last call, if that is set."""
    context, session = context_of(request), session_of(request)
    now, last = context.world.now(), session.unread_asked_at
    if context.world.behaviour.unread_locked and last is not None and now - last < LOCKED_S:
        return reply({"status": "Too many requests, try again in 5 minutes"}, 423)
    session.unread_asked_at = now
    return reply({"BN": UNREAD})


async def settings(_request: web.Request) -> web.Response:
    """List the kinds of notifications, and which are on."""
    return reply([{"FC": code, "FN": name, "FD": f"Notify me about {name.lower()}.", "H": place % 2, "A": 1}
                  for place, (code, name) in enumerate(KINDS.items())])  # fmt: skip


async def disclaimer(request: web.Request) -> web.Response:
    """Return what a kind of notification is not; of an unknown kind an empty text."""
    code = request.match_info["typecode"]
    name = KINDS.get(code)
    return reply({"FC": code, "DT": f"{name}: for information only, not a recommendation." if name else ""})


async def delivery_options(_request: web.Request) -> web.Response:
    """List where notifications go."""
    device = "apn://mtws@0F1E2D3C4B5A"
    return reply({"E": [{"NM": "Téléphone", "I": device, "UI": device, "A": 1}], "M": 1})


async def notifications(request: web.Request) -> web.Response:
    """List the newest notifications, at most ten; `include` and `exclude` are kinds."""
    most = number(request.query.get("max", ""))
    if not 1 <= most <= MOST:
        return bad_request("max must be between 1 and 10")
    only, never = ({one for one in request.query.get(name, "").split(",") if one} for name in ("include", "exclude"))
    found = [one for one in _all(request) if (not only or one["FC"] in only) and one["FC"] not in never]
    return reply(_after(found, request.query.get("id"))[:most])


async def more(request: web.Request) -> web.Response:
    """List at most ten notifications that are older than `id`; none for an unknown one."""
    if not request.query.get("id"):
        return bad_request("id is required")
    return reply(_after(_all(request), request.query["id"])[:MOST])


def _after(found: list[Row], last: str | None) -> list[Row]:
    if last is None:
        return found
    places = [place for place, one in enumerate(found) if one["ID"] == last]
    return found[places[0] + 1 :] if places else []


def _all(request: web.Request) -> list[Row]:
    """Return every notification, newest first; the time is a text with seconds."""
    now, codes = int(context_of(request).world.now()), list(KINDS)
    return [{
        "R": 0 if place < UNREAD else 1, "D": f"{now - place * HOUR_S}.0", "MS": f"IBKR FYI: {KINDS[code]} №{place}",
        "MD": f"<html>{KINDS[code]}: nothing to do.<br/>Held in: U****567</html>",
        "ID": str(FIRST_ID + NOTIFICATIONS - place), "HT": 0, "FC": code,
    } for place in range(NOTIFICATIONS) for code in (codes[place % len(codes)],)]  # fmt: skip


ROUTES: list[Route] = [
    ("GET", "/fyi/unreadnumber", unread),
    ("GET", "/fyi/settings", settings),
    ("GET", "/fyi/disclaimer/{typecode}", disclaimer),
    ("GET", "/fyi/deliveryoptions", delivery_options),
    ("GET", "/fyi/notifications", notifications),
    ("GET", "/fyi/notifications/more", more),
]
