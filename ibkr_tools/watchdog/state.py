"""The watchdog's state: a record for each thing it remembers, and the transitions that several rules use. Pure.

Times (`*_s`) are seconds of a clock that never jumps. Every record describes its fields where they stand.
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.brokerage_session import BrokerageState, CompetingPolicy
from ibkr_tools.watchdog.events import Command, GatewayRequest, LocalCommand
from ibkr_tools.watchdog.push_health import PushHealth

MIN_TICKLE_INTERVAL_S = 1.25
"""IBKR takes one tickle a second, and counts where they arrive: a slow one must not be caught up by the next."""

RESULT_TIMEOUT_S = 30.0
"""Every call has its own deadline well below this; past it the state machine sends the command again."""

MANUAL_LOGIN_POLL_S = 60.0
"""How often the watchdog checks whether a person has logged in meanwhile."""

SHORT_SESSION_S = 20.0
SHORT_SESSION_BACKOFF_S = (0.0, 0.0, 10.0, 60.0, 300.0, 900.0)
"""Waits before the login after sessions shorter than SHORT_SESSION_S, by how many there were in a row."""

PHASES_WITH_SESSION = frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING})


@dataclass(frozen=True)
class TickleSchedule:
    """When the next tickle is due, and what happens next."""

    due_at_s: float = 0.0
    """When the next tickle is due."""

    next: str = "looking whether there is a session"
    """What happens next, for people."""

    next_at_s: float | None = None
    """When that happens; None: at `due_at_s`."""

    sent_at_s: float = -math.inf
    """When the last tickle was sent."""

    succeeded_at_s: float | None = None
    """When a tickle last found a session."""


@dataclass(frozen=True)
class Suspicion:
    """What speaks against the session: checks that found none, and checks without a clear answer."""

    since_s: float | None = None
    """When tickles began to say that a confirmed session is over; None: they do not say so."""

    validation_sent_at_s: float = -math.inf
    """When the last validation was sent."""

    validated_at_s: float = -math.inf
    """When a validation last said that there is a session."""

    inconclusive_checks: int = 0
    """How many checks in a row had no clear answer."""

    silent_since_s: float | None = None
    """When checks began to get no answer at all; None: the last one got an answer."""

    def conclusive(self) -> "Suspicion":
        """A check has a clear answer."""
        return replace(self, inconclusive_checks=0, silent_since_s=None)

    def ended(self) -> "Suspicion":
        """The session is confirmed, or is known to be over."""
        return replace(self.conclusive(), since_s=None)


@dataclass(frozen=True)
class LoginBackoff:
    """What the next login has to wait for; the budget of logins is the login log's."""

    attempts: int = 0
    """How many logins were requested since the last confirmed session."""

    requested_at_s: float = -math.inf
    """When the last login was requested."""

    not_before_s: float = 0.0
    """When the next login may be requested."""

    blocked_reason: str = ""
    """Why no login may be requested before; empty: because one has failed."""

    short_sessions: int = 0
    """How many sessions in a row were shorter than SHORT_SESSION_S."""

    fresh_login_until_s: float = -math.inf
    """Until when a login may run although there is a session."""

    def session_confirmed(self, now_s: float) -> "LoginBackoff":
        """A session is confirmed: when it is lost, the next login is not blocked."""
        return replace(self, not_before_s=now_s, blocked_reason="")

    def session_lost(self, now_s: float, *, is_short: bool) -> "LoginBackoff":
        """A session was lost; a short one makes the next login wait."""
        short_sessions = self.short_sessions + 1 if is_short else 0
        wait_s = backoff(SHORT_SESSION_BACKOFF_S, short_sessions - 1) if is_short else 0.0
        # A login that came to nothing meanwhile may have a longer wait of its own.
        not_before_s = max(self.not_before_s, now_s + wait_s)
        return replace(self, attempts=0, short_sessions=short_sessions, not_before_s=not_before_s)

    def blocked(self, until_s: float, reason: str) -> "LoginBackoff":
        """No login may be requested before `until_s`, if nothing forbids it for longer."""
        if until_s <= self.not_before_s:
            return self
        return replace(self, not_before_s=until_s, blocked_reason=reason)


@dataclass(frozen=True)
class ActivePause:
    """A person asked that nothing logs in."""

    until: datetime | None = None
    """When the pause ends by itself; None: never."""


@dataclass(frozen=True)
class OpenWindow:
    """One of IBKR's reset or maintenance windows is open."""

    name: str
    """What the window is, for people."""

    ends_at_s: float
    """When the window closes."""


@dataclass(frozen=True)
class State:
    """All that the state machine remembers."""

    wants_brokerage: bool = False
    """Whether the user wants the brokerage tier."""

    policy: CompetingPolicy = field(default_factory=CompetingPolicy)
    """What the user wants while another program has that tier."""

    phase: SessionState = SessionState.STARTING
    """What is known of the session."""

    phase_since_s: float = 0.0
    """When the phase began."""

    why: str = "just started"
    """Why it is that phase, for people."""

    todo: str | None = None
    """What a person should do; None: nothing."""

    accounts: tuple[str, ...] = ()
    """The accounts that the user may view in the present session."""

    up_since_s: float | None = None
    """When the present session was first confirmed; None: there is none."""

    outage_since_s: float | None = 0.0
    """When the last session ended; None: one serves."""

    losses: int = 0
    """How many sessions were lost since the start."""

    recoveries: int = 0
    """How many sessions came back after a loss since the start."""

    recovery_total_s: float = 0.0
    """Seconds from loss to session of all these together."""

    last_recovery_s: float | None = None
    """The same of the last one; None: none yet."""

    gateway_failures: int = 0
    """How many checks in a row found no gateway."""

    restart_requested_at_s: float = -math.inf
    """When a restart of Java was last requested."""

    schedule: TickleSchedule = field(default_factory=TickleSchedule)
    suspicion: Suspicion = field(default_factory=Suspicion)
    login_backoff: LoginBackoff = field(default_factory=LoginBackoff)
    push_health: PushHealth = field(default_factory=PushHealth)
    brokerage: BrokerageState = field(default_factory=BrokerageState)

    pause: ActivePause | None = None
    """The pause; None: logins are allowed."""

    window: OpenWindow | None = None
    """The window that is open; None: none is."""

    @property
    def has_session(self) -> bool:
        """Says whether a session serves at least the portfolio tier."""
        return self.phase in PHASES_WITH_SESSION

    @property
    def is_logging_in(self) -> bool:
        """Says whether a login is under way."""
        return self.phase is SessionState.LOGGING_IN

    @property
    def is_locked_out(self) -> bool:
        """Says whether a person must act before anything logs in."""
        return self.phase is SessionState.LOCKED_OUT


StepResult = tuple[State, tuple[Command, ...]]


def backoff(waits: tuple[float, ...], count: int) -> float:
    """Returns the wait after `count` failures in a row; the last wait for all counts beyond."""
    return waits[max(0, min(count, len(waits) - 1))]


def jitter(seconds: float, *seeds: float) -> float:
    """Returns `seconds` give or take a fifth, the same for the same seeds: many watchdogs do not act at once."""
    # Multiples of the golden ratio are spread evenly.
    return seconds * (0.8 + 0.4 * (sum(seeds) * 0.6180339887498949 % 1.0))


def transition(state: State, phase: SessionState, now_s: float, why: str, todo: str | None = None) -> State:
    """Returns the state in a phase; `phase_since_s` moves only if the phase does."""
    phase_since_s = state.phase_since_s if phase is state.phase else now_s
    outage_since_s = now_s if state.outage_since_s is None else state.outage_since_s
    return replace(
        state,
        phase=phase,
        phase_since_s=phase_since_s,
        why=why,
        todo=todo,
        outage_since_s=None if phase in PHASES_WITH_SESSION else outage_since_s,
    )


def set_due(state: State, due_at_s: float) -> State:
    """Returns the state whose next tickle is due at `due_at_s`; what happens next stays."""
    return replace(state, schedule=replace(state.schedule, due_at_s=due_at_s))


def schedule_next(state: State, due_at_s: float, text: str, next_at_s: float | None = None) -> State:
    """Returns the state whose next tickle is due at `due_at_s`; `text` says what happens next, at `next_at_s`."""
    return replace(state, schedule=replace(state.schedule, due_at_s=due_at_s, next=text, next_at_s=next_at_s))


def tickle_now(state: State, now_s: float) -> StepResult:
    """Sends a tickle at once, or schedules it for when IBKR takes another one."""
    schedule = state.schedule
    earliest_at_s = schedule.sent_at_s + MIN_TICKLE_INTERVAL_S
    if now_s < earliest_at_s:
        return set_due(
            state, earliest_at_s if schedule.due_at_s <= now_s else min(schedule.due_at_s, earliest_at_s)
        ), ()
    schedule = replace(schedule, due_at_s=now_s + RESULT_TIMEOUT_S, sent_at_s=now_s)
    return replace(state, schedule=schedule), (GatewayRequest.TICKLE,)


def forget_session(state: State) -> State:
    """Returns the state without a session; no login while the brokerage tier is left to another program."""
    login_backoff = state.login_backoff
    if state.brokerage.quiet_until_s is not None:
        reason = "another program took the brokerage session, and a login would take it back"
        login_backoff = login_backoff.blocked(state.brokerage.quiet_until_s, reason)
    return replace(
        state,
        up_since_s=None,
        accounts=(),
        suspicion=replace(state.suspicion, since_s=None),
        login_backoff=login_backoff,
        push_health=state.push_health.stopped(),
    )


def session_confirmed(state: State, accounts: tuple[str, ...], now_s: float, *, preexisting: bool = True) -> StepResult:
    """The list of accounts has come: there is a session; `preexisting`: no login of ours has just opened it."""
    state = replace(
        state,
        accounts=accounts,
        suspicion=state.suspicion.ended(),
        login_backoff=replace(state.login_backoff, attempts=0),
    )
    if state.has_session:
        return state, ()
    phase = SessionState.DEGRADED if state.wants_brokerage else SessionState.UP
    state = _with_recovery(state, now_s)
    state = replace(
        transition(state, phase, now_s, "the portfolio tier answers"),
        login_backoff=state.login_backoff.session_confirmed(now_s),
    )
    if is_new_session := state.up_since_s is None:
        brokerage = state.brokerage.session_started(now_s, preexisting=preexisting)
        state = replace(state, up_since_s=now_s, brokerage=brokerage)
    if is_new_session or not state.push_health.listening:
        state = replace(state, push_health=state.push_health.started(now_s, is_new_session=is_new_session))
    # The first tickle comes soon: IBKR is known to end some sessions at once.
    return schedule_next(state, now_s + 2 * MIN_TICKLE_INTERVAL_S, "the next tickle"), (LocalCommand.LISTEN,)


def _with_recovery(state: State, now_s: float) -> State:
    """Returns the state with the outage counted that a new session ends, if a loss began it."""
    if state.up_since_s is not None or state.outage_since_s is None or not state.losses:
        return state
    took_s = max(0.0, now_s - state.outage_since_s)
    return replace(
        state,
        recoveries=state.recoveries + 1,
        recovery_total_s=state.recovery_total_s + took_s,
        last_recovery_s=took_s,
    )


def session_lost(state: State, why: str, now_s: float) -> State:
    """Forgets the session and counts its loss."""
    is_short = state.up_since_s is not None and now_s - state.up_since_s < SHORT_SESSION_S
    state = replace(state, losses=state.losses + 1, push_health=state.push_health.session_lost(now_s))
    state = transition(forget_session(state), SessionState.LOST, now_s, why)
    return replace(state, login_backoff=state.login_backoff.session_lost(now_s, is_short=is_short))
