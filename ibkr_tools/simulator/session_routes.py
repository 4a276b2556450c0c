"""Session and brokerage calls of the REST interface: tickle, validate, auth status, the jar's handshake."""

import json
import secrets
from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

from aiohttp import web

from ibkr_tools.simulator import session_responses
from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.options import UserKind
from ibkr_tools.simulator.request_parsing import Route, no_bridge
from ibkr_tools.simulator.simulated_sessions import proof_matches

__all__ = ["ROUTES", "UNKNOWN"]

NO_TOKEN: dict[str, Any] = {"error": "failed to generate sso dh token"}
NO_RIGHTS: dict[str, Any] = {"error": "user is not entitled to a brokerage session"}


async def tickle(request: web.Request) -> web.Response:
    """Keep the session alive and report both tiers."""
    session = session_of(request)
    response = reply(session_responses.tickle(context_of(request).world, session))
    response.set_cookie("x-sess-uuid", f"0.{session.session_id[:8]}", path="/v1/api", httponly=True, secure=True)
    return response


async def validate(request: web.Request) -> web.Response:
    """Say whose SSO session it is and when it ends."""
    return reply(session_responses.validate(context_of(request).world, session_of(request)))


async def one_user(request: web.Request) -> web.Response:
    """Say what the user may do."""
    session = session_of(request)
    return reply(session_responses.one_user(session, context_of(request).accounts_of(session)))


async def auth_status(request: web.Request) -> web.Response:
    """Report the brokerage tier."""
    status = session_responses.auth_status(context_of(request).world, session_of(request))
    return reply({**status, "fail": ""} if status["authenticated"] else status)


async def handshake_init(request: web.Request) -> web.Response:
    """Begin the key exchange that the jar does after each login."""
    session_of(request)
    return reply({"success": True})


async def handshake_key(request: web.Request) -> web.Response:
    """Hand out the key K (hex)."""
    return reply({"st": session_of(request).secret})


async def brokerage_init(request: web.Request) -> web.Response:
    """Open the brokerage tier.

    The jar names its machine and gets a challenge; others say `publish`. A user without the right gets
    `{"error": …}`: challenge followed by `authenticated:false` would make the jar loop without delay (1.6).
    """
    world, session = context_of(request).world, session_of(request)
    wishes = await _wishes(request)
    match world.behaviour.init:
        case "wait":
            return reply({"wait": True})
        case "no-token":
            return reply(NO_TOKEN, 500)
        case "status":
            return reply(session_responses.auth_status(world, session))
    if session.user.kind is not UserKind.TRADING or world.behaviour.refuse_brokerage:
        return reply(NO_RIGHTS)
    if wishes.get("machineId"):
        session.challenge = secrets.token_hex(20)
        return reply({"challenge": session.challenge})
    if wishes and str(wishes.get("publish", "")).lower() != "true":
        return reply({"error": "publish must be true"}, 500)
    compete = str(wishes.get("compete", "")).lower() == "true"
    if wishes and (not session.is_competing or compete):
        world.open_brokerage(session)
    return reply(session_responses.auth_status(world, session))


async def brokerage_response(request: web.Request) -> web.Response:
    """Check the answer to the challenge and open the brokerage tier."""
    world, session = context_of(request).world, session_of(request)
    challenge, session.challenge = session.challenge, ""
    answer = str((await _wishes(request)).get("response", ""))
    if not challenge or not proof_matches(challenge, session.secret, answer):
        return reply(NO_TOKEN, 500)
    # Whoever got a challenge gets the tier, whatever was switched meanwhile: see `brokerage_init`.
    world.open_brokerage(session)
    return reply(session_responses.auth_status(world, session))


async def reauthenticate(request: web.Request) -> web.Response:
    """Answer as the jar does by itself: always cheerfully. Behind a jar this call never arrives."""
    world = context_of(request).world
    if not world.options.is_gateway:
        session = world.find(request.cookies.get("XYZAB"))
        return reply({"error": "not logged in"}, 401) if session is None else reply({"message": "triggered"})
    if not world.logged_in_once:
        return reply({"error": "not logged in"})
    session = world.find(None)
    if session is not None and not session.is_authenticated:
        world.start_brokerage(session)
    return reply({"message": "triggered"})


async def other_brokerage(request: web.Request) -> web.Response:
    """Answer every brokerage call that is not simulated further."""
    if not session_of(request).is_authenticated:
        return no_bridge(request)
    return await not_found(request)


async def logout(request: web.Request) -> web.Response:
    """End both tiers; until the next login `ssodh/init` answers 410."""
    world = context_of(request).world
    world.close_session(session_of(request), "sts")
    world.logged_out = True
    return reply({"status": True})


async def not_found(request: web.Request) -> web.Response:
    """Answer a path that does not exist."""
    session_of(request)
    return reply({"error": "Resource not found", "statusCode": 404}, 404)


async def _wishes(request: web.Request) -> Mapping[str, Any]:
    """Return the parameters of a session-control call: from a JSON body, a form, or the query."""
    if request.content_type == "application/x-www-form-urlencoded":
        return {**request.query, **(await request.post())}
    if not request.can_read_body:
        return dict(request.query)
    try:
        body = json.loads(await request.text())
    except JSONDecodeError:
        return dict(request.query)
    return {**request.query, **body} if isinstance(body, dict) else dict(request.query)


ROUTES: list[Route] = [
    ("GET", "/tickle", tickle),
    ("POST", "/tickle", tickle),
    ("GET", "/sso/validate", validate),
    ("GET", "/one/user", one_user),
    ("GET", "/ssodh/init", handshake_init),
    ("GET", "/ssodh/st", handshake_key),
    ("GET", "/iserver/auth/status", auth_status),
    ("POST", "/iserver/auth/status", auth_status),
    ("POST", "/iserver/auth/ssodh/init", brokerage_init),
    ("POST", "/iserver/auth/ssodh/response", brokerage_response),
    ("*", "/iserver/reauthenticate", reauthenticate),
    ("GET", "/logout", logout),
    ("POST", "/logout", logout),
]

UNKNOWN: list[Route] = [("*", "/iserver/{rest:.*}", other_brokerage), ("*", "/{rest:.*}", not_found)]
"""What answers when nothing else does."""
