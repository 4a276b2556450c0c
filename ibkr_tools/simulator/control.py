"""The control port: what happened, and what shall go wrong next. JSON over HTTP, loopback only."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from ibkr_tools.simulator.context import Context, context_of, reply
from ibkr_tools.simulator.faults import Fault
from ibkr_tools.simulator.settings import BehaviourSettings, Drop, LimitSettings, PageSettings, changed

__all__ = ["ROUTES", "answer_errors"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TimeChange(msgspec.Struct, forbid_unknown_fields=True):
    """A jump ahead in simulated seconds, a new speed, or both."""

    advance: float = 0.0
    speed: float | None = None


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments of `/clear`, `/login` and `/compete`."""

    what: str = "all"
    path: str | None = None
    username: str = ""
    competing: bool = True


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a wrong body into 400 and one sentence."""
    try:
        return await handler(request)
    except (msgspec.ValidationError, msgspec.DecodeError, json.JSONDecodeError, TypeError, KeyError) as error:
        return reply({"error": str(error)}, 400)


async def state(request: web.Request) -> web.Response:
    """Return everything that was counted and is set."""
    context = context_of(request)
    context.world.age_all()
    return reply(_state(context))


async def drop(request: web.Request) -> web.Response:
    """Lose sessions."""
    world, order = context_of(request).world, msgspec.json.decode(await _body(request), type=Drop)
    chosen = [one for one in world.sessions.values() if order.user in (None, one.user.username)]
    for session in chosen:
        if order.tier == "all":
            world.close_session(session, order.push)
        else:
            world.lose_brokerage(session, order.push)
    return reply({"dropped": len(chosen)})


async def fault(request: web.Request) -> web.Response:
    """Order trouble for a path."""
    context_of(request).faults.add(msgspec.json.decode(await _body(request), type=Fault))
    return reply({"ok": True})


async def page(request: web.Request) -> web.Response:
    """Change the login page; returns its settings."""
    world = context_of(request).world
    world.page = changed(world.page, json.loads(await _body(request)))
    return reply(msgspec.to_builtins(world.page))


async def behaviour(request: web.Request) -> web.Response:
    """Change how the servers behave; returns the settings."""
    world = context_of(request).world
    world.behaviour = changed(world.behaviour, json.loads(await _body(request)))
    return reply(msgspec.to_builtins(world.behaviour))


async def limits(request: web.Request) -> web.Response:
    """Change the pacing limits; returns the settings. Whoever sits in the penalty box is let out."""
    context = context_of(request)
    context.world.limits = changed(context.world.limits, json.loads(await _body(request)))
    context.limiter.boxed_until = 0.0
    return reply(msgspec.to_builtins(context.world.limits))


async def time_(request: web.Request) -> web.Response:
    """Let simulated time jump or run faster."""
    clock = context_of(request).world.clock
    change = msgspec.json.decode(await _body(request), type=TimeChange)
    if change.speed is not None:
        clock.set_speed(change.speed)
    clock.advance(change.advance)
    context_of(request).world.age_all()
    return reply({"now": clock.now(), "speed": clock.speed})


async def clear(request: web.Request) -> web.Response:
    """Switch trouble off: `faults` (of one path, or all) or `all`: faults, page, behaviour, limits, locks."""
    context = context_of(request)
    order = msgspec.json.decode(await _body(request), type=Choice)
    context.faults.clear(order.path)
    changed_event = context.faults_changed
    context.faults_changed = type(changed_event)()
    changed_event.set()
    if order.what == "all" and order.path is None:
        context.world.page, context.world.behaviour = PageSettings(), BehaviourSettings()
        context.world.limits = LimitSettings()
        context.limiter.boxed_until = 0.0
        context.desk.forgive()
    return reply({"ok": True})


async def login(request: web.Request) -> web.Response:
    """Open a session without a browser; the answer's `token` is the cookie XYZAB."""
    world = context_of(request).world
    user = world.users[msgspec.json.decode(await _body(request), type=Choice).username.lower()]
    session = world.open_session(user)
    return reply({"token": session.token, "session": session.session_id})


async def compete(request: web.Request) -> web.Response:
    """Let another program of the same user take the brokerage tier, or give it back."""
    world, order = context_of(request).world, msgspec.json.decode(await _body(request), type=Choice)
    for session in list(world.sessions.values()):
        world.compete(session, competing=order.competing)
    return reply({"ok": True})


async def _body(request: web.Request) -> bytes:
    return await request.read() or b"{}"


def _state(context: Context) -> dict[str, Any]:
    world, now = context.world, context.world.now()
    records = context.desk.records
    users = {
        name: {
            "kind": user.kind.value if (user := world.users.get(name)) else None,
            "paper": user.paper if user else None,
            "locked": context.desk.is_locked(name),
            "submitted": record.submitted,
            "failures": record.failures,
            "logins": record.logins,
            "races": record.races,
            "wrong_mode": record.wrong_mode,
        }
        for name, record in records.items()
    }
    sessions = [
        {
            "user": session.user.username,
            "session": session.session_id,
            "brokerage": session.brokerage.value,
            "created_at": session.created_at,
            "idle_s": now - session.seen_at,
            "expires_in_ms": world.expires_in_ms(session),
        }
        for session in world.sessions.values()
    ]
    counters = {name: sum(getattr(record, name) for record in records.values())
                for name in ("submitted", "failures", "logins", "races")}  # fmt: skip
    return {
        "mode": "gateway" if world.options.is_gateway else "upstream",
        "now": now,
        "speed": world.clock.speed,
        "accounts": [account.account_id for account in context.accounts],
        "users": users,
        "sessions": sessions,
        "counters": {**counters, "refused_by_pacing": context.limiter.refused},
        "requests": dict(context.requests),
        "last_requests": [asdict(note) for note in context.recent],
        "faults": msgspec.to_builtins(context.faults.faults),
        "page": msgspec.to_builtins(world.page),
        "behaviour": msgspec.to_builtins(world.behaviour),
        "limits": msgspec.to_builtins(world.limits),
        "websockets": context.sockets,
    }


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/state", state),
    ("POST", "/drop", drop),
    ("POST", "/fault", fault),
    ("POST", "/page", page),
    ("POST", "/behaviour", behaviour),
    ("POST", "/limits", limits),
    ("POST", "/time", time_),
    ("POST", "/clear", clear),
    ("POST", "/login", login),
    ("POST", "/compete", compete),
]
