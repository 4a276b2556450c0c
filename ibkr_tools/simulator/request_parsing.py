"""What a call asks for: its body, numbers in its path, the accounts it names, the tier it needs."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ibkr_tools.simulator.context import context_of, empty, reply, session_of
from ibkr_tools.simulator.simulated_accounts import Account
from ibkr_tools.simulator.simulated_sessions import Brokerage

__all__ = [
    "BAD_ACCOUNT",
    "NO_BRIDGE",
    "Handler",
    "Route",
    "bad_request",
    "body_of",
    "brokerage",
    "chosen_accounts",
    "is_first",
    "no_bridge",
    "number",
    "numbers",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]

BAD_ACCOUNT: dict[str, Any] = {"error": "Bad Request: accountId is not valid", "statusCode": 400}
NO_BRIDGE: dict[str, Any] = {"error": "Bad Request: no bridge", "statusCode": 400}
INIT_FIRST: dict[str, Any] = {"error": "Init session first", "statusCode": 400}


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in the body; empty if there is none, or something else."""
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def number(text: str) -> int:
    """Return the number in a path or query; -1 if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1


def numbers(text: str) -> list[int]:
    """Return the numbers in a list with commas; -1 for what is none."""
    return [number(one) for one in text.split(",")] if text else []


def bad_request(why: str) -> web.Response:
    """Return a 400 as the brokerage tier words it."""
    return reply({"error": f"Bad Request: {why}", "statusCode": 400}, 400)


def chosen_accounts(request: web.Request, body: dict[str, Any]) -> list[Account]:
    """Return the accounts in `acctIds`; none if one of them is not the user's."""
    wanted, context, session = body.get("acctIds"), context_of(request), session_of(request)
    if not isinstance(wanted, list):
        return []
    found = [context.account(session, one) for one in wanted if isinstance(one, str)]
    chosen = [one for one in found if one is not None]
    return chosen if len(chosen) == len(wanted) else []


def is_first(request: web.Request, what: str) -> bool:
    """Say whether this session asks for `what` for the first time while first answers are empty."""
    session = session_of(request)
    first = what not in session.warm
    session.warm.add(what)
    return first and context_of(request).world.behaviour.cold_brokerage


def no_bridge(request: web.Request) -> web.Response:
    """Return what calls get without the brokerage tier."""
    match context_of(request).world.behaviour.no_bridge:
        case "no-bridge":
            return reply(NO_BRIDGE, 400)
        case "init-first":
            return reply(INIT_FIRST, 400)
        case status:
            return empty(int(status))


def brokerage(handler: Handler, *, preflight: bool = False) -> Handler:
    """Wrap `handler` with the rules of the brokerage tier.

    Without the tier: 400 "no bridge"; while another session competes: `{}`; with `preflight`, before
    `/iserver/accounts`: "Please query /accounts first".
    """

    async def wrapped(request: web.Request) -> web.StreamResponse:
        session, behaviour = session_of(request), context_of(request).world.behaviour
        if not session.is_authenticated:
            return no_bridge(request)
        if session.brokerage is Brokerage.COMPETING:
            return reply({})
        if preflight and behaviour.require_brokerage_preflight and not session.brokerage_preflight_done:
            status = behaviour.preflight_status
            return reply({"error": "Please query /accounts first", "statusCode": status}, status)
        return await handler(request)

    return wrapped
