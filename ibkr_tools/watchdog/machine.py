"""The session's state machine: (state, observation, now) gives (state, actions). No I/O and no clock of its own.

The ladder, cheapest step first: look again, validate, (brokerage tier only) the jar's own handshake and
`ssodh/init`, a browser login, a restart of Java, a person. Unknown is not lost: only IBKR's own word that there is
no session leads to a login. Times are seconds of a clock that never jumps.
"""

from dataclasses import dataclass, field, replace

from ibkr_tools.portal.push import Heartbeat, PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import LoginSection, SessionState
from ibkr_tools.watchdog import brokerage
from ibkr_tools.watchdog.observations import (
    Action,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    Listed,
    LoginReported,
    Observation,
    Tickled,
    Validated,
    Verdict,
)

TICKLE_EVERY_S = 30.0
"""The floor beneath the push; IBKR ends a session that is silent for about five minutes."""

LOOK_AGAIN_S = 1.0
"""IBKR takes one tickle a second."""

ANSWER_S = 30.0
"""Every call has its own deadline well below this; past it the machine asks again by itself."""

GATEWAY_RETRY_S = (0.2, 0.2, 0.3, 0.5, 1.0, 2.0)
"""A refused connection costs nothing, and a gateway that starts is there within a second or two."""

UNKNOWN_WAITS_S = (2.0, 5.0, 10.0, 20.0, 30.0)
LOGIN_PATIENCE_S = 180.0
"""A login that has reported nothing for this long is taken for dead, unless it announced a longer limit."""

LOGIN_RETRY_S = (10.0, 60.0, 300.0, 900.0, 1800.0)
MAINTENANCE_S = 900.0
"""IBKR's maintenance takes minutes to hours, and a login during it may count as a failed one."""

SHORT_LIFE_S = 20.0
SHORT_LIVES_S = (0.0, 0.0, 10.0, 60.0, 300.0, 900.0)
"""Pauses before the login after a session that lived shorter than SHORT_LIFE_S, by how many did in a row."""

PERSON_LOOKS_S = 60.0
"""How often to look whether a person has logged in meanwhile."""

RELISTEN_S = (0.0, 1.0, 5.0, 15.0, 30.0)
STUCK_S = 600.0
"""After this long without any answer at all, the jar's five upstream connections may be the ones that are stuck."""

RESTART_EVERY_S = 3600.0
BLIND_S = 90.0
"""A session that could not be asked for this long may not be called up any more."""

_WAITS = frozenset({SessionState.BACKING_OFF, SessionState.MAINTENANCE})
HAS_SESSION = frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING})


@dataclass(frozen=True)
class State:
    """All that the machine remembers.

    `phase`, `why`, `next` and `todo` are for people; at `due_s` the machine tickles by itself. `*_s` are points in
    time on the machine's clock; counters count since the last good moment, `losses` since the start.
    """

    wants_brokerage: bool = False
    phase: SessionState = SessionState.STARTING
    since_s: float = 0.0
    why: str = "just started"
    next: str = "looking whether there is a session"
    todo: str | None = None
    due_s: float = 0.0
    accounts: tuple[str, ...] = ()
    up_since_s: float | None = None
    last_tickle_s: float | None = None
    losses: int = 0
    unknowns: int = 0
    silent_since_s: float | None = None
    deads: int = 0
    gones: int = 0
    logins: int = 0
    login_not_before_s: float = 0.0
    short_lives: int = 0
    listening: bool = False
    listened_s: float | None = None
    relistens: int = 0
    relisten_s: float | None = None
    restarted_s: float = -RESTART_EVERY_S
    handshake: brokerage.Handshake = field(default_factory=brokerage.Handshake)


Step = tuple[State, tuple[Action, ...]]


def deadline(state: State) -> float:
    """Returns when the machine wants its next Tick, on its own clock."""
    if state.relisten_s is not None and state.phase in HAS_SESSION:
        return min(state.due_s, state.relisten_s)
    return state.due_s


def step(state: State, observation: Observation, now_s: float) -> Step:
    """Returns what the machine makes of one observation; total: any observation is possible in any state."""
    match observation:
        case Tickled():
            return _tickled(state, observation, now_s)
        case Validated():
            return _validated(state, observation, now_s)
        case Listed():
            return _listed(state, observation, now_s)
        case GatewayChanged(up=up):
            return _gateway_back(state, now_s) if up else _gateway_gone(state, now_s)
        case GatewayStarting():
            return _gateway_starting(state, now_s)
        case LoginReported():
            return _login_reported(state, observation, now_s)
        case FetchHinted():
            return _look(state)
        case SessionFrame() | Heartbeat() | WaitingForSession() | PushClosed():
            return _pushed(state, observation, now_s)
        case _:
            return _tick(state, now_s)


def _pick(waits: tuple[float, ...], count: int) -> float:
    return waits[min(count, len(waits) - 1)]


def _enter(state: State, phase: SessionState, now_s: float, why: str, todo: str | None = None) -> State:
    """Returns the state in a phase; `since_s` moves only if the phase does."""
    since_s = state.since_s if phase is state.phase else now_s
    return replace(state, phase=phase, since_s=since_s, why=why, todo=todo)


def _wait(state: State, until_s: float, text: str) -> State:
    return replace(state, due_s=until_s, next=text)


def _tickle_now(state: State, now_s: float) -> Step:
    return replace(state, due_s=now_s + ANSWER_S), (Action.TICKLE,)


def _gateway_back(state: State, now_s: float) -> Step:
    # A login that runs has been waiting for this, and asks by itself.
    return (state, ()) if state.phase is SessionState.LOGGING_IN else _tickle_now(state, now_s)


def _gateway_starting(state: State, now_s: float) -> Step:
    """A session lives in Java's memory: a new one has none, so that the browser may start beside it."""
    if state.phase in {SessionState.LOGGING_IN, SessionState.LOCKED_OUT}:
        return state, ()
    state, actions = _gateway_gone(state, now_s)
    if state.logins or now_s < state.login_not_before_s:
        # A login has come to nothing already; should Java be what fails, the next one waits for its answer.
        return state, actions
    return _request_login(state, "the gateway starts, and a new one has no session", now_s)


def _look(state: State) -> Step:
    """Somebody says the session may be gone: one tickle tells."""
    return state, ((Action.TICKLE,) if state.phase in HAS_SESSION else ())


def _tick(state: State, now_s: float) -> Step:
    actions: tuple[Action, ...] = ()
    if state.relisten_s is not None and now_s >= state.relisten_s and state.phase in HAS_SESSION:
        state = replace(state, relisten_s=None, listening=True, listened_s=now_s)
        actions = (Action.LISTEN,)
    if now_s < state.due_s:
        return state, actions
    if state.phase is SessionState.LOGGING_IN:
        state = _back_off(state, now_s, "the login has not reported", _pick(LOGIN_RETRY_S, state.logins - 1))
    state, more = _tickle_now(state, now_s)
    return state, (*actions, *more)


def _tickled(state: State, seen: Tickled, now_s: float) -> Step:
    if seen.verdict is not Verdict.GATEWAY_GONE:
        state = replace(state, gones=0)
    match seen.verdict:
        case Verdict.ALIVE:
            return _alive(state, seen, now_s)
        case Verdict.DEAD:
            return _dead(state, seen.why, now_s)
        case Verdict.LIMITED:
            return _limited(state, seen.why, now_s)
        case Verdict.GATEWAY_GONE:
            return _gateway_gone(state, now_s)
        case Verdict.UNKNOWN | Verdict.SILENT:
            return _unknown(state, seen.why, now_s, silent=seen.verdict is Verdict.SILENT)


def _alive(state: State, seen: Tickled, now_s: float) -> Step:
    state = replace(state, last_tickle_s=now_s, deads=0)
    if state.phase not in HAS_SESSION:
        # Not proven yet: a read-only user's health is what /portfolio/accounts says. IBKR has spoken, though: what
        # hangs from here on is not the gateway.
        due_s = state.due_s if state.phase is SessionState.LOGGING_IN else now_s + ANSWER_S
        return replace(state, due_s=due_s, silent_since_s=None), (Action.LIST_ACCOUNTS,)
    state = replace(state, unknowns=0, silent_since_s=None)
    if not state.wants_brokerage or seen.tickle is None:
        return _wait(state, now_s + TICKLE_EVERY_S, "the next tickle"), ()
    view = brokerage.look(state.handshake, seen.tickle, now_s)
    state = _enter(replace(state, handshake=view.handshake), view.phase, now_s, view.why)
    return _wait(state, now_s + (view.again_s or TICKLE_EVERY_S), view.next), view.actions


def _dead(state: State, why: str, now_s: float) -> Step:
    """IBKR says there is no session; besides a gateway that starts, the one thing that leads to a login."""
    state = replace(state, unknowns=0, silent_since_s=None, deads=state.deads + 1)
    match state.phase:
        case SessionState.UP | SessionState.DEGRADED | SessionState.COMPETING if state.deads == 1:
            return replace(state, due_s=now_s + ANSWER_S), (Action.VALIDATE,)
        case SessionState.LOGGING_IN:
            return state, ()
        case SessionState.LOCKED_OUT:
            return _wait(state, now_s + PERSON_LOOKS_S, "looking whether a person has logged in"), ()
    if state.up_since_s is not None:
        state = _lost(state, why, now_s)
    if now_s < state.login_not_before_s:
        if state.phase not in _WAITS:
            state = _enter(state, SessionState.BACKING_OFF, now_s, why, state.todo)
        return _until_login(state, now_s), (Action.STOP_LISTENING,)
    return _request_login(state, why, now_s)


def _request_login(state: State, why: str, now_s: float) -> Step:
    state = replace(
        _enter(state, SessionState.LOGGING_IN, now_s, why),
        logins=state.logins + 1,
        # However often the gateway comes and goes meanwhile: no second request before this one had its time.
        login_not_before_s=now_s + _pick(LOGIN_RETRY_S, state.logins),
    )
    return _wait(state, now_s + LOGIN_PATIENCE_S, "the login reports"), (Action.STOP_LISTENING, Action.REQUEST_LOGIN)


def _lost(state: State, why: str, now_s: float) -> State:
    """Forgets the session and counts it; one that died young makes the next login wait."""
    short = state.up_since_s is not None and now_s - state.up_since_s < SHORT_LIFE_S
    short_lives = state.short_lives + 1 if short else 0
    pause_s = _pick(SHORT_LIVES_S, short_lives - 1) if short else 0.0
    state = _enter(_forget_session(state), SessionState.LOST, now_s, why)
    # A login that came to nothing meanwhile may have a longer wait of its own.
    not_before_s = max(state.login_not_before_s, now_s + pause_s)
    return replace(state, losses=state.losses + 1, logins=0, short_lives=short_lives, login_not_before_s=not_before_s)


def _forget_session(state: State) -> State:
    return replace(state, up_since_s=None, accounts=(), listening=False, relisten_s=None)


def _limited(state: State, why: str, now_s: float) -> Step:
    if state.phase is SessionState.LOGGING_IN:
        return state, ()
    last_s = now_s if state.last_tickle_s is None else state.last_tickle_s
    if state.phase in HAS_SESSION and now_s - last_s > BLIND_S:
        state = _enter(state, SessionState.UNREACHABLE, now_s, why)
    elif state.phase not in {*HAS_SESSION, SessionState.LOCKED_OUT}:
        state = replace(state, why=why)
    return _wait(state, now_s + LOOK_AGAIN_S, "looking again when the pacing allows"), ()


def _unknown(state: State, why: str, now_s: float, *, silent: bool) -> Step:
    wait_s = _pick(UNKNOWN_WAITS_S, state.unknowns)
    first_s = now_s if state.silent_since_s is None else state.silent_since_s
    state = replace(state, unknowns=state.unknowns + 1, silent_since_s=first_s if silent else None)
    if state.phase is SessionState.LOGGING_IN:
        return state, ()
    actions: tuple[Action, ...] = ()
    if state.unknowns > 1 and state.phase is not SessionState.LOCKED_OUT:
        state = _enter(state, SessionState.UNREACHABLE, now_s, why)
        if silent and now_s - first_s > STUCK_S and now_s - state.restarted_s > RESTART_EVERY_S:
            state = replace(state, restarted_s=now_s)
            actions = (Action.RESTART_GATEWAY,)
    return _wait(state, now_s + wait_s, "looking again"), actions


def _validated(state: State, seen: Validated, now_s: float) -> Step:
    match seen.verdict:
        case Verdict.DEAD:
            return _dead(replace(state, deads=max(1, state.deads)), seen.why, now_s)
        case Verdict.GATEWAY_GONE:
            return _gateway_gone(state, now_s)
        case Verdict.UNKNOWN | Verdict.SILENT:
            return _unknown(state, seen.why, now_s, silent=seen.verdict is Verdict.SILENT)
        case Verdict.ALIVE | Verdict.LIMITED:
            # Alive contradicts the tickle, and validate may be asked once a minute: a second tickle decides.
            if seen.verdict is Verdict.ALIVE:
                state = replace(state, silent_since_s=None)
            return _wait(state, now_s + LOOK_AGAIN_S, "looking again"), ()


def _listed(state: State, seen: Listed, now_s: float) -> Step:
    match seen.verdict:
        case Verdict.ALIVE:
            return _proven(state, seen.accounts, now_s)
        case Verdict.LIMITED:
            return _limited(state, seen.why, now_s)
        case Verdict.DEAD:
            return _dead(replace(state, deads=max(1, state.deads)), seen.why, now_s)
        case Verdict.GATEWAY_GONE:
            return _gateway_gone(state, now_s)
        case Verdict.UNKNOWN | Verdict.SILENT:
            return _unknown(state, seen.why, now_s, silent=seen.verdict is Verdict.SILENT)


def _proven(state: State, accounts: tuple[str, ...], now_s: float) -> Step:
    state = replace(state, accounts=accounts, unknowns=0, silent_since_s=None, deads=0, logins=0)
    if state.phase in HAS_SESSION:
        return state, ()
    phase = SessionState.DEGRADED if state.wants_brokerage else SessionState.UP
    state = replace(
        _enter(state, phase, now_s, "the portfolio tier answers"),
        up_since_s=now_s if state.up_since_s is None else state.up_since_s,
        handshake=brokerage.Handshake(started_s=now_s),
        login_not_before_s=now_s,
        listening=True,
        listened_s=now_s,
        relistens=0,
        relisten_s=None,
    )
    # The first look comes soon: a session that IBKR takes back at once is a known ailment.
    return _wait(state, now_s + 2 * LOOK_AGAIN_S, "the next tickle"), (Action.LISTEN,)


def _gateway_gone(state: State, now_s: float) -> Step:
    if state.phase is SessionState.LOCKED_OUT:
        return _wait(state, now_s + PERSON_LOOKS_S, "looking whether a person has logged in"), ()
    losses = state.losses + (state.up_since_s is not None)
    state = _enter(_forget_session(state), SessionState.GATEWAY_DOWN, now_s, "the gateway does not answer")
    wait_s = _pick(GATEWAY_RETRY_S, state.gones)
    state = replace(state, losses=losses, unknowns=0, silent_since_s=None, deads=0, gones=state.gones + 1)
    return _wait(state, now_s + wait_s, "looking again"), (Action.STOP_LISTENING,)


def _back_off(state: State, now_s: float, why: str, wait_s: float, todo: str | None = None) -> State:
    state = _enter(state, SessionState.BACKING_OFF, now_s, why, todo)
    return _until_login(replace(state, login_not_before_s=now_s + wait_s), now_s)


def _until_login(state: State, now_s: float) -> State:
    """Waits for the next login, and looks now and then whether a person was faster."""
    if state.login_not_before_s <= now_s + PERSON_LOOKS_S:
        return _wait(state, state.login_not_before_s, "another login")
    return _wait(state, now_s + PERSON_LOOKS_S, "looking whether a person has logged in")


def _login_reported(state: State, seen: LoginReported, now_s: float) -> Step:
    section: LoginSection = seen.section
    refused = section.state in {"refused", "locked-out"}
    if state.phase in HAS_SESSION or (state.phase is SessionState.GATEWAY_DOWN and not refused):
        return state, ()
    match section.state:
        case "running":
            state = _enter(state, SessionState.LOGGING_IN, now_s, state.why)
            limit_s = max(LOGIN_PATIENCE_S, section.fresh_for_s or 0.0)
            return _wait(state, now_s + limit_s, "the login reports"), ()
        case "succeeded":
            # The login has proven it by /portfolio/accounts a moment ago; asking again has to wait 5 s.
            losses = state.losses + (state.up_since_s is not None)
            return _proven(replace(state, losses=losses, up_since_s=None), section.accounts, now_s)
        case "not-needed":
            wait_s = LOOK_AGAIN_S if state.logins <= 1 else _pick(LOGIN_RETRY_S, state.logins - 2)
            return _back_off(state, now_s, section.why, wait_s), ()
        case "unlocked":
            return _tickle_now(_back_off(replace(state, logins=0), now_s, section.why, 0.0), now_s)
        case "refused" | "locked-out":
            todo = section.todo or "Check user name and password, then: ibkr-tools unlock"
            state = _enter(state, SessionState.LOCKED_OUT, now_s, section.why, todo)
            return _wait(state, now_s + PERSON_LOOKS_S, "looking whether a person has logged in"), ()
        case "maintenance":
            wait_s = max(MAINTENANCE_S, seen.retry_in_s or 0.0)
            state = _enter(state, SessionState.MAINTENANCE, now_s, section.why)
            return _until_login(replace(state, login_not_before_s=now_s + wait_s), now_s), ()
        case "failed" | "broken":
            wait_s = max(_pick(LOGIN_RETRY_S, max(0, state.logins - 1)), seen.retry_in_s or 0.0)
            return _back_off(state, now_s, section.why, wait_s, section.todo), ()


def _pushed(state: State, event: PushEvent, now_s: float) -> Step:
    match event:
        case Heartbeat():
            # IBKR greets with one: only a connection that lasts ends the series of failed ones.
            lasts = state.listened_s is not None and now_s - state.listened_s > SHORT_LIFE_S
            return (replace(state, relistens=0) if lasts else state), ()
        case SessionFrame(authenticated=False) | WaitingForSession():
            return _look(state)
        case SessionFrame():
            return _look(state) if state.wants_brokerage else (state, ())
        case PushClosed():
            if not state.listening:
                return state, ()
            wait_s = _pick(RELISTEN_S, state.relistens)
            return _look(replace(state, relistens=state.relistens + 1, listening=False, relisten_s=now_s + wait_s))
