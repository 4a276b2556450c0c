"""The session's state machine: (state, observation, now) gives (state, actions). No I/O and no clock of its own.

The ladder, cheapest step first: look again, validate, (brokerage tier only) the jar's own handshake and
`ssodh/init`, a browser login, a restart of Java, a person. Unknown is not lost: only IBKR's own word that there is
no session leads to a login. Times are seconds of a clock that never jumps.
"""

from dataclasses import replace

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import brokerage, doubts, life, logins
from ibkr_tools.watchdog.observations import (
    Action,
    BrokerageAsked,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    Listed,
    LoginReported,
    LoginUnheard,
    Observation,
    Paused,
    Resumed,
    Tickled,
    Validated,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.state import (
    ANSWER_S,
    PERSON_LOOKS_S,
    State,
    Step,
    enter,
    forget_session,
    pick,
    tickle_now,
    wait,
)

GATEWAY_RETRY_S = (0.2, 0.2, 0.3, 0.5, 1.0, 2.0)
"""A refused connection costs nothing, and a gateway that starts is there within a second or two."""

_RESTS = frozenset({SessionState.LOST, SessionState.BACKING_OFF, SessionState.MAINTENANCE, SessionState.PAUSED})
"""Where there is no session, and IBKR has said so."""


def deadline(state: State) -> float:
    """Returns when the machine wants its next Tick, on its own clock."""
    if state.hearing.again_s is not None and state.has_session:
        return min(state.due_s, state.hearing.again_s)
    return state.due_s


def step(state: State, observation: Observation, now_s: float) -> Step:
    """Returns what the machine makes of one observation; total: any observation is possible in any state."""
    match observation:
        case Tickled() | Validated() | Listed() | BrokerageAsked():
            return _answered(state, observation, now_s)
        case SessionFrame() | Heartbeat() | WaitingForSession() | PushClosed():
            return _pushed(state, observation, now_s)
        case GatewayChanged(up=up):
            return _gateway_back(state, now_s) if up else _gateway_gone(state, now_s)
        case GatewayStarting():
            return _gateway_starting(state, now_s)
        case LoginReported():
            return logins.reported(state, observation, now_s)
        case LoginUnheard():
            return _login_unheard(state, now_s)
        case FetchHinted():
            return _look(state, now_s)
        case Paused() | Resumed():
            return _paused(state, observation, now_s)
        case WindowChanged():
            return _window_changed(state, observation, now_s)
        case _:
            return _tick(state, now_s)


def _answered(state: State, seen: Tickled | Validated | Listed | BrokerageAsked, now_s: float) -> Step:
    match seen:
        case Tickled():
            return _tickled(state, seen, now_s)
        case BrokerageAsked():
            return _asked(state, seen, now_s)
        case Validated(verdict=Verdict.GATEWAY_GONE) | Listed(verdict=Verdict.GATEWAY_GONE):
            return _gateway_gone(state, now_s)
        case Validated():
            return doubts.validated(state, seen.verdict, seen.why, now_s)
        case Listed():
            return _listed(state, seen, now_s)


def _gateway_back(state: State, now_s: float) -> Step:
    # A login that runs has been waiting for this, and asks by itself.
    return (state, ()) if state.is_logging_in else tickle_now(state, now_s)


def _gateway_starting(state: State, now_s: float) -> Step:
    """A session lives in Java's memory: a new one has none, so that the browser may start beside it."""
    if state.is_logging_in or state.is_locked_out:
        return state, ()
    state, actions = _gateway_gone(state, now_s)
    if state.paused or state.logins or now_s < state.login_not_before_s:
        # A login has come to nothing already; should Java be what fails, the next one waits for its answer.
        return state, actions
    return logins.request(state, "the gateway starts, and a new one has no session", now_s)


def _gateway_gone(state: State, now_s: float) -> Step:
    if state.is_locked_out:
        return wait(state, now_s + PERSON_LOOKS_S, state.next), ()
    losses = state.losses + (state.up_since_s is not None)
    state = enter(forget_session(state), SessionState.GATEWAY_DOWN, now_s, "the gateway does not answer")
    wait_s = pick(GATEWAY_RETRY_S, state.gones)
    state = replace(state, losses=losses, unknowns=0, silent_since_s=None, gones=state.gones + 1)
    return wait(state, now_s + wait_s, "looking again"), (Action.STOP_LISTENING,)


def _login_unheard(state: State, now_s: float) -> Step:
    """A login could not say how it ended; whether it left a session, a tickle tells."""
    if not state.is_logging_in:
        return state, ()
    return tickle_now(logins.given_up(state, now_s, "the login could not say how it ended"), now_s)


def _look(state: State, now_s: float) -> Step:
    """Somebody says the session may be gone: one tickle tells."""
    return tickle_now(state, now_s) if state.has_session else (state, ())


def _tick(state: State, now_s: float) -> Step:
    actions: tuple[Action, ...] = ()
    again_s = state.hearing.again_s
    if again_s is not None and now_s >= again_s and state.has_session:
        state = replace(state, hearing=state.hearing.started(now_s))
        actions = (Action.LISTEN,)
    if now_s < state.due_s:
        return state, actions
    if state.is_logging_in:
        state = logins.given_up(state, now_s, "the login has not reported")
    state, more = tickle_now(state, now_s)
    return state, (*actions, *more)


def _tickled(state: State, seen: Tickled, now_s: float) -> Step:
    if seen.verdict is Verdict.GATEWAY_GONE:
        # It has not left this machine: IBKR has counted nothing.
        return _gateway_gone(replace(state, tickled_s=state.tickled_s - ANSWER_S), now_s)
    state = replace(state, gones=0)
    match seen.verdict:
        case Verdict.ALIVE:
            return _alive(state, seen, now_s)
        case Verdict.DEAD:
            return doubts.dead(state, seen.why, now_s)
        case Verdict.LIMITED:
            return doubts.limited(state, seen.why, now_s)
        case _:
            return doubts.unknown(state, seen.why, now_s, silent=seen.verdict is Verdict.SILENT)


def _alive(state: State, seen: Tickled, now_s: float) -> Step:
    state = replace(state, last_tickle_s=now_s, dead_s=None, hearing=state.hearing.refuted())
    if not state.has_session:
        # Not proven yet: a read-only user's health is what /portfolio/accounts says. IBKR has spoken, though: what
        # hangs from here on is not the gateway.
        due_s = state.due_s if state.is_logging_in else now_s + ANSWER_S
        return replace(state, due_s=due_s, silent_since_s=None), (Action.LIST_ACCOUNTS,)
    state = replace(state, unknowns=0, silent_since_s=None, hearing=state.hearing.contradicted())
    every_s = state.hearing.tickle_every_s(now_s)
    if not state.wants_brokerage or seen.tickle is None:
        return wait(state, now_s + every_s, "the next tickle"), ()
    view = brokerage.look(
        state.handshake, seen.tickle, now_s, state.policy, paused=state.paused, calm=state.window is not None
    )
    state = enter(replace(state, handshake=view.handshake), view.phase, now_s, view.why, view.todo)
    if Action.REQUEST_FRESH_LOGIN in view.actions:
        state = replace(state, fresh_until_s=now_s + logins.LOGIN_PATIENCE_S, requested_s=now_s)
    return wait(state, now_s + min(view.again_s, every_s), view.next, view.at_s), view.actions


def _asked(state: State, seen: BrokerageAsked, now_s: float) -> Step:
    if seen.verdict is Verdict.DEAD:
        return _look(state, now_s)
    trouble = "" if seen.verdict is Verdict.ALIVE else seen.why
    return replace(state, handshake=replace(state.handshake, trouble=trouble)), ()


def _listed(state: State, seen: Listed, now_s: float) -> Step:
    match seen.verdict:
        case Verdict.ALIVE:
            return life.proven(state, seen.accounts, now_s)
        case Verdict.LIMITED:
            return doubts.limited(state, seen.why, now_s)
        case Verdict.DEAD:
            return doubts.dead(state, seen.why, now_s)
        case _:
            return doubts.unknown(state, seen.why, now_s, silent=seen.verdict is Verdict.SILENT)


def _paused(state: State, seen: Paused | Resumed, now_s: float) -> Step:
    if isinstance(seen, Resumed):
        if not state.paused:
            return state, ()
        # What was out of order meanwhile was so on purpose: an outage counts from here.
        without_s = None if state.without_since_s is None else now_s
        handshake = state.handshake.resumed(now_s)
        state = replace(state, paused=False, paused_until=None, without_since_s=without_s, handshake=handshake)
        if state.phase is SessionState.PAUSED:
            state = enter(state, SessionState.LOST, now_s, "the pause is over")
        return (state, ()) if state.is_logging_in else tickle_now(state, now_s)
    state = replace(state, paused=True, paused_until=seen.until)
    return (logins.rest(state, now_s) if state.phase in _RESTS else state), ()


def _window_changed(state: State, seen: WindowChanged, now_s: float) -> Step:
    was_waiting = state.phase is SessionState.MAINTENANCE and state.login_not_before_s <= now_s
    state = replace(state, window=seen.name, window_ends_s=now_s + seen.ends_in_s)
    return tickle_now(state, now_s) if seen.name is None and was_waiting else (state, ())


def _pushed(state: State, event: PushEvent, now_s: float) -> Step:
    hearing = state.hearing
    match event:
        case Heartbeat():
            return replace(state, hearing=hearing.heard(now_s)), ()
        case SessionFrame(authenticated=False):
            hearing = hearing.heard(now_s).alarmed(now_s)
            if not event.reports_session_lost:
                return _look(replace(state, hearing=hearing), now_s)
            state = replace(state, hearing=hearing.denied(now_s))
            return doubts.denied(state, now_s) or _look(state, now_s)
        case SessionFrame():
            state = replace(state, hearing=hearing.heard(now_s))
            return _look(state, now_s) if state.wants_brokerage else (state, ())
        case WaitingForSession():
            if hearing.waiting:
                return state, ()
            return _look(replace(state, hearing=replace(hearing.alarmed(now_s), waiting=True)), now_s)
        case PushClosed():
            if not hearing.listening:
                return state, ()
            return _look(replace(state, hearing=hearing.closed(now_s).alarmed(now_s)), now_s)
