"""A simulated hour for the watchdog's machine: answers its actions, lets its clock run, counts what it does."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ibkr_tools.portal.push_listener import Heartbeat, PushEvent
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import LoginSection, LoginState, SessionState
from ibkr_tools.watchdog import machine
from ibkr_tools.watchdog.hearing import Hearing
from ibkr_tools.watchdog.observations import (
    Action,
    BrokerageAsked,
    Listed,
    LoginReported,
    Observation,
    Tick,
    Tickled,
    Validated,
    Verdict,
)
from ibkr_tools.watchdog.state import State

__all__ = ["ALIVE", "LOCKED", "NOW", "UP", "LoginState", "World", "login", "tickle", "up_world"]

ALIVE = Tickle(has_session=True, session="a" * 32)

NOW = 5000.0
"""The moment at which something is observed in `UP` and `LOCKED`."""

UP = State(
    phase=SessionState.UP,
    since_s=4000.0,
    up_since_s=4000.0,
    without_since_s=None,
    due_s=NOW,
    last_tickle_s=NOW - 30,
    hearing=Hearing(listening=True, since_s=4000.0, heard_s=NOW),
    accounts=("U1234567",),
)
LOCKED = replace(State(), phase=SessionState.LOCKED_OUT, todo="Check the password", why="refused", due_s=NOW)


def tickle(verdict: Verdict = Verdict.ALIVE) -> Tickled:
    """Returns the answer to a tickle, of a user without the brokerage tier."""
    return Tickled(verdict, verdict.value, tickle=ALIVE if verdict is Verdict.ALIVE else None)


def login(state: LoginState, *, retry_in_s: float | None = None, todo: str | None = None) -> LoginReported:
    """Returns what a login reports."""
    section = LoginSection(
        updated_at=datetime.now(UTC), state=state, why=f"login {state}", todo=todo, accounts=("U1234567",)
    )
    return LoginReported(section, retry_in_s)


@dataclass
class World:
    """What the machine's actions meet; attributes may be changed while it runs.

    `session` is what tickle, validate, status and the list of accounts say, unless `validation` or `stated` say
    otherwise. A tier that is asked for becomes what `asking` says. A login takes `login_takes_s` and ends as
    `login_ends`; one that succeeds revives the session if `login_helps`, with the brokerage tier of `login_brokerage`.
    `on_listen` are the frames that a new connection delivers at once; then heartbeats come every `beat_s` while the
    session lives, None: never. `on_step` is called with each step. `sent` is when tickles left this machine, `spans`
    from when to when there was a session.
    """

    session: Verdict = Verdict.ALIVE
    validation: Verdict | None = None
    stated: Verdict | None = None
    brokerage: Tickle = ALIVE
    asking: dict[Action, Tickle] = field(default_factory=dict)
    login_ends: LoginState | None = "succeeded"
    login_helps: bool = True
    login_brokerage: Tickle | None = None
    login_takes_s: float = 3.0
    on_listen: tuple[PushEvent, ...] = ()
    beat_s: float | None = 10.0
    call_takes_s: float = 0.02
    now_s: float = 1000.0
    state: State = field(default_factory=lambda: State(since_s=1000.0, due_s=1000.0))
    done: list[tuple[float, Action]] = field(default_factory=list)
    login_ends_at_s: float | None = None
    beaten_s: float = 0.0
    sent: list[float] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    on_step: Callable[[State, Observation, State, tuple[Action, ...], float], None] | None = None

    def wanting_brokerage(self) -> State:
        """Returns its state as that of a user who wants the brokerage tier."""
        return replace(self.state, wants_brokerage=True)

    def is_in(self, phase: SessionState) -> bool:
        """Says whether that is the machine's state now."""
        return self.state.phase is phase

    def feed(self, observation: Observation) -> None:
        """Gives one observation, and then those that the actions bring about, as the loop does."""
        pending = [observation]
        while pending:
            before, seen = self.state, pending.pop(0)
            self.state, actions = machine.step(before, seen, self.now_s)
            if self.on_step is not None:
                self.on_step(before, seen, self.state, actions, self.now_s)
            if self.state.has_session:
                begun_s = self.spans.pop()[0] if before.has_session and self.spans else self.now_s
                self.spans.append((begun_s, self.now_s))
            for action in actions:
                self.done.append((self.now_s, action))
                pending += self._answers(action)

    def _answers(self, action: Action) -> Iterable[Observation]:
        match action:
            case Action.TICKLE:
                if self.session not in {Verdict.GATEWAY_GONE, Verdict.LIMITED}:
                    self.sent.append(self.now_s)
                self.now_s += self.call_takes_s
                alive = self.session is Verdict.ALIVE
                yield Tickled(self.session, self.session.value, tickle=self.brokerage if alive else None)
            case Action.VALIDATE:
                self.now_s += self.call_takes_s
                verdict = self.validation or self.session
                yield Validated(verdict, verdict.value)
            case Action.ASK_STATUS:
                self.now_s += self.call_takes_s
                verdict = self.stated or self.session
                yield Validated(verdict, verdict.value)
            case Action.LIST_ACCOUNTS:
                self.now_s += self.call_takes_s
                verdict = self.session
                yield Listed(verdict, verdict.value, ("U1234567",))
            case Action.REAUTHENTICATE | Action.INIT_BROKERAGE | Action.TAKE_BROKERAGE:
                self.brokerage = self.asking.get(action, self.brokerage)
                yield BrokerageAsked(Verdict.ALIVE)
            case Action.REQUEST_LOGIN | Action.REQUEST_FRESH_LOGIN:
                if self.login_ends is not None:
                    self.login_ends_at_s = self.now_s + self.login_takes_s
            case Action.LISTEN:
                yield from self.on_listen

    def run(self, seconds: float, *, until: SessionState | None = None) -> bool:
        """Lets time pass; True as soon as the machine is in the state waited for."""
        end_s = self.now_s + seconds
        while self.state.phase is not until:
            due_s = machine.deadline(self.state)
            login_s = math.inf if self.login_ends_at_s is None else self.login_ends_at_s
            beat_s = self._next_beat_s()
            next_s = min(due_s, login_s, beat_s)
            if next_s > end_s:
                self.now_s = max(self.now_s, end_s)
                return False
            if next_s == login_s:
                self.now_s = max(self.now_s, login_s)
                self._end_login()
            elif next_s == beat_s:
                self.now_s = self.beaten_s = max(self.now_s, beat_s)
                self.feed(Heartbeat())
            else:
                # The loop is never faster than its clock.
                self.now_s = max(self.now_s + 0.001, due_s)
                self.feed(Tick())
        return True

    def _next_beat_s(self) -> float:
        hearing = self.state.hearing
        if self.beat_s is None or self.session is not Verdict.ALIVE or not hearing.listening:
            return math.inf
        return max(self.beaten_s, hearing.since_s) + self.beat_s

    def _end_login(self) -> None:
        self.login_ends_at_s = None
        if self.login_ends is None:
            return
        if self.login_ends == "succeeded" and self.login_helps:
            self.session = Verdict.ALIVE
            self.brokerage = self.login_brokerage or self.brokerage
        self.feed(login(self.login_ends))

    def count(self, action: Action, since_s: float = 0.0) -> int:
        """Says how often an action was done."""
        return sum(1 for at, one in self.done if one is action and at >= since_s)

    def most_in(self, seconds: float, *actions: Action) -> int:
        """Says how many of these actions fell into one such span at the most."""
        times = [at for at, one in self.done if not actions or one in actions]
        return max((sum(1 for other in times if at <= other < at + seconds) for at in times[::5] or times), default=0)


def up_world(**changes: object) -> World:
    """Returns a world in which the session has been up for a minute."""
    world = World()
    assert world.run(60, until=SessionState.UP)
    world.run(60)
    for name, value in changes.items():
        setattr(world, name, value)
    return world
