"""A simulated environment for the state machine: answers its commands, moves its clock, counts what it does."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ibkr_tools.portal.push_listener import Heartbeat, PushEvent
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import LoginSection, LoginState, SessionState
from ibkr_tools.watchdog import state_machine
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    Command,
    Event,
    GatewayRequest,
    LocalCommand,
    LoginReported,
    Tick,
    TickleResult,
    ValidationResult,
    Verdict,
)
from ibkr_tools.watchdog.push_health import PushHealth
from ibkr_tools.watchdog.state import State, TickleSchedule

__all__ = ["ALIVE", "LOCKED", "NOW", "UP", "Environment", "LoginState", "environment_with_session", "login", "tickle"]

ALIVE = Tickle(has_session=True, session="a" * 32)

NOW = 5000.0
"""The moment at which something is observed in `UP` and `LOCKED`."""

UP = State(
    phase=SessionState.UP,
    phase_since_s=4000.0,
    up_since_s=4000.0,
    outage_since_s=None,
    schedule=TickleSchedule(due_at_s=NOW, succeeded_at_s=NOW - 30),
    push_health=PushHealth(listening=True, listening_since_s=4000.0, last_frame_at_s=NOW),
    accounts=("U1234567",),
)
LOCKED = replace(
    State(),
    phase=SessionState.LOCKED_OUT,
    todo="Check the password",
    why="refused",
    schedule=TickleSchedule(due_at_s=NOW),
)


def tickle(verdict: Verdict = Verdict.ALIVE) -> TickleResult:
    """Returns the answer to a tickle, of a user without the brokerage tier."""
    return TickleResult(verdict, verdict.value, tickle=ALIVE if verdict is Verdict.ALIVE else None)


def login(state: LoginState, *, retry_in_s: float | None = None, todo: str | None = None) -> LoginReported:
    """Returns what a login reports."""
    section = LoginSection(
        updated_at=datetime.now(UTC), state=state, why=f"login {state}", todo=todo, accounts=("U1234567",)
    )
    return LoginReported(section, retry_in_s)


@dataclass
class Environment:
    """The gateway, IBKR and the logins as the state machine meets them; attributes may be changed while it runs.

    `session` is what tickle, validate, status and the list of accounts say, unless `validation` or `auth_status` say
    otherwise. A tier that is asked for becomes what `brokerage_after` says. A login takes `login_duration_s` and ends
    as `login_ends`; a login that succeeds brings a session if `login_helps`, with the brokerage tier of
    `login_brokerage`. `on_listen` are the frames that a new connection delivers at once; then heartbeats come every
    `heartbeat_interval_s` while the session lives, None: never. `on_step` is called with each step. `executed` are the
    commands, `tickles_sent_at_s` is when tickles left this computer, `session_spans` when there was a session.
    """

    session: Verdict = Verdict.ALIVE
    validation: Verdict | None = None
    auth_status: Verdict | None = None
    brokerage: Tickle = ALIVE
    brokerage_after: dict[Command, Tickle] = field(default_factory=dict)
    login_ends: LoginState | None = "succeeded"
    login_helps: bool = True
    login_brokerage: Tickle | None = None
    login_duration_s: float = 3.0
    on_listen: tuple[PushEvent, ...] = ()
    heartbeat_interval_s: float | None = 10.0
    call_duration_s: float = 0.02
    now_s: float = 1000.0
    state: State = field(default_factory=lambda: State(phase_since_s=1000.0, schedule=TickleSchedule(due_at_s=1000.0)))
    executed: list[tuple[float, Command]] = field(default_factory=list)
    login_ends_at_s: float | None = None
    last_heartbeat_at_s: float = 0.0
    tickles_sent_at_s: list[float] = field(default_factory=list)
    session_spans: list[tuple[float, float]] = field(default_factory=list)
    on_step: Callable[[State, Event, State, tuple[Command, ...], float], None] | None = None

    def wanting_brokerage(self) -> State:
        """Returns its state as that of a user who wants the brokerage tier."""
        return replace(self.state, wants_brokerage=True)

    def is_in(self, phase: SessionState) -> bool:
        """Says whether that is the phase of the state machine now."""
        return self.state.phase is phase

    def dispatch(self, event: Event) -> None:
        """Gives one event, and then those that the commands bring about, as the loop does."""
        pending = [event]
        while pending:
            before, event = self.state, pending.pop(0)
            self.state, commands = state_machine.step(before, event, self.now_s)
            if self.on_step is not None:
                self.on_step(before, event, self.state, commands, self.now_s)
            if self.state.has_session:
                begun_s = self.session_spans.pop()[0] if before.has_session and self.session_spans else self.now_s
                self.session_spans.append((begun_s, self.now_s))
            for command in commands:
                self.executed.append((self.now_s, command))
                pending += self._results_of(command)

    def _results_of(self, command: Command) -> Iterable[Event]:
        match command:
            case GatewayRequest.TICKLE:
                if self.session not in {Verdict.GATEWAY_DOWN, Verdict.RATE_LIMITED}:
                    self.tickles_sent_at_s.append(self.now_s)
                self.now_s += self.call_duration_s
                alive = self.session is Verdict.ALIVE
                yield TickleResult(self.session, self.session.value, tickle=self.brokerage if alive else None)
            case GatewayRequest.VALIDATE:
                self.now_s += self.call_duration_s
                verdict = self.validation or self.session
                yield ValidationResult(verdict, verdict.value)
            case GatewayRequest.CHECK_AUTH_STATUS:
                self.now_s += self.call_duration_s
                verdict = self.auth_status or self.session
                yield ValidationResult(verdict, verdict.value)
            case GatewayRequest.LIST_ACCOUNTS:
                self.now_s += self.call_duration_s
                verdict = self.session
                yield AccountsResult(verdict, verdict.value, ("U1234567",))
            case GatewayRequest.REAUTHENTICATE | GatewayRequest.INIT_BROKERAGE | GatewayRequest.TAKE_BROKERAGE:
                self.brokerage = self.brokerage_after.get(command, self.brokerage)
                yield BrokerageResult(Verdict.ALIVE)
            case LocalCommand.REQUEST_LOGIN | LocalCommand.REQUEST_FRESH_LOGIN:
                if self.login_ends is not None:
                    self.login_ends_at_s = self.now_s + self.login_duration_s
            case LocalCommand.LISTEN:
                yield from self.on_listen

    def run(self, seconds: float, *, until: SessionState | None = None) -> bool:
        """Lets time pass; True as soon as the state machine is in the phase waited for."""
        end_s = self.now_s + seconds
        while self.state.phase is not until:
            due_at_s = state_machine.deadline(self.state)
            login_at_s = math.inf if self.login_ends_at_s is None else self.login_ends_at_s
            heartbeat_at_s = self._next_heartbeat_at_s()
            next_s = min(due_at_s, login_at_s, heartbeat_at_s)
            if next_s > end_s:
                self.now_s = max(self.now_s, end_s)
                return False
            if next_s == login_at_s:
                self.now_s = max(self.now_s, login_at_s)
                self._end_login()
            elif next_s == heartbeat_at_s:
                self.now_s = self.last_heartbeat_at_s = max(self.now_s, heartbeat_at_s)
                self.dispatch(Heartbeat())
            else:
                # The loop is never faster than its clock.
                self.now_s = max(self.now_s + 0.001, due_at_s)
                self.dispatch(Tick())
        return True

    def _next_heartbeat_at_s(self) -> float:
        push_health = self.state.push_health
        if self.heartbeat_interval_s is None or self.session is not Verdict.ALIVE or not push_health.listening:
            return math.inf
        return max(self.last_heartbeat_at_s, push_health.listening_since_s) + self.heartbeat_interval_s

    def _end_login(self) -> None:
        self.login_ends_at_s = None
        if self.login_ends is None:
            return
        if self.login_ends == "succeeded" and self.login_helps:
            self.session = Verdict.ALIVE
            self.brokerage = self.login_brokerage or self.brokerage
        self.dispatch(login(self.login_ends))

    def count(self, command: Command, since_s: float = 0.0) -> int:
        """Says how often a command was executed."""
        return sum(1 for at, executed in self.executed if executed is command and at >= since_s)

    def max_within(self, seconds: float, *commands: Command) -> int:
        """Says how many of these commands were executed within that many seconds at the most."""
        times = [at for at, executed in self.executed if not commands or executed in commands]
        # Commands are executed in the order of time.
        return max((bisect_left(times, at + seconds) - number for number, at in enumerate(times)), default=0)


def environment_with_session(**changes: object) -> Environment:
    """Returns an environment in which the session has been up for a minute."""
    environment = Environment()
    assert environment.run(60, until=SessionState.UP)
    environment.run(60)
    for name, value in changes.items():
        setattr(environment, name, value)
    return environment
