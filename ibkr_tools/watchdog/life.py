"""A session's life: proven, lost, and what its length means for the next one. Pure."""

from dataclasses import replace

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.observations import Action
from ibkr_tools.watchdog.state import LOOK_AGAIN_S, State, Step, enter, forget_session, pick, wait

SHORT_LIFE_S = 20.0
SHORT_LIVES_S = (0.0, 0.0, 10.0, 60.0, 300.0, 900.0)
"""Pauses before the login after a session that lived shorter than SHORT_LIFE_S, by how many did in a row."""


def proven(state: State, accounts: tuple[str, ...], now_s: float, *, found: bool = True) -> Step:
    """The portfolio tier has served what it is for: there is a session; `found`: not the work of our login just now."""
    state = replace(state, accounts=accounts, unknowns=0, silent_since_s=None, dead_s=None, logins=0)
    if state.has_session:
        return state, ()
    phase = SessionState.DEGRADED if state.wants_brokerage else SessionState.UP
    anew = state.up_since_s is None
    state = replace(
        enter(state, phase, now_s, "the portfolio tier answers"),
        up_since_s=now_s if anew else state.up_since_s,
        handshake=state.handshake.begun(now_s, found=found) if anew else state.handshake,
        login_not_before_s=now_s,
        login_hold="",
        hearing=state.hearing if state.hearing.listening and not anew else state.hearing.started(now_s, anew=anew),
    )
    # The first look comes soon: a session that IBKR takes back at once is a known ailment.
    return wait(state, now_s + 2 * LOOK_AGAIN_S, "the next tickle"), (Action.LISTEN,)


def lost(state: State, why: str, now_s: float) -> State:
    """Forgets the session and counts it; one that died young makes the next login wait."""
    short = state.up_since_s is not None and now_s - state.up_since_s < SHORT_LIFE_S
    short_lives = state.short_lives + 1 if short else 0
    pause_s = pick(SHORT_LIVES_S, short_lives - 1) if short else 0.0
    state = replace(state, hearing=state.hearing.judged(now_s))
    state = enter(forget_session(state), SessionState.LOST, now_s, why)
    # A login that came to nothing meanwhile may have a longer wait of its own.
    not_before_s = max(state.login_not_before_s, now_s + pause_s)
    return replace(state, losses=state.losses + 1, logins=0, short_lives=short_lives, login_not_before_s=not_before_s)
