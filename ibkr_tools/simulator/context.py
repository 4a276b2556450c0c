"""What every request handler shares, and how answers are written. The only place that builds responses."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from aiohttp import web

from ibkr_tools.simulator.faults import FaultInjector
from ibkr_tools.simulator.flex_service import FlexService
from ibkr_tools.simulator.json_encoding import encode
from ibkr_tools.simulator.odd_positions import shaped
from ibkr_tools.simulator.password_authentication import PasswordAuthenticator
from ibkr_tools.simulator.rate_limits import Limiter, Traffic
from ibkr_tools.simulator.simulated_accounts import Account
from ibkr_tools.simulator.simulated_sessions import Session, World

__all__ = ["CONTEXT", "Context", "RequestRecord", "context_of", "empty", "reply", "session_of", "short_path"]

REMEMBERED_REQUESTS = 500


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it was answered; `at` is wall-clock time, `status` 0 means no answer was given."""

    at: float
    method: str
    path: str
    status: int


class SetListening(Protocol):
    """Opens or closes the servers' port."""

    async def __call__(self, *, listening: bool) -> None:
        """Listen, or refuse connections."""


@dataclass(slots=True)
class Context:
    """The servers' common memory."""

    world: World
    authenticator: PasswordAuthenticator
    accounts: list[Account]
    paper_accounts: list[Account]
    advised_accounts: list[Account]
    flex: FlexService
    faults: FaultInjector = field(default_factory=FaultInjector)
    limiter: Limiter = field(default_factory=Limiter)
    traffic: Traffic = field(default_factory=Traffic)
    mutations: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    recent: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=REMEMBERED_REQUESTS))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    faults_changed: asyncio.Event = field(default_factory=asyncio.Event)
    sockets: int = 0
    _dice: tuple[int, Random] = field(default_factory=lambda: (0, Random(0)))
    set_listening: SetListening | None = None

    def dice(self, seed: int) -> Random:
        """Return the dice of this seed, which go on from where they were; those of another seed begin anew."""
        if self._dice[0] != seed:
            self._dice = seed, Random(seed)
        return self._dice[1]

    def age(self) -> None:
        """Let time pass: for sessions, windows and faults."""
        before = self.world.window
        self.world.age_all()
        if self.faults.expire(self.world.now()) or self.world.window is not before:
            self.wake_hanging()

    def wake_hanging(self) -> None:
        """Have the calls that hang look whether their fault is still there."""
        changed, self.faults_changed = self.faults_changed, asyncio.Event()
        changed.set()

    def accounts_of(self, session: Session) -> list[Account]:
        """Return the accounts that the session's user may view; a paper user and an advisor have others."""
        plain = self.paper_accounts if session.user.paper else self.accounts
        if session.user.advisor:
            plain = self.advised_accounts
        oddities, bases = self.world.behaviour.oddities, self.world.behaviour.base_currencies
        return [shaped(one, oddities, bases[number % len(bases)]) for number, one in enumerate(plain)]

    def account(self, session: Session, account_id: str) -> Account | None:
        """Return the user's account with this number, if there is one."""
        return next((account for account in self.accounts_of(session) if account.account_id == account_id), None)


CONTEXT = web.AppKey("context", Context)


def context_of(request: web.Request) -> Context:
    """Return the memory of the server that got `request`."""
    return request.config_dict[CONTEXT]


def session_of(request: web.Request) -> Session:
    """Return the session of a call that passed the access check; 401 if it ended in the meantime."""
    session = context_of(request).world.find(request.cookies.get("XYZAB"))
    if session is None:
        raise web.HTTPUnauthorized(text="")
    return session


def short_path(path: str) -> str:
    """Return the path below `/v1/api` or `/v1/portal`; other paths unchanged."""
    for prefix in ("/v1/api", "/v1/portal"):
        if path.startswith(prefix + "/"):
            return path[len(prefix) :]
    return path


def reply(data: Any, status: int = 200) -> web.Response:
    """Return compact JSON; bytes are JSON already.

    Header and body leave in one write, so small answers are one TCP segment.
    """
    body = data if isinstance(data, bytes) else encode(data)
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


def empty(status: int) -> web.Response:
    """Return an answer without body, as 401 and 503 come."""
    return web.Response(status=status)
