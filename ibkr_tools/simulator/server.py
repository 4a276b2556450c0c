"""Ports and life: the in-process simulator for tests, and the blocking one for the command line."""

import asyncio
import contextlib
import signal
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from aiohttp import web

from ibkr_tools.simulator.application import make_application, make_context, make_control, pass_time
from ibkr_tools.simulator.control_client import ControlClient
from ibkr_tools.simulator.options import SimulatorOptions
from ibkr_tools.simulator.websocket import HUB

__all__ = ["Simulator", "serve"]

LOOPBACK = "127.0.0.1"
KEEP_ALIVE_S = 3600.0
"""Longer than any test: a pooled connection that the server closes makes the jar hang once.

Source: docs/reference/gateway-process.md#stale-connection.
"""


@asynccontextmanager
async def running(options: SimulatorOptions) -> AsyncIterator[tuple[int, int]]:
    """Run both ports for the length of the block; gives the port and the control port. Raises OSError if taken."""
    context = make_context(options)
    app = make_application(context)
    tls = None
    if options.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate, options.key)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_abort_all)
        public = _Port(app, options.host, options.port, tls)
        context.set_listening = public.set_listening
        port = await public.open(stack)
        control_port = await _Port(make_control(context), LOOPBACK, options.control_port, None).open(stack)
        ticker = asyncio.create_task(pass_time(context, app[HUB]))
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


class _Port:
    """Where one application listens; it can be closed and opened again."""

    def __init__(self, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=0.3
        )
        self._host, self.port, self._tls = host, port, tls
        self._site: web.TCPSite | None = None

    async def open(self, stack: contextlib.AsyncExitStack) -> int:
        """Listen from now on, until the stack unwinds; return the port."""
        await self._runner.setup()
        stack.push_async_callback(_end, self._runner)
        await self.set_listening(listening=True)
        self.port = self._runner.addresses[0][1]
        return self.port

    async def set_listening(self, *, listening: bool) -> None:
        """Listen or refuse; whoever is connected then is cut off."""
        if listening and self._site is None:
            self._site = web.TCPSite(self._runner, self._host, self.port, ssl_context=self._tls)
            await self._site.start()
        elif not listening and self._site is not None:
            site, self._site = self._site, None
            await site.stop()
            _cut_off(self._runner)


async def _end(runner: web.AppRunner) -> None:
    """Close everything at once. A browser's idle TLS connection would otherwise outlive the loop."""
    _cut_off(runner)
    await runner.cleanup()


def _cut_off(runner: web.AppRunner) -> None:
    for connection in [] if runner.server is None else runner.server.connections:
        if connection.transport is not None:
            # Python 3.11 cannot abort a TLS connection that was closed twice: its protocol is gone, as it is to be.
            with contextlib.suppress(AttributeError):
                connection.transport.abort()


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
