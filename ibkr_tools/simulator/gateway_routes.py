"""What IBKR's jar answers by itself; used only when the simulator plays the gateway.

Source: docs/reference/gateway-process.md#routes.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from ibkr_tools.simulator.context import context_of

__all__ = ["ROUTES", "elsewhere"]

LOGIN = "/sso/Login?forwardTo=22&RL=1&ip2loc=US"
FOREIGN = "https://api.ibkr.invalid"
"""The jar redirects unknown paths to IBKR; the simulator names a host that cannot exist."""


async def root(_request: web.Request) -> web.Response:
    """Redirect to the login page, at once and without IBKR: the local sign of life."""
    return web.Response(status=302, headers={"Location": LOGIN})


async def clear(request: web.Request) -> web.Response:
    """Empty the cookie jar; the session is lost, the logged-in flag stays."""
    world = context_of(request).world
    if world.current is not None:
        world.close_session(world.current, "close")
    return web.Response(text="cleared")


async def icon(_request: web.Request) -> web.Response:
    """Spare the browser a look-up of the foreign host for the page's icon."""
    return web.Response(status=404)


async def elsewhere(request: web.Request) -> web.Response:
    """Redirect an unknown path to the real servers."""
    return web.Response(status=302, headers={"Location": FOREIGN + request.path_qs})


ROUTES: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
    ("*", "/", root),
    ("*", "/clear", clear),
    ("GET", "/favicon.ico", icon),
]
