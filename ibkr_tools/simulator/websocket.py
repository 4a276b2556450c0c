"""The WebSocket `/v1/api/ws`: greeting, heartbeats, status pushes, `tic`.

Source: docs/reference/websocket.md.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from ibkr_tools.simulator import session_responses
from ibkr_tools.simulator.context import Context, context_of
from ibkr_tools.simulator.options import UserKind
from ibkr_tools.simulator.simulated_sessions import Session, SessionEvent

__all__ = ["Hub", "serve_socket"]

HEARTBEAT_S = 10.0
QUIET_TOPICS = {"ech", "smd", "umd", "smh", "umh", "sbd", "ubd", "sor", "uor", "str", "utr", "spl", "upl", "ssd",
                "usd", "sld", "uld"}  # fmt: skip
"""Topics that exist but are not simulated: accepted without an answer."""

MUTATING_TOPICS = {"shs", "inp"}
"""Topics that exercise options or answer questions about orders."""


class Stream(Protocol):
    """What a socket is written to."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""

    async def send_str(self, data: str) -> None:
        """Send a text frame."""

    async def close(self) -> object:
        """End it."""


@dataclass(slots=True, eq=False)
class _Connection:
    stream: Stream
    session: Session | None
    beat_at: float
    silent: bool = False


class Hub:
    """All open sockets. Frames are binary as the gateway, text behind one."""

    def __init__(self, context: Context) -> None:
        """Listen to the sessions of `context`."""
        self._context = context
        self._sockets: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        context.world.listeners.append(self._on_event)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Keep one socket until either side closes it. As the gateway it is accepted at once, session or not."""
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        socket = await self.join(stream, request.cookies.get("XYZAB"))
        try:
            async for message in stream:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    text = message.data if isinstance(message.data, str) else message.data.decode()
                    await self.answer(socket, text)
        finally:
            self.leave(socket)
        return stream

    async def join(self, stream: Stream, token: str | None = None) -> _Connection:
        """Greet a new socket, and keep it until `leave`."""
        world = self._context.world
        socket = _Connection(stream, world.find(token), world.now() + HEARTBEAT_S)
        self._sockets.add(socket)
        self._context.sockets = len(self._sockets)
        if world.schedule.at(world.now()) is not None:
            # The gateway has accepted it before it knew that IBKR would not.
            socket.silent = True
        await self._greet(socket)
        return socket

    def leave(self, socket: _Connection) -> None:
        """Forget a socket."""
        self._sockets.discard(socket)
        self._context.sockets = len(self._sockets)

    async def beat(self) -> None:
        """Send the heartbeats that are due; when IBKR closes its doors, end or silence the sockets."""
        now = self._context.world.now()
        window = self._context.world.schedule.at(now)
        for socket in list(self._sockets):
            if window is not None and not socket.silent:
                socket.silent = True
                if window.kind != "hang":
                    await socket.stream.close()
            if socket.session is None or socket.silent or now < socket.beat_at:
                continue
            socket.beat_at = max(socket.beat_at + HEARTBEAT_S, now)
            await self._send(socket, {"topic": "system", "hb": int(now * 1000)})

    def next_beat_at(self) -> float:
        """Return when the next heartbeat is due, in simulated seconds since the epoch."""
        due = [socket.beat_at for socket in self._sockets if socket.session is not None and not socket.silent]
        return min(due, default=self._context.world.now() + HEARTBEAT_S)

    async def close_all(self) -> None:
        """Close every socket."""
        for socket in list(self._sockets):
            await socket.stream.close()

    async def _greet(self, socket: _Connection) -> None:
        session, hears = socket.session, self._context.world.behaviour.read_only_socket
        if session is not None and session.user.kind is UserKind.READ_ONLY and hears in ("silent", "waiting"):
            socket.session = session = None
            socket.silent = hears == "silent"
        if socket.silent:
            return
        if session is None:
            await self._send(socket, {"message": "waiting for session"})
            return
        await self._send(socket, session_responses.system_frame(session))
        await self._send_status(socket, session)

    async def _send_status(self, socket: _Connection, session: Session) -> None:
        if session.is_authenticated:
            accounts = session_responses.brokerage_accounts(session, self._context.accounts_of(session))
            await self._send(socket, {"topic": "act", "args": accounts})
        elif session.user.kind is UserKind.READ_ONLY and self._context.world.behaviour.read_only_socket == "system":
            return
        await self._send(socket, {"topic": "sts", "args": session_responses.sts_args(session)})

    async def answer(self, socket: _Connection, text: str) -> None:
        """React to a frame that came."""
        if socket.silent:
            return
        session = socket.session
        if session is None:
            await self._send(socket, {"message": "waiting for session"})
            return
        topic = text.split("+", 1)[0].strip()
        if topic == "tic":
            self._context.world.touch(session)
            await self._send(socket, {"topic": "tic", "alive": True, "id": session.session_id,
                                      "lastAccessed": int(session.seen_at * 1000)})  # fmt: skip
        elif topic in MUTATING_TOPICS:
            self._context.mutations += 1
            await self._send(socket, {"topic": "error", "error": "the simulator changes nothing"})
        elif topic in QUIET_TOPICS:
            if topic == "spl":
                session.warm.add(topic)
        else:
            await self._send(socket, {"topic": "error", "error": f"Topic unknown '{text[:3]}'"})

    def _on_event(self, event: SessionEvent) -> None:
        task = asyncio.get_running_loop().create_task(self._react(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _react(self, event: SessionEvent) -> None:
        if event.kind == "opened":
            await self._adopt(event.session)
            return
        for socket in [one for one in self._sockets if one.session is event.session and not one.silent]:
            if event.kind == "closed":
                await self._end(socket, event)
            elif event.push == "close":
                await socket.stream.close()
            elif event.push == "sts":
                if event.session.is_authenticated:
                    await self._send_status(socket, event.session)
                else:
                    competing = {"competing": True} if event.session.is_competing else {}
                    await self._send(socket, {"topic": "sts", "args": {"authenticated": False, **competing}})

    async def _adopt(self, session: Session) -> None:
        """Give a new session to the sockets that wait for one; only the gateway can do that."""
        if not self._context.world.options.is_gateway:
            return
        for socket in [one for one in self._sockets if one.session is None and not one.silent]:
            socket.session = session
            await self._greet(socket)

    async def _end(self, socket: _Connection, event: SessionEvent) -> None:
        if event.push == "silent":
            socket.silent = True
            return
        if event.push == "sts":
            connected = {"connected": False} if self._context.world.behaviour.loss_frame == "whole" else {}
            await self._send(socket, {"topic": "sts", "args": {"authenticated": False, **connected}})
        await socket.stream.close()

    async def _send(self, socket: _Connection, frame: dict[str, Any]) -> None:
        if socket.stream.closed:
            return
        text = json.dumps(frame, separators=(",", ":"))
        try:
            if self._context.world.options.is_gateway:
                await socket.stream.send_bytes(text.encode())
            else:
                await socket.stream.send_str(text)
        except ConnectionError:
            # The other side is gone; the reading loop ends by itself.
            return


HUB = web.AppKey("hub", Hub)


async def serve_socket(request: web.Request) -> web.StreamResponse:
    """Hand the request to the hub."""
    context_of(request).world.age_all()
    return await request.config_dict[HUB].serve(request)
