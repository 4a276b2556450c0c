"""What the watchdog's machine remembers, and the few moves that all of its rules share. Pure.

Times (`*_s`) are seconds of a clock that never jumps.
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.brokerage import Handshake, Policy
from ibkr_tools.watchdog.hearing import Hearing
from ibkr_tools.watchdog.observations import Action

LOOK_AGAIN_S = 1.25
"""IBKR takes one tickle a second, and counts where they arrive: a slow one must not be caught up by the next."""

ANSWER_S = 30.0
"""Every call has its own deadline well below this; past it the machine asks again by itself."""

PERSON_LOOKS_S = 60.0
"""How often to look whether a person has logged in meanwhile."""

HAS_SESSION = frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING})


@dataclass(frozen=True)
class State:
    """All that the machine remembers.

    `phase`, `why`, `next` and `todo` are for people; what `next` says happens at `next_s` (None: at the deadline). At
    `due_s` the machine tickles by itself. Counters count since the last good moment, `losses` since the start.

    `up_since_s` is when the present session was first proven, None without one; `without_since_s` is since when none
    serves, None while one does. `dead_s` is when tickles began to say that a proven session is over, `vouched_s` when
    something else last said that it is not.
    """

    wants_brokerage: bool = False
    policy: Policy = field(default_factory=Policy)
    phase: SessionState = SessionState.STARTING
    since_s: float = 0.0
    why: str = "just started"
    next: str = "looking whether there is a session"
    next_s: float | None = None
    todo: str | None = None
    due_s: float = 0.0
    accounts: tuple[str, ...] = ()
    up_since_s: float | None = None
    without_since_s: float | None = 0.0
    tickled_s: float = -math.inf
    last_tickle_s: float | None = None
    losses: int = 0
    unknowns: int = 0
    silent_since_s: float | None = None
    dead_s: float | None = None
    validated_s: float = -math.inf
    vouched_s: float = -math.inf
    gones: int = 0
    logins: int = 0
    requested_s: float = -math.inf
    login_not_before_s: float = 0.0
    login_hold: str = ""
    short_lives: int = 0
    hearing: Hearing = field(default_factory=Hearing)
    restarted_s: float = -math.inf
    handshake: Handshake = field(default_factory=Handshake)
    fresh_until_s: float = -math.inf
    paused: bool = False
    paused_until: datetime | None = None
    window: str | None = None
    window_ends_s: float = -math.inf

    @property
    def has_session(self) -> bool:
        """Says whether a session serves at least the portfolio tier."""
        return self.phase in HAS_SESSION

    @property
    def is_logging_in(self) -> bool:
        """Says whether a login is under way."""
        return self.phase is SessionState.LOGGING_IN

    @property
    def is_locked_out(self) -> bool:
        """Says whether a person must act before anything logs in."""
        return self.phase is SessionState.LOCKED_OUT


Step = tuple[State, tuple[Action, ...]]


def pick(waits: tuple[float, ...], count: int) -> float:
    """Returns the wait for that count; the last one for all beyond."""
    return waits[max(0, min(count, len(waits) - 1))]


def spread(seconds: float, *seeds: float) -> float:
    """Returns `seconds` give or take a fifth, always the same for the same seeds: not all of the world at once."""
    # Multiples of the golden ratio are spread evenly.
    return seconds * (0.8 + 0.4 * (sum(seeds) * 0.6180339887498949 % 1.0))


def enter(state: State, phase: SessionState, now_s: float, why: str, todo: str | None = None) -> State:
    """Returns the state in a phase; `since_s` moves only if the phase does."""
    since_s = state.since_s if phase is state.phase else now_s
    without_s = now_s if state.without_since_s is None else state.without_since_s
    return replace(
        state,
        phase=phase,
        since_s=since_s,
        why=why,
        todo=todo,
        without_since_s=None if phase in HAS_SESSION else without_s,
    )


def wait(state: State, until_s: float, text: str, at_s: float | None = None) -> State:
    """Returns the state that looks again at `until_s`; `text` says what happens next, at `at_s` if not then."""
    return replace(state, due_s=until_s, next=text, next_s=at_s)


def tickle_now(state: State, now_s: float) -> Step:
    """Asks at once, or as soon as IBKR takes another tickle."""
    earliest_s = state.tickled_s + LOOK_AGAIN_S
    if now_s < earliest_s:
        return replace(state, due_s=earliest_s if state.due_s <= now_s else min(state.due_s, earliest_s)), ()
    return replace(state, due_s=now_s + ANSWER_S, tickled_s=now_s), (Action.TICKLE,)


def forget_session(state: State) -> State:
    """Returns the state without a session; a login keeps away as long as the brokerage tier is left to another."""
    quiet_s = state.handshake.quiet_until_s
    state = replace(state, up_since_s=None, accounts=(), dead_s=None, hearing=state.hearing.stopped())
    if quiet_s is None or quiet_s <= state.login_not_before_s:
        return state
    return replace(
        state,
        login_not_before_s=quiet_s,
        login_hold="another program took the brokerage session, and a login would take it back",
    )
