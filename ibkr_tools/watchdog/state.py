"""The watchdog's state, and the transitions, schedules and back-offs that all of its rules use. Pure.

Times (`*_s`) are seconds of a clock that never jumps.
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.brokerage_session import BrokerageState, CompetingPolicy
from ibkr_tools.watchdog.events import Command
from ibkr_tools.watchdog.push_health import PushHealth

MIN_TICKLE_INTERVAL_S = 1.25
"""IBKR takes one tickle a second, and counts where they arrive: a slow one must not be caught up by the next."""

RESULT_TIMEOUT_S = 30.0
"""Every call has its own deadline well below this; past it the state machine sends the command again."""

MANUAL_LOGIN_POLL_S = 60.0
"""How often the watchdog checks whether a person has logged in meanwhile."""

PHASES_WITH_SESSION = frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING})


@dataclass(frozen=True)
class State:
    """All that the state machine remembers.

    `phase`, `why`, `next` and `todo` are for people; what `next` says happens at `next_at_s` (None: at the deadline).
    At `due_at_s` the next tickle is due. Counters count since the last confirmed session, `losses` since the start.

    `up_since_s` is when the present session was first confirmed, None without a session; `outage_since_s` is when the
    last session ended, None while one serves. `suspect_since_s` is when tickles began to say that a confirmed session
    is over, `validated_at_s` when a validation last said that it is not. `silent_since_s` is when calls began to get
    no answer at all. Until `fresh_login_until_s` a login runs although there is a session.
    """

    wants_brokerage: bool = False
    policy: CompetingPolicy = field(default_factory=CompetingPolicy)
    phase: SessionState = SessionState.STARTING
    phase_since_s: float = 0.0
    why: str = "just started"
    next: str = "looking whether there is a session"
    next_at_s: float | None = None
    todo: str | None = None
    due_at_s: float = 0.0
    accounts: tuple[str, ...] = ()
    up_since_s: float | None = None
    outage_since_s: float | None = 0.0
    tickle_sent_at_s: float = -math.inf
    tickle_succeeded_at_s: float | None = None
    losses: int = 0
    inconclusive_checks: int = 0
    silent_since_s: float | None = None
    suspect_since_s: float | None = None
    validation_sent_at_s: float = -math.inf
    validated_at_s: float = -math.inf
    gateway_failures: int = 0
    login_attempts: int = 0
    login_requested_at_s: float = -math.inf
    login_not_before_s: float = 0.0
    login_blocked_reason: str = ""
    short_sessions: int = 0
    push_health: PushHealth = field(default_factory=PushHealth)
    restart_requested_at_s: float = -math.inf
    brokerage: BrokerageState = field(default_factory=BrokerageState)
    fresh_login_until_s: float = -math.inf
    paused: bool = False
    paused_until: datetime | None = None
    window: str | None = None
    window_ends_at_s: float = -math.inf

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


def schedule(state: State, due_at_s: float, text: str, next_at_s: float | None = None) -> State:
    """Returns the state whose next tickle is due at `due_at_s`; `text` says what happens next, at `next_at_s`."""
    return replace(state, due_at_s=due_at_s, next=text, next_at_s=next_at_s)


def tickle_now(state: State, now_s: float) -> StepResult:
    """Sends a tickle at once, or schedules it for when IBKR takes another one."""
    earliest_at_s = state.tickle_sent_at_s + MIN_TICKLE_INTERVAL_S
    if now_s < earliest_at_s:
        return replace(
            state, due_at_s=earliest_at_s if state.due_at_s <= now_s else min(state.due_at_s, earliest_at_s)
        ), ()
    return replace(state, due_at_s=now_s + RESULT_TIMEOUT_S, tickle_sent_at_s=now_s), (Command.TICKLE,)


def forget_session(state: State) -> State:
    """Returns the state without a session; no login while the brokerage tier is left to another program."""
    quiet_until_s = state.brokerage.quiet_until_s
    state = replace(state, up_since_s=None, accounts=(), suspect_since_s=None, push_health=state.push_health.stopped())
    if quiet_until_s is None or quiet_until_s <= state.login_not_before_s:
        return state
    return replace(
        state,
        login_not_before_s=quiet_until_s,
        login_blocked_reason="another program took the brokerage session, and a login would take it back",
    )
