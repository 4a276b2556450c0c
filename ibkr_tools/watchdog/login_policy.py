"""When a login is requested, and what its report means. The budget itself is the login log's. Pure."""

from dataclasses import replace
from datetime import datetime

from ibkr_tools.status import LoginSection, SessionState
from ibkr_tools.watchdog import session_transitions
from ibkr_tools.watchdog.events import Command, LoginReported
from ibkr_tools.watchdog.state import (
    MANUAL_LOGIN_POLL_S,
    MIN_TICKLE_INTERVAL_S,
    State,
    StepResult,
    backoff,
    jitter,
    schedule,
    tickle_now,
    transition,
)

LOGIN_TIMEOUT_S = 180.0
"""A login that has reported nothing for this long is given up, unless it announced a longer limit."""

LOGIN_BACKOFF_S = (10.0, 60.0, 300.0, 900.0)
MIN_LOGIN_INTERVAL_S = 5.0
"""Requests are never closer than this, whatever happens."""

MAINTENANCE_RETRY_S = 900.0
"""IBKR's maintenance takes minutes to hours, and a login during it may count as a failed one."""

WINDOW_LOGIN_RETRY_S = 750.0
"""Between logins inside one of IBKR's windows, give or take a fifth: 10 to 15 minutes."""

_WATCHING_FOR_LOGIN = "looking whether a person has logged in"
_CHECK_CREDENTIALS = "Check user name and password, then: ibkr-tools unlock"


def request_login(state: State, why: str, now_s: float) -> StepResult:
    """Requests a login, unless a pause, a back-off or the brokerage session of another program forbids it now."""
    if state.paused:
        return stay_paused(state, now_s), (Command.STOP_LISTENING,)
    not_before_s = max(state.login_not_before_s, state.login_requested_at_s + MIN_LOGIN_INTERVAL_S)
    if now_s < not_before_s:
        if state.phase not in {SessionState.BACKING_OFF, SessionState.MAINTENANCE}:
            state = transition(state, SessionState.BACKING_OFF, now_s, state.login_blocked_reason or why, state.todo)
        return schedule_login(replace(state, login_not_before_s=not_before_s), now_s), (Command.STOP_LISTENING,)
    state = replace(
        transition(state, SessionState.LOGGING_IN, now_s, why),
        login_attempts=state.login_attempts + 1,
        login_requested_at_s=now_s,
        # However often the gateway comes and goes meanwhile: no second request before this one had its time.
        login_not_before_s=now_s + backoff(LOGIN_BACKOFF_S, state.login_attempts),
        login_blocked_reason="",
    )
    return schedule(state, now_s + LOGIN_TIMEOUT_S, "the login reports"), (
        Command.STOP_LISTENING,
        Command.REQUEST_LOGIN,
    )


def stay_paused(state: State, now_s: float) -> State:
    """Requests no login during a pause; a session that a person opens is found all the same."""
    if state.is_locked_out:
        return lock_out(state, now_s, state.why, state.todo or _CHECK_CREDENTIALS)
    if state.up_since_s is not None:
        # No check reached IBKR, and then a login failed: the session counts as lost.
        state = session_transitions.session_lost(state, state.why, now_s)
    state = transition(state, SessionState.PAUSED, now_s, _pause_reason(state.paused_until))
    return schedule(state, now_s + MANUAL_LOGIN_POLL_S, _WATCHING_FOR_LOGIN)


def _pause_reason(until: datetime | None) -> str:
    ends = "`ibkr-tools resume`" if until is None else f"{until:%Y-%m-%d %H:%M} UTC or `ibkr-tools resume`"
    return f"no session, and nothing logs in until {ends}"


def lock_out(state: State, now_s: float, why: str, todo: str) -> State:
    """Requests no login until a person has acted."""
    state = transition(state, SessionState.LOCKED_OUT, now_s, why, todo)
    return schedule(state, now_s + MANUAL_LOGIN_POLL_S, _WATCHING_FOR_LOGIN)


def back_off(state: State, now_s: float, why: str, wait_s: float, todo: str | None = None) -> State:
    """Schedules the next login after `wait_s` seconds."""
    state = replace(state, login_not_before_s=now_s + wait_s, login_blocked_reason="")
    if state.paused:
        return stay_paused(state, now_s)
    return schedule_login(transition(state, SessionState.BACKING_OFF, now_s, why, todo), now_s)


def schedule_login(state: State, now_s: float) -> State:
    """Schedules the next login, and checks now and then whether a person has logged in before."""
    check_at_s = min(state.login_not_before_s, now_s + MANUAL_LOGIN_POLL_S)
    return schedule(state, max(check_at_s, now_s), "another login", state.login_not_before_s)


def abandon_login(state: State, now_s: float, why: str) -> State:
    """Gives up a login whose result is unknown."""
    return back_off(state, now_s, why, backoff(LOGIN_BACKOFF_S, state.login_attempts - 1))


def on_login_report(state: State, report: LoginReported, now_s: float) -> StepResult:
    """Returns what a login's report means."""
    section = report.section
    if state.has_session:
        return _report_during_session(state, report, now_s)
    if section.state in {"refused", "action-required", "locked-out"}:
        return lock_out(state, now_s, section.why, section.todo or _CHECK_CREDENTIALS), ()
    if state.phase is SessionState.GATEWAY_DOWN:
        return state, ()
    match section.state:
        case "running":
            state = transition(state, SessionState.LOGGING_IN, now_s, state.why)
            limit_s = max(LOGIN_TIMEOUT_S, section.fresh_for_s or 0.0)
            return schedule(state, now_s + limit_s, "the login reports"), ()
        case "succeeded":
            # The login has confirmed it by /portfolio/accounts a moment ago; another call has to wait 5 s.
            losses = state.losses + (state.up_since_s is not None)
            return session_transitions.session_confirmed(
                replace(state, losses=losses, up_since_s=None), section.accounts, now_s, preexisting=False
            )
        case "unlocked":
            unlocked = transition(replace(state, login_attempts=0), SessionState.LOST, now_s, section.why)
            # A person cannot clear IBKR's own lock.
            return tickle_now(back_off(unlocked, now_s, section.why, max(0.0, report.retry_in_s or 0.0)), now_s)
        case _:
            return _login_without_session(state, report, now_s), ()


def _login_without_session(state: State, report: LoginReported, now_s: float) -> State:
    section = report.section
    match section.state:
        case "not-needed":
            wait_s = (
                MIN_TICKLE_INTERVAL_S
                if state.login_attempts <= 1
                else backoff(LOGIN_BACKOFF_S, state.login_attempts - 2)
            )
            state = back_off(state, now_s, section.why, wait_s)
            # The login says that there is a session: the next tickle is soon, even in a pause.
            return replace(state, due_at_s=min(state.due_at_s, now_s + wait_s))
        case "maintenance":
            wait_s = max(MAINTENANCE_RETRY_S, report.retry_in_s or 0.0)
            state = back_off(state, now_s, section.why, wait_s)
            if state.phase is SessionState.BACKING_OFF:
                state = transition(state, SessionState.MAINTENANCE, now_s, section.why)
            return state
        case _:
            return _login_failed(state, section, report.retry_in_s or 0.0, now_s)


def _login_failed(state: State, section: LoginSection, retry_in_s: float, now_s: float) -> State:
    # A login that failed because of a pause is no reason to wait when the pause is over.
    retry_s = 0.0 if state.paused else backoff(LOGIN_BACKOFF_S, state.login_attempts - 1)
    why = section.why
    if state.window is not None and now_s < state.window_ends_at_s:
        window_retry_s = jitter(WINDOW_LOGIN_RETRY_S, state.phase_since_s, state.login_attempts)
        retry_s = max(retry_s, min(window_retry_s, state.window_ends_at_s - now_s))
        why = f"{why} (during {state.window})"
    return back_off(state, now_s, why, max(retry_s, retry_in_s), section.todo)


def _report_during_session(state: State, report: LoginReported, now_s: float) -> StepResult:
    """Handles the report of a fresh login, which was requested although there is a session."""
    if now_s >= state.fresh_login_until_s:
        return state, ()
    match report.section.state:
        case "running":
            return replace(
                state, fresh_login_until_s=now_s + max(LOGIN_TIMEOUT_S, report.section.fresh_for_s or 0.0)
            ), ()
        case "succeeded":
            state = replace(
                state,
                fresh_login_until_s=now_s,
                accounts=report.section.accounts,
                brokerage=state.brokerage.fresh_login_succeeded(now_s),
                push_health=state.push_health.started(now_s, is_new_session=True),
            )
            return state, (Command.STOP_LISTENING, Command.LISTEN)
        case _:
            return replace(state, fresh_login_until_s=now_s), ()
