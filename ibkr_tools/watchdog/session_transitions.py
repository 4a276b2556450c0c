"""The transitions of a session: confirmed, lost, and the back-off after sessions that were short. Pure."""

from dataclasses import replace

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.events import Command
from ibkr_tools.watchdog.state import (
    MIN_TICKLE_INTERVAL_S,
    State,
    StepResult,
    backoff,
    forget_session,
    schedule,
    transition,
)

SHORT_SESSION_S = 20.0
SHORT_SESSION_BACKOFF_S = (0.0, 0.0, 10.0, 60.0, 300.0, 900.0)
"""Waits before the login after sessions shorter than SHORT_SESSION_S, by how many there were in a row."""


def session_confirmed(state: State, accounts: tuple[str, ...], now_s: float, *, preexisting: bool = True) -> StepResult:
    """The list of accounts has come: there is a session; `preexisting`: no login of ours has just opened it."""
    state = replace(
        state, accounts=accounts, inconclusive_checks=0, silent_since_s=None, suspect_since_s=None, login_attempts=0
    )
    if state.has_session:
        return state, ()
    phase = SessionState.DEGRADED if state.wants_brokerage else SessionState.UP
    is_new_session = state.up_since_s is None
    state = replace(
        transition(state, phase, now_s, "the portfolio tier answers"),
        up_since_s=now_s if is_new_session else state.up_since_s,
        brokerage=state.brokerage.session_started(now_s, preexisting=preexisting)
        if is_new_session
        else state.brokerage,
        login_not_before_s=now_s,
        login_blocked_reason="",
        push_health=state.push_health
        if state.push_health.listening and not is_new_session
        else state.push_health.started(now_s, is_new_session=is_new_session),
    )
    # The first tickle comes soon: IBKR is known to end some sessions at once.
    return schedule(state, now_s + 2 * MIN_TICKLE_INTERVAL_S, "the next tickle"), (Command.LISTEN,)


def session_lost(state: State, why: str, now_s: float) -> State:
    """Forgets the session and counts its loss; a short session makes the next login wait."""
    is_short = state.up_since_s is not None and now_s - state.up_since_s < SHORT_SESSION_S
    short_sessions = state.short_sessions + 1 if is_short else 0
    backoff_s = backoff(SHORT_SESSION_BACKOFF_S, short_sessions - 1) if is_short else 0.0
    state = replace(state, push_health=state.push_health.session_lost(now_s))
    state = transition(forget_session(state), SessionState.LOST, now_s, why)
    # A login that came to nothing meanwhile may have a longer wait of its own.
    not_before_s = max(state.login_not_before_s, now_s + backoff_s)
    return replace(
        state, losses=state.losses + 1, login_attempts=0, short_sessions=short_sessions, login_not_before_s=not_before_s
    )
