"""Logins: when one is asked for, and what its report means. The budget itself is the login log's. Pure."""

from dataclasses import replace
from datetime import datetime

from ibkr_tools.status import LoginSection, SessionState
from ibkr_tools.watchdog import life
from ibkr_tools.watchdog.observations import Action, LoginReported
from ibkr_tools.watchdog.state import (
    LOOK_AGAIN_S,
    PERSON_LOOKS_S,
    State,
    Step,
    enter,
    pick,
    spread,
    tickle_now,
    wait,
)

LOGIN_PATIENCE_S = 180.0
"""A login that has reported nothing for this long is taken for dead, unless it announced a longer limit."""

LOGIN_RETRY_S = (10.0, 60.0, 300.0, 900.0)
LOGINS_APART_S = 5.0
"""Whatever happens: requests are never closer than this."""

MAINTENANCE_S = 900.0
"""IBKR's maintenance takes minutes to hours, and a login during it may count as a failed one."""

WINDOW_RETRY_S = 750.0
"""Between logins inside one of IBKR's windows, give or take a fifth: 10 to 15 minutes."""

_LOOKING = "looking whether a person has logged in"
_CHECK = "Check user name and password, then: ibkr-tools unlock"


def request(state: State, why: str, now_s: float) -> Step:
    """Asks for a login, if nothing speaks against one now."""
    if state.paused:
        return rest(state, now_s), (Action.STOP_LISTENING,)
    not_before_s = max(state.login_not_before_s, state.requested_s + LOGINS_APART_S)
    if now_s < not_before_s:
        if state.phase not in {SessionState.BACKING_OFF, SessionState.MAINTENANCE}:
            state = enter(state, SessionState.BACKING_OFF, now_s, state.login_hold or why, state.todo)
        return until_login(replace(state, login_not_before_s=not_before_s), now_s), (Action.STOP_LISTENING,)
    state = replace(
        enter(state, SessionState.LOGGING_IN, now_s, why),
        logins=state.logins + 1,
        requested_s=now_s,
        # However often the gateway comes and goes meanwhile: no second request before this one had its time.
        login_not_before_s=now_s + pick(LOGIN_RETRY_S, state.logins),
        login_hold="",
    )
    return wait(state, now_s + LOGIN_PATIENCE_S, "the login reports"), (Action.STOP_LISTENING, Action.REQUEST_LOGIN)


def rest(state: State, now_s: float) -> State:
    """Does nothing, as a person asked; should they log in by themselves, that is seen."""
    if state.is_locked_out:
        return locked(state, now_s, state.why, state.todo or _CHECK)
    if state.up_since_s is not None:
        # IBKR was silent about it, and then a login came to nothing: it is not called a session any more.
        state = life.lost(state, state.why, now_s)
    state = enter(state, SessionState.PAUSED, now_s, _paused(state.paused_until))
    return wait(state, now_s + PERSON_LOOKS_S, _LOOKING)


def _paused(until: datetime | None) -> str:
    ends = "`ibkr-tools resume`" if until is None else f"{until:%Y-%m-%d %H:%M} UTC or `ibkr-tools resume`"
    return f"no session, and nothing logs in until {ends}"


def locked(state: State, now_s: float, why: str, todo: str) -> State:
    """Waits for a person."""
    state = enter(state, SessionState.LOCKED_OUT, now_s, why, todo)
    return wait(state, now_s + PERSON_LOOKS_S, _LOOKING)


def back_off(state: State, now_s: float, why: str, wait_s: float, todo: str | None = None) -> State:
    """Waits for the next login."""
    state = replace(state, login_not_before_s=now_s + wait_s, login_hold="")
    if state.paused:
        return rest(state, now_s)
    return until_login(enter(state, SessionState.BACKING_OFF, now_s, why, todo), now_s)


def until_login(state: State, now_s: float) -> State:
    """Waits for the next login, and looks now and then whether a person was faster."""
    look_s = min(state.login_not_before_s, now_s + PERSON_LOOKS_S)
    return wait(state, max(look_s, now_s), "another login", state.login_not_before_s)


def given_up(state: State, now_s: float, why: str) -> State:
    """Takes a login of which nobody knows how it ended for dead."""
    return back_off(state, now_s, why, pick(LOGIN_RETRY_S, state.logins - 1))


def reported(state: State, seen: LoginReported, now_s: float) -> Step:
    """Returns what a login's report means."""
    section = seen.section
    if state.has_session:
        return _beside_a_session(state, seen, now_s)
    if section.state in {"refused", "locked-out"}:
        return locked(state, now_s, section.why, section.todo or _CHECK), ()
    if state.phase is SessionState.GATEWAY_DOWN:
        return state, ()
    match section.state:
        case "running":
            state = enter(state, SessionState.LOGGING_IN, now_s, state.why)
            limit_s = max(LOGIN_PATIENCE_S, section.fresh_for_s or 0.0)
            return wait(state, now_s + limit_s, "the login reports"), ()
        case "succeeded":
            # The login has proven it by /portfolio/accounts a moment ago; asking again has to wait 5 s.
            losses = state.losses + (state.up_since_s is not None)
            return life.proven(replace(state, losses=losses, up_since_s=None), section.accounts, now_s, found=False)
        case "unlocked":
            unlocked = enter(replace(state, logins=0), SessionState.LOST, now_s, section.why)
            # IBKR's own lock is nothing that a person could clear.
            return tickle_now(back_off(unlocked, now_s, section.why, max(0.0, seen.retry_in_s or 0.0)), now_s)
        case _:
            return _came_to_nothing(state, seen, now_s), ()


def _came_to_nothing(state: State, seen: LoginReported, now_s: float) -> State:
    section = seen.section
    match section.state:
        case "not-needed":
            wait_s = LOOK_AGAIN_S if state.logins <= 1 else pick(LOGIN_RETRY_S, state.logins - 2)
            state = back_off(state, now_s, section.why, wait_s)
            # There is a session, it says: that is looked at soon, though a pause would have time.
            return replace(state, due_s=min(state.due_s, now_s + wait_s))
        case "maintenance":
            wait_s = max(MAINTENANCE_S, seen.retry_in_s or 0.0)
            state = back_off(state, now_s, section.why, wait_s)
            if state.phase is SessionState.BACKING_OFF:
                state = enter(state, SessionState.MAINTENANCE, now_s, section.why)
            return state
        case _:
            return _failed(state, section, seen.retry_in_s or 0.0, now_s)


def _failed(state: State, section: LoginSection, retry_in_s: float, now_s: float) -> State:
    # One that met a pause is no reason to wait when the pause is over.
    own_s = 0.0 if state.paused else pick(LOGIN_RETRY_S, state.logins - 1)
    why = section.why
    if state.window is not None and now_s < state.window_ends_s:
        calm_s = spread(WINDOW_RETRY_S, state.since_s, state.logins)
        own_s = max(own_s, min(calm_s, state.window_ends_s - now_s))
        why = f"{why} (during {state.window})"
    return back_off(state, now_s, why, max(own_s, retry_in_s), section.todo)


def _beside_a_session(state: State, seen: LoginReported, now_s: float) -> Step:
    """A session is there: of interest is only the login that was wanted all the same."""
    if now_s >= state.fresh_until_s:
        return state, ()
    match seen.section.state:
        case "running":
            return replace(state, fresh_until_s=now_s + max(LOGIN_PATIENCE_S, seen.section.fresh_for_s or 0.0)), ()
        case "succeeded":
            state = replace(
                state,
                fresh_until_s=now_s,
                accounts=seen.section.accounts,
                handshake=state.handshake.renewed(now_s),
                hearing=state.hearing.started(now_s, anew=True),
            )
            return state, (Action.STOP_LISTENING, Action.LISTEN)
        case _:
            return replace(state, fresh_until_s=now_s), ()
