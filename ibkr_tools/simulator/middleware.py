"""What happens to every request before and after its handler: notes, faults, pacing, the session check."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from aiohttp import HttpVersion11, web

from ibkr_tools.simulator.context import Context, RequestRecord, context_of, empty, reply, short_path
from ibkr_tools.simulator.faults import Fault
from ibkr_tools.simulator.faulty_responses import random_fault
from ibkr_tools.simulator.rate_limits import HISTORY
from ibkr_tools.simulator.refused_mutations import is_mutation
from ibkr_tools.simulator.session_routes import UNKNOWN

__all__ = ["check_access", "chunk_answers", "date_answers", "inject_faults", "keep_hours", "note_requests", "pace"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HTML = "<!DOCTYPE html><html><head><title>Interactive Brokers</title></head><body><h1>Error</h1></body></html>"
UNCHECKED = ("/iserver/reauthenticate",)
_CHANCES: dict[str | int | None, Fault] = {
    503: Fault("", "status", status=503),
    "drop": Fault("", "close"),
    "html": Fault("", "html"),
    "error": Fault("", "json", body={"error": "failed to process request"}),
    "half": Fault("", "half"),
    "empty": Fault("", "status"),
}
"""What a trouble by chance is as a fault."""
UNKNOWN_HANDLERS = tuple(handler for _, _, handler in UNKNOWN)


@web.middleware
async def note_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Remember each request with its outcome; count what is under way, and what would change something."""
    context, path = context_of(request), short_path(request.path)
    is_call = path not in (request.path, "/ws")
    context.requests[f"{request.method} {request.path}"] += 1
    at, status = time.time(), 0
    if is_call:
        context.traffic.begin(path, context.world.now())
        context.mutations += is_mutation(request, unknown=request.match_info.handler in UNKNOWN_HANDLERS)
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as answer:
        status = answer.status
        raise
    finally:
        if is_call:
            context.traffic.end(path)
        context.recent.append(RequestRecord(at, request.method, request.path, status))
    return response


@web.middleware
async def chunk_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """As the gateway: answer in chunks, as the jar passes everything on."""
    response = await handler(request)
    passed_on = context_of(request).world.options.is_gateway and request.path.startswith(("/v1/", "/sso/"))
    # aiohttp frames an empty body neither by a length nor by chunks; a client would wait for its end.
    if passed_on and isinstance(response, web.Response) and response.body and request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    return response


async def date_answers(request: web.Request, response: web.StreamResponse) -> None:
    """Say the servers' time; and behind the gateway, end the connection with the answer.

    The jar reads into a buffer of 1024 bytes on a fresh connection, shrinks it after small answers, and decodes
    whatever one read brought; over IBKR's TLS it sees whole records, over plain HTTP a used connection would cut
    answers in two.
    """
    world = context_of(request).world
    response.headers["Date"] = formatdate(world.now() + world.behaviour.clock_skew_s, usegmt=True)
    if response.status != 101 and not world.options.is_gateway:
        response.force_close()
        response.headers["Connection"] = "close"


@web.middleware
async def inject_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Play the fault ordered for this path, if any; else split the answer if that is switched on."""
    context = context_of(request)
    fault = context.faults.take(request.method, request.path, short_path(request.path))
    fault = fault or _CHANCES.get(random_fault(context, request.path))
    if fault is None:
        response = await handler(request)
        behaviour = context.world.behaviour
        if behaviour.split and response.content_type == "application/json" and isinstance(response, web.Response):
            return await _in_pieces(request, response, pause_s=behaviour.split_pause_ms / 1000)
        return response
    if fault.kind in ("status", "json", "html"):
        return _instead(fault)
    if fault.kind in ("close", "hang"):
        if fault.kind == "hang":
            await _hang(context, fault)
        return _abort(request)
    if fault.kind == "slow":
        await asyncio.sleep(fault.delay_s)
    response = await handler(request)
    if fault.kind == "slow" or not isinstance(response, web.Response):
        return response
    return await _mutilated(request, response, fault)


async def _mutilated(request: web.Request, response: web.Response, fault: Fault) -> web.StreamResponse:
    if fault.kind == "half":
        return _halved(response)
    if fault.kind == "truncate":
        return await _truncated(request, response)
    context = context_of(request)
    return await _in_pieces(request, response, pause_s=context.world.behaviour.split_pause_ms / 1000)


@web.middleware
async def keep_hours(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse everything that is IBKR's while a window of the schedule is open, but for a page with a bulletin."""
    context = context_of(request)
    window = context.world.schedule.at(context.world.now())
    is_page = not request.path.startswith("/v1/")
    if window is None or _is_local(context, request) or (is_page and window.bulletin):
        return await handler(request)
    if window.kind == "500":
        return web.Response(status=500, text="Internal Server Error")
    if window.kind == "503":
        await _until(context, lambda: context.world.schedule.at(context.world.now()) is not window, window.delay_s)
        return empty(503)
    await _until(context, lambda: context.world.schedule.at(context.world.now()) is not window)
    return _abort(request)


def _is_local(context: Context, request: web.Request) -> bool:
    """Whether the jar answers this by itself; it accepts WebSockets before it asks IBKR."""
    if not context.world.options.is_gateway:
        return False
    path = short_path(request.path)
    return path in (*UNCHECKED, "/ws") or not request.path.startswith(("/v1/", "/sso/", "/portal.proxy/"))


@web.middleware
async def pace(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 429 to whoever calls too often; the jar's own validate calls are not counted per endpoint."""
    context = context_of(request)
    path = short_path(request.path)
    if path in (request.path, "/ws") or request.query.get("gw") == "1" or _is_local(context, request):
        return await handler(request)
    if not context.limiter.allows(context.world.limits, path, context.world.now(), context.traffic.histories):
        return reply({"error": "Too Many Requests"}, 429)
    behaviour = context.world.behaviour
    delay_ms = behaviour.latency_ms + (behaviour.history_ms if path == HISTORY else 0)
    if delay_ms:
        await asyncio.sleep(delay_ms / 1000)
    return await handler(request)


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find the session of an API call; without one it gets a 401 (or what `no_session` says)."""
    context = context_of(request)
    world = context.world
    if world.options.is_gateway and world.behaviour.access_denied:
        return web.Response(status=404, text="Access Denied")
    path = short_path(request.path)
    if path == request.path or path in UNCHECKED or path == "/ws":
        return await handler(request)
    session = world.find(request.cookies.get("XYZAB"))
    if session is None:
        if world.behaviour.no_session == "error":
            return reply({"error": "no session"})
        if world.logged_out and path == "/iserver/auth/ssodh/init":
            return empty(410)
        if world.behaviour.no_session == "302":
            return web.Response(status=302, headers={"Location": "/sso/Login?forwardTo=22&RL=1&ip2loc=US"})
        return empty(401)
    world.touch(session)
    return await handler(request)


def _instead(fault: Fault) -> web.Response:
    """Return the answer that the fault prescribes."""
    response = _prescribed(fault)
    response.headers.update(fault.headers)
    return response


def _prescribed(fault: Fault) -> web.Response:
    if fault.kind == "json":
        return reply(fault.body, fault.status)
    if fault.kind == "html":
        return web.Response(status=fault.status, text=HTML, content_type="text/html")
    text = fault.body if isinstance(fault.body, str) else ""
    return web.Response(status=fault.status, text=text) if text else empty(fault.status)


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return empty(500)


async def _hang(context: Context, fault: Fault) -> None:
    """Keep the connection open without a byte until the fault is over, the caller leaves or all ends."""
    permanent, faults = fault.count is None, context.faults
    await _until(context, lambda: not faults.faults or (permanent and fault not in faults.faults))


async def _until(context: Context, over: Callable[[], bool], timeout_s: float | None = None) -> None:
    """Wait until something is over, for at most `timeout_s` real seconds, or until all ends."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not context.stopping.is_set() and not over():
                await context.faults_changed.wait()


async def _truncated(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    stream = _stream_like(response, len(body))
    await stream.prepare(request)
    await stream.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return stream


def _halved(response: web.Response) -> web.Response:
    """Return an answer that is whole as HTTP goes, and ends in the middle of its JSON."""
    body = response.body if isinstance(response.body, bytes) else b""
    return web.Response(body=body[: len(body) // 2] or b"{", status=response.status, content_type="application/json")


async def _in_pieces(request: web.Request, response: web.Response, *, pause_s: float) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    if len(body) < 2:
        return response
    stream = _stream_like(response, len(body))
    await stream.prepare(request)
    await stream.write(body[: len(body) // 2])
    await asyncio.sleep(pause_s)
    await stream.write(body[len(body) // 2 :])
    await stream.write_eof()
    return stream


def _stream_like(response: web.Response, length: int) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers={"Content-Type": response.headers["Content-Type"]})
    stream.content_length = length
    return stream
