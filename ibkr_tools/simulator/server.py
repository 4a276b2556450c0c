"""Assembly: the application, the in-process simulator for tests, and the blocking one for the command line."""

import asyncio
import contextlib
import signal
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from aiohttp import web

from ibkr_tools.simulator import control, gateway, portfolio_routes, rest, sso
from ibkr_tools.simulator.clock import Clock
from ibkr_tools.simulator.context import CONTEXT, Context
from ibkr_tools.simulator.control_client import ControlClient
from ibkr_tools.simulator.logins import LoginDesk
from ibkr_tools.simulator.middleware import (
    check_access,
    chunk_answers,
    close_when_answered,
    inject_faults,
    note_requests,
    pace,
)
from ibkr_tools.simulator.options import SimulatorOptions
from ibkr_tools.simulator.portfolio import Account
from ibkr_tools.simulator.state import World
from ibkr_tools.simulator.websocket import HUB, Hub, serve_socket

__all__ = ["Simulator", "serve"]

LOOPBACK = "127.0.0.1"
KEEP_ALIVE_S = 3600.0
"""Longer than any test: a pooled connection that the server closes makes the jar hang once (cpapi-facts 5.6)."""


def make_context(options: SimulatorOptions) -> Context:
    """Return the memory of a fresh simulator."""
    clock = Clock(options.speed)
    world = World(options, clock)
    accounts = [Account(number, seed=options.seed, count=options.positions, index=index)
                for index, number in enumerate(options.accounts)]  # fmt: skip
    return Context(world, LoginDesk(world.users, clock), accounts)


def make_application(context: Context) -> web.Application:
    """Return the servers (or, with TLS, the gateway) as an application."""
    app = web.Application(middlewares=[note_requests, chunk_answers, inject_faults, check_access, pace])
    app[CONTEXT] = context
    app[HUB] = Hub(context)
    app.on_response_prepare.append(close_when_answered)
    _add(app, sso.ROUTES)
    for prefix in ("/v1/api", "/v1/portal"):
        _add(app, [(method, prefix + path, handler) for method, path, handler in
                   (*rest.ROUTES, *portfolio_routes.ROUTES, ("GET", "/ws", serve_socket))])  # fmt: skip
        app.router.add_route("*", prefix + "/{rest:.*}", rest.not_found)
    if context.world.options.is_gateway:
        _add(app, gateway.ROUTES)
        app.router.add_route("*", "/{rest:.*}", gateway.elsewhere)
    return app


def _add(app: web.Application, routes: Iterable[tuple[str, str, control.Handler]]) -> None:
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)


@asynccontextmanager
async def running(options: SimulatorOptions) -> AsyncIterator[tuple[int, int]]:
    """Run both ports for the length of the block; gives the port and the control port. Raises OSError if taken."""
    context = make_context(options)
    app = make_application(context)
    control_app = web.Application(middlewares=[control.answer_errors])
    control_app[CONTEXT] = context
    _add(control_app, control.ROUTES)
    tls = None
    if options.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate, options.key)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_abort_all)
        port = await _listen(stack, app, options.host, options.port, tls)
        control_port = await _listen(stack, control_app, LOOPBACK, options.control_port, None)
        ticker = asyncio.create_task(_tick(context, app[HUB]))
        try:
            yield port, control_port
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker
            context.stopping.set()
            context.faults_changed.set()
            await app[HUB].close_all()


async def _abort_all() -> None:
    """End what is still open: a peer that does not answer the end of TLS would outlive the event loop."""
    # asyncio has no public list of them; another kind of loop may have none at all.
    for transport in list(getattr(asyncio.get_running_loop(), "_transports", {}).values()):
        transport.abort()
    # The loop closes the sockets in its next rounds.
    await asyncio.sleep(0.01)


async def _listen(
    stack: contextlib.AsyncExitStack, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None
) -> int:
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=0.3
    )
    await runner.setup()
    stack.push_async_callback(_end, runner)
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    bound: int = runner.addresses[0][1]
    return bound


async def _end(runner: web.AppRunner) -> None:
    """Close everything at once. A browser's idle TLS connection would otherwise outlive the loop."""
    connections = [] if runner.server is None else runner.server.connections
    for connection in connections:
        if connection.transport is not None:
            connection.transport.abort()
    await runner.cleanup()


async def _tick(context: Context, hub: Hub) -> None:
    """Let sessions age, a few times per simulated ten seconds, and hearts beat when they are due."""
    clock = context.world.clock
    while True:
        context.world.age_all()
        await hub.beat()
        pause_s = min(2.0, hub.next_beat_at() - clock.now())
        await asyncio.sleep(min(0.5, max(0.01, clock.real(pause_s))))


class Simulator:
    """A simulator in a thread of its own: `with Simulator(SimulatorOptions(port=0, control_port=0)) as sim:`.

    `url` is where it serves, `control` a client of its control port. Entering raises OSError if a port is taken.
    """

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        """Prepare; nothing listens yet. Without options both ports are free ones."""
        self.options = options or SimulatorOptions(port=0, control_port=0)
        self.port = 0
        self.control_port = 0
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ibkr-simulator", daemon=True)

    @property
    def url(self) -> str:
        """Root address, without a slash at the end."""
        scheme = "https" if self.options.is_gateway else "http"
        return f"{scheme}://{self.options.host}:{self.port}"

    @property
    def control(self) -> ControlClient:
        """A client of the control port."""
        return ControlClient(self.control_port)

    def __enter__(self) -> Self:
        """Start and wait until both ports listen."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and wait until everything is closed."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with running(self.options) as (self.port, self.control_port):
                self._ready.set()
                await self._stop.wait()
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()


def serve(options: SimulatorOptions) -> None:
    """Run until SIGTERM or SIGINT; says on stderr when it is ready. Raises OSError if a port is taken."""
    asyncio.run(_serve(options))


async def _serve(options: SimulatorOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(options) as (port, control_port):
        role = "as the gateway" if options.is_gateway else "behind a gateway"
        scheme = "https" if options.is_gateway else "http"
        print(f"simulator ready {role}: {scheme}://{options.host}:{port}, control http://{LOOPBACK}:{control_port}",
              file=sys.stderr, flush=True)  # fmt: skip
        await stop.wait()
