"""Users, sessions and their two tiers. Pure: no sockets, and time comes from the clock it is given."""

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from ibkr_tools.simulator.clock import Clock
from ibkr_tools.simulator.options import SimulatorOptions, User, UserKind
from ibkr_tools.simulator.schedule import OutageWindow, Schedule
from ibkr_tools.simulator.settings import BehaviourSettings, LimitSettings, PageSettings, Push, changed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Brokerage", "Session", "SessionEvent", "World", "proof_matches"]

GATEWAY_TICKLE_S = 30.0
"""Simulated seconds between the jar's own tickles once brokerage was authenticated.

Source: docs/reference/gateway-process.md#own-tickle.
"""


class Brokerage(StrEnum):
    """State of the brokerage tier of one session (docs/reference/session.md#states)."""

    NONE = "none"
    STARTING = "starting"
    UP = "up"
    TIMED_OUT = "timed-out"
    COMPETING = "competing"
    TAKEN = "taken"


DAY_S = 86_400.0


@dataclass(slots=True)
class Session:
    """One SSO session. `token` is the cookie XYZAB, `session_id` the id that `/tickle` tells."""

    user: User
    created_at: float
    seen_at: float
    brokerage: Brokerage
    brokerage_seen_at: float
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    session_id: str = field(default_factory=lambda: secrets.token_hex(16))
    secret: str = field(default_factory=lambda: secrets.token_hex(20))
    challenge: str = ""
    brokerage_ready_at: float | None = None
    was_authenticated: bool = False
    gateway_tickle_at: float = 0.0
    preflight_done: bool = False
    accounts_listed: bool = False
    warm_accounts: set[str] = field(default_factory=set)
    brokerage_preflight_done: bool = False
    warm: set[str] = field(default_factory=set)
    unread_asked_at: float | None = None
    answered: Counter[str] = field(default_factory=Counter)

    @property
    def is_authenticated(self) -> bool:
        """Whether the brokerage tier is open, competing or not."""
        return self.brokerage in (Brokerage.UP, Brokerage.COMPETING)

    @property
    def is_competing(self) -> bool:
        """Whether another program of the same user has the brokerage tier."""
        return self.brokerage in (Brokerage.COMPETING, Brokerage.TAKEN)


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something a WebSocket of the session should hear about."""

    kind: Literal["opened", "brokerage", "closed"]
    session: Session
    push: Push = "sts"


def proof_matches(challenge: str, secret: str, answer: str) -> bool:
    """Whether `answer` is the SHA-1 (hex) of the bytes of challenge and secret, both in hex.

    The jar of 2023-04-24 writes both as numbers, without leading zeros, and pads the whole to full bytes
    (observed 2026-11-22 over some 150 handshakes). The plain concatenation is accepted too.
    """
    texts = (challenge.lstrip("0") + secret.lstrip("0"), challenge + secret)
    padded = ("0" * (len(text) % 2) + text for text in texts)
    return answer.lower() in {hashlib.sha1(bytes.fromhex(text)).hexdigest() for text in padded}


class World:
    """Everything the simulated servers know."""

    def __init__(self, options: SimulatorOptions, clock: Clock) -> None:
        """Start with no session."""
        self.options = options
        self.clock = clock
        self.users = {user.username.lower(): user for user in options.users}
        self.sessions: dict[str, Session] = {}
        self.current: Session | None = None
        self.logged_in_once = False
        self.logged_out = False
        self.schedule = Schedule()
        self.own_page = PageSettings()
        self.behaviour = BehaviourSettings()
        self.limits = LimitSettings()
        self.listeners: list[Callable[[SessionEvent], None]] = []
        # Whether something keeps the jar's handshake from ending well: only the servers know.
        self.handshake_fails: Callable[[], bool] = lambda: False
        self.window: OutageWindow | None = None

    @property
    def page(self) -> PageSettings:
        """The page's settings, with the bulletin of the window that is open now."""
        window = self.schedule.at(self.now())
        if window is None or not window.bulletin:
            return self.own_page
        return changed(self.own_page, {"maintenance": window.bulletin, "blank": False})

    @page.setter
    def page(self, settings: PageSettings) -> None:
        self.own_page = settings

    def now(self) -> float:
        """Return simulated seconds since the epoch."""
        return self.clock.now()

    def open_session(self, user: User) -> Session:
        """Open the SSO tier for `user`. As the gateway the brokerage tier follows by itself."""
        now = self.now()
        trading = user.kind is UserKind.TRADING
        session = Session(user, now, now, Brokerage.STARTING if trading else Brokerage.NONE, now)
        self.sessions[session.token] = session
        self.logged_out = False
        if self.options.is_gateway:
            if self.current is not None:
                self.close_session(self.current, "close")
            self.current, self.logged_in_once = session, True
            self.start_brokerage(session)
        self._tell(SessionEvent("opened", session))
        return session

    def start_brokerage(self, session: Session) -> None:
        """Begin the handshake that the jar does by itself; it ends `brokerage_delay` later."""
        if session.user.kind is UserKind.TRADING and not self.behaviour.refuse_brokerage:
            session.brokerage_ready_at = self.now() + self.options.brokerage_delay.total_seconds()

    def open_brokerage(self, session: Session) -> None:
        """Open the brokerage tier of a trading user; whoever else had it loses it."""
        before = session.brokerage
        session.brokerage, session.brokerage_seen_at = Brokerage.UP, self.now()
        session.brokerage_ready_at = None
        session.was_authenticated = True
        session.gateway_tickle_at = self.now()
        if before is not Brokerage.UP:
            session.brokerage_preflight_done = False
            session.warm.clear()
            self._tell(SessionEvent("brokerage", session))

    def find(self, token: str | None) -> Session | None:
        """Return the living session behind the cookie `token`; as the gateway, the one session there is."""
        session = self.current if self.options.is_gateway else self.sessions.get(token or "")
        if session is None:
            return None
        self.age(session)
        return session if session.token in self.sessions else None

    def touch(self, session: Session) -> None:
        """Note a request of the session; any request renews it."""
        session.seen_at = self.now()
        if session.is_authenticated:
            session.brokerage_seen_at = session.seen_at

    def age(self, session: Session) -> None:
        """Let time pass for one session: brokerage starts and times out, SSO expires."""
        now, options = self.now(), self.options
        if session.brokerage_ready_at is not None and now >= session.brokerage_ready_at:
            session.brokerage_ready_at = None
            if not self.handshake_fails():
                self.open_brokerage(session)
        if options.is_gateway and session.was_authenticated:
            self._gateway_tickle(session, now)
            if session.token not in self.sessions:
                return
        if session.is_authenticated and now - session.brokerage_seen_at > options.brokerage_idle.total_seconds():
            self.lose_brokerage(session, "sts")
        idle, age = now - session.seen_at, now - session.created_at
        if (
            idle > options.sso_idle.total_seconds()
            or age > options.session_lifetime.total_seconds()
            or session.created_at < self._last_reset(now)
        ):
            self.close_session(session, "sts")

    def _last_reset(self, now: float) -> float:
        """Return when the last nightly reset was, in simulated seconds since the epoch; 0.0 without one."""
        if self.behaviour.nightly_reset is None:
            return 0.0
        hours, minutes = self.behaviour.nightly_reset.split(":")
        at = int(hours) * 3600 + int(minutes) * 60
        return (now - at) // DAY_S * DAY_S + at

    def age_all(self) -> None:
        """Let time pass: for every session, and for the windows of the schedule."""
        for session in list(self.sessions.values()):
            self.age(session)
        window = self.schedule.at(self.now())
        if window is not None and window is not self.window and window.ends_sessions:
            for session in list(self.sessions.values()):
                self.close_session(session, "silent")
        self.window = window

    def _gateway_tickle(self, session: Session, now: float) -> None:
        """Do what the jar does every 30 s: keep the session, or log it out when brokerage was taken away."""
        if now - session.gateway_tickle_at < GATEWAY_TICKLE_S:
            return
        session.gateway_tickle_at = now
        if self.schedule.at(now) is not None:
            return
        if session.is_authenticated:
            self.touch(session)
        elif session.brokerage_ready_at is None and self.behaviour.connected:
            self.close_session(session, "close")

    def lose_brokerage(self, session: Session, push: Push) -> None:
        """End the brokerage tier only."""
        if session.brokerage is Brokerage.NONE:
            return
        session.brokerage, session.brokerage_ready_at = Brokerage.TIMED_OUT, None
        self._tell(SessionEvent("brokerage", session, push))

    def compete(self, session: Session, *, competing: bool, authenticated: bool = True) -> None:
        """Let another program of the same user take the brokerage tier, or give it back.

        Both are seen: the session stays authenticated and competes, or it is authenticated no more. The jar logs the
        latter out with its next tickle, and what was taken that way does not come back by itself.
        """
        if competing and session.user.kind is UserKind.TRADING:
            session.brokerage = Brokerage.COMPETING if authenticated else Brokerage.TAKEN
        elif session.brokerage is Brokerage.COMPETING:
            session.brokerage = Brokerage.UP
        elif session.brokerage is Brokerage.TAKEN:
            session.brokerage = Brokerage.TIMED_OUT
        else:
            return
        session.brokerage_ready_at = None
        self._tell(SessionEvent("brokerage", session))

    def close_session(self, session: Session, push: Push) -> None:
        """End both tiers."""
        if self.sessions.pop(session.token, None) is None:
            return
        if self.current is session:
            self.current = None
        session.brokerage = Brokerage.NONE
        self._tell(SessionEvent("closed", session, push))

    def forget_gateway(self) -> None:
        """As the gateway: end as its process does; the session lived in its memory, sockets fall with it."""
        if self.current is not None:
            self.close_session(self.current, "silent")
        self.logged_in_once = False

    def expires_in_ms(self, session: Session) -> int:
        """Return the milliseconds until the SSO tier expires if nobody calls."""
        left = self.options.sso_idle.total_seconds() - (self.now() - session.seen_at)
        return max(0, int(left * 1000))

    def _tell(self, event: SessionEvent) -> None:
        for listener in self.listeners:
            listener(event)
