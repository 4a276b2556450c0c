"""The paths of IBKR's Flex Web Service; both of its hosts have them."""

from aiohttp import web

from ibkr_tools.simulator.context import context_of
from ibkr_tools.simulator.flex_service import FlexAnswer
from ibkr_tools.simulator.request_parsing import Route

__all__ = ["ROUTES"]

_PATH = "/AccountManagement/FlexWebService"


async def _form(request: web.Request) -> dict[str, str]:
    """Return the parameters, from the address or the body; 403 to who does not say what program it is."""
    if not request.headers.get("User-Agent"):
        raise web.HTTPForbidden(text="")
    body = await request.post()
    if "t" in request.query:
        context_of(request).flex.tokens_in_urls += 1
    return {**request.query, **{key: value for key, value in body.items() if isinstance(value, str)}}


def _response(answer: FlexAnswer) -> web.Response:
    return web.Response(body=answer.body, content_type=answer.content_type, charset="utf-8")


async def send_request(request: web.Request) -> web.Response:
    """Have a statement made."""
    context, form = context_of(request), await _form(request)
    url = f"{request.url.origin()}{_PATH}/GetStatement"
    return _response(context.flex.send_request(form, context.world.now(), url))


async def get_statement(request: web.Request) -> web.Response:
    """Hand a statement out, or say that it is being made."""
    context, form = context_of(request), await _form(request)
    return _response(context.flex.get_statement(form, context.world.now()))


ROUTES: list[Route] = [
    (method, f"{_PATH}/{name}", handler)
    for name, handler in (("SendRequest", send_request), ("GetStatement", get_statement))
    for method in ("GET", "POST")
]
