"""The control port: what happened, and what shall go wrong next. JSON over HTTP, loopback only."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from aiohttp import web

from ibkr_tools.simulator.context import Context, context_of, reply
from ibkr_tools.simulator.faults import Fault
from ibkr_tools.simulator.schedule import OutageWindow
from ibkr_tools.simulator.settings import BehaviourSettings, Drop, LimitSettings, PageSettings, changed
from ibkr_tools.simulator.situations import SITUATIONS

__all__ = ["ORDERS", "ROUTES", "answer_errors", "obey"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
HOUR_S = 3600.0


class TimeChange(msgspec.Struct, forbid_unknown_fields=True):
    """A jump ahead in simulated seconds, a new speed, or both."""

    advance: float = 0.0
    speed: float | None = None


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments of `/clear`, `/login`, `/compete`, `/gateway` and `/situation`."""

    what: str = "all"
    path: str | None = None
    username: str = ""
    competing: bool = True
    authenticated: bool = True
    up: bool = True
    name: str = ""
    for_s: Seconds | None = None


class Maintenance(msgspec.Struct, forbid_unknown_fields=True):
    """A window of the schedule, from `in_s` simulated seconds from now on, for `for_s`."""

    kind: str = "503"
    in_s: Seconds = 0.0
    for_s: Seconds = HOUR_S
    bulletin: str = ""
    delay_s: Seconds = 10.0
    ends_sessions: bool = False


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a wrong body into 400 and one sentence."""
    try:
        return await handler(request)
    except (msgspec.ValidationError, msgspec.DecodeError, json.JSONDecodeError, TypeError, KeyError) as error:
        return reply({"error": str(error)}, 400)


def obey(context: Context, order: str, body: dict[str, Any]) -> Any:
    """Carry out one order of the control port; return its answer.

    Raises:
        KeyError: there is no such order, user or situation.
        msgspec.ValidationError: the body is wrong.
    """
    return ORDERS[order](context, body)


def _drop(context: Context, body: dict[str, Any]) -> Any:
    """Lose sessions."""
    world, order = context.world, msgspec.convert(body, Drop)
    chosen = [one for one in world.sessions.values() if order.user in (None, one.user.username)]
    for session in chosen:
        if order.tier == "all":
            world.close_session(session, order.push)
        else:
            world.lose_brokerage(session, order.push)
    return {"dropped": len(chosen)}


def _fault(context: Context, body: dict[str, Any]) -> Any:
    """Order trouble for a path; `for_s` is how long, in simulated seconds."""
    for_s = body.get("for_s")
    rest = {key: value for key, value in body.items() if key != "for_s"}
    if for_s is not None:
        rest["until"] = context.world.now() + msgspec.convert(for_s, Seconds)
    context.faults.add(msgspec.convert(rest, Fault))
    return {"ok": True}


def _page(context: Context, body: dict[str, Any]) -> Any:
    """Change the login page; returns its settings."""
    world = context.world
    world.page = changed(world.own_page, body)
    return msgspec.to_builtins(world.page)


def _behaviour(context: Context, body: dict[str, Any]) -> Any:
    """Change how the servers behave; returns the settings."""
    world = context.world
    world.behaviour = changed(world.behaviour, body)
    return msgspec.to_builtins(world.behaviour)


def _flex(context: Context, body: dict[str, Any]) -> Any:
    """Change how the Flex Web Service behaves; returns its state."""
    context.flex.change(changed(context.flex.settings, body))
    return context.flex.state()


def _limits(context: Context, body: dict[str, Any]) -> Any:
    """Change the pacing limits; returns the settings. Whoever sits in the penalty box is let out."""
    context.world.limits = changed(context.world.limits, body)
    context.limiter.boxed_until = 0.0
    return msgspec.to_builtins(context.world.limits)


def _penalty(context: Context, body: dict[str, Any]) -> Any:
    """Put everybody into the penalty box, for the time that is set or `for_s` simulated seconds."""
    for_s = msgspec.convert(body, Choice).for_s
    context.world.limits = changed(context.world.limits, {"enabled": True})
    context.limiter.boxed_until = context.world.now() + (context.world.limits.penalty_s if for_s is None else for_s)
    return {"until": context.limiter.boxed_until}


def _maintenance(context: Context, body: dict[str, Any]) -> Any:
    """Close IBKR's servers for a time; returns the schedule."""
    order, now = msgspec.convert(body, Maintenance), context.world.now()
    window = {"kind": order.kind, "start": now + order.in_s, "end": now + order.in_s + order.for_s,
              "bulletin": order.bulletin, "delay_s": order.delay_s, "ends_sessions": order.ends_sessions}  # fmt: skip
    context.world.schedule.windows.append(msgspec.convert(window, OutageWindow))
    context.age()
    return {"windows": msgspec.to_builtins(context.world.schedule.windows)}


def _time(context: Context, body: dict[str, Any]) -> Any:
    """Let simulated time jump or run faster."""
    clock, change = context.world.clock, msgspec.convert(body, TimeChange)
    if change.speed is not None:
        clock.set_speed(change.speed)
    clock.advance(change.advance)
    context.age()
    context.wake_hanging()
    return {"now": clock.now(), "speed": clock.speed}


def _clear(context: Context, body: dict[str, Any]) -> Any:
    """Switch trouble off: `faults` (of one path, or all) or `all`: faults, settings, windows, penalties, locks."""
    order, world = msgspec.convert(body, Choice), context.world
    context.faults.clear(order.path)
    if order.what == "all" and order.path is None:
        world.page, world.behaviour, world.limits = PageSettings(), BehaviourSettings(), LimitSettings()
        world.schedule.windows.clear()
        world.logged_out = False
        context.flex.reset()
        context.limiter.boxed_until = 0.0
        context.authenticator.forgive()
    context.wake_hanging()
    return {"ok": True}


def _login(context: Context, body: dict[str, Any]) -> Any:
    """Open a session without a browser; the answer's `token` is the cookie XYZAB."""
    world = context.world
    session = world.open_session(world.users[msgspec.convert(body, Choice).username.lower()])
    return {"token": session.token, "session": session.session_id}


def _compete(context: Context, body: dict[str, Any]) -> Any:
    """Let another program of the same user take the brokerage tier, or give it back."""
    order = msgspec.convert(body, Choice)
    for session in list(context.world.sessions.values()):
        context.world.compete(session, competing=order.competing, authenticated=order.authenticated)
    return {"ok": True}


def _situation(context: Context, body: dict[str, Any]) -> Any:
    """Have one of the known situations; `for_s` (simulated seconds) where it may end by itself."""
    choice = msgspec.convert(body, Choice)
    situation = SITUATIONS[choice.name]
    for order, details in situation.orders:
        timed = order in ("/fault", "/maintenance", "/penalty") and choice.for_s is not None
        obey(context, order, {**details, "for_s": choice.for_s} if timed else dict(details))
    return {"about": situation.about}


def _measure(context: Context, _body: dict[str, Any]) -> Any:
    """Return the most calls at once and within a second since the last such order, and measure anew."""
    figures = _traffic(context)
    context.traffic.forget()
    return figures


ORDERS: dict[str, Callable[[Context, dict[str, Any]], Any]] = {
    "/drop": _drop,
    "/fault": _fault,
    "/page": _page,
    "/behaviour": _behaviour,
    "/flex": _flex,
    "/limits": _limits,
    "/penalty": _penalty,
    "/maintenance": _maintenance,
    "/time": _time,
    "/clear": _clear,
    "/login": _login,
    "/compete": _compete,
    "/situation": _situation,
    "/measure": _measure,
}


async def state(request: web.Request) -> web.Response:
    """Return everything that was counted and is set."""
    context = context_of(request)
    context.age()
    return reply(_state(context))


async def order(request: web.Request) -> web.Response:
    """Carry out one order."""
    return reply(obey(context_of(request), request.path, await _body(request)))


async def gateway(request: web.Request) -> web.Response:
    """End the program that listens, or start it again: as the gateway it has forgotten its session then."""
    context, up = context_of(request), msgspec.convert(await _body(request), Choice).up
    if context.set_listening is not None:
        await context.set_listening(listening=up)
    if not up and context.world.options.is_gateway:
        context.world.forget_gateway()
    return reply({"up": up})


async def _body(request: web.Request) -> dict[str, Any]:
    return msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])


def _traffic(context: Context) -> dict[str, int]:
    traffic = context.traffic
    return {"in_flight": traffic.in_flight, "most_in_flight": traffic.most_in_flight,
            "most_per_second": traffic.most_per_second}  # fmt: skip


def _state(context: Context) -> dict[str, Any]:
    world, now = context.world, context.world.now()
    records = context.authenticator.records
    users = {
        name: {
            "kind": user.kind.value if (user := world.users.get(name)) else None,
            "paper": user.paper if user else None,
            "locked": context.authenticator.is_locked(name),
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
        "counters": {
            **counters,
            "misplaced": context.authenticator.misplaced,
            "codes": context.authenticator.factors.codes,
            "pushes": context.authenticator.factors.pushes,
            "refused_by_pacing": context.limiter.refused,
        },
        "requests": dict(context.requests),
        "traffic": _traffic(context),
        "mutations": context.mutations,
        "last_requests": [asdict(note) for note in context.recent],
        "faults": msgspec.to_builtins(context.faults.faults),
        "windows": msgspec.to_builtins(world.schedule.windows),
        "page": msgspec.to_builtins(world.page),
        "behaviour": msgspec.to_builtins(world.behaviour),
        "limits": msgspec.to_builtins(world.limits),
        "flex": context.flex.state(),
        "websockets": context.sockets,
    }


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/state", state),
    *(("POST", path, order) for path in ORDERS),
    ("POST", "/gateway", gateway),
]
