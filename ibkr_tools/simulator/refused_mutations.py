"""Whatever would change or cost something at IBKR: refused and counted, so that tests can prove nobody asked.

The list is that of docs/reference/writing-endpoints.md: orders, alerts, watchlists, groups, settings, money, snapshots
with a fee.
"""

from aiohttp import web

from ibkr_tools.simulator.context import reply
from ibkr_tools.simulator.request_parsing import Route

__all__ = ["ROUTES", "is_mutation"]

FORBIDDEN = {"error": "Forbidden: the simulator changes nothing", "statusCode": 403}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
ALWAYS = ("PUT", "PATCH", "DELETE")


async def refuse(_request: web.Request) -> web.StreamResponse:
    """Refuse."""
    return reply(FORBIDDEN, 403)


def is_mutation(request: web.Request, *, unknown: bool) -> bool:
    """Say whether a call asks for a change; one that is not `unknown` and not trapped is a read or session control."""
    if request.match_info.handler is refuse or request.method in ALWAYS:
        return True
    return unknown and request.method not in SAFE_METHODS


ROUTES: list[Route] = [
    (method, path, refuse)
    for methods, paths in {
        "POST": (
            "/iserver/account",
            "/iserver/dynaccount",
            "/iserver/account/{account}/orders",
            "/iserver/account/{account}/orders/whatif",
            "/iserver/account/{account}/order",
            "/iserver/account/{account}/order/whatif",
            "/iserver/account/orders/{group}",
            "/iserver/reply/{reply}",
            "/iserver/notification",
            "/iserver/questions/suppress",
            "/iserver/questions/suppress/reset",
            "/iserver/account/{account}/alert",
            "/iserver/account/{account}/alert/activate",
            "/iserver/account/allocation/group/delete",
            "/iserver/account/allocation/presets",
            "/fa/fa-preset/save",
            "/fa/model/save",
            "/fa/model/invest-divest",
            "/fa/model/submit-transfers",
            "/fyi/settings/{typecode}",
            "/fyi/deliveryoptions/device",
        ),
        "POST DELETE": ("/iserver/account/{account}/order/{order}", "/iserver/watchlist"),
        "DELETE": ("/iserver/account/{account}/alert/{alert}", "/fyi/deliveryoptions/{device}"),
        "POST PUT": ("/iserver/account/allocation/group",),
        "PUT": ("/fyi/disclaimer/{typecode}", "/fyi/deliveryoptions/email", "/fyi/notifications/{id}"),
        "POST PUT DELETE": ("/ccp/order",),
        "GET": ("/md/regsnapshot",),
        "*": ("/gw/api/{rest:.*}", "/oauth/{rest:.*}", "/oauth2/{rest:.*}"),
    }.items()
    for path in paths
    for method in methods.split()
]
