"""When a login is requested, and what its report means. The budget itself is the login log's. Pure."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from ibkr_tools.status import LoginSection, SessionState
from ibkr_tools.watchdog.events import LocalCommand, LoginReported
from ibkr_tools.watchdog.state import (
    MANUAL_LOGIN_POLL_S,
    MIN_TICKLE_INTERVAL_S,
    State,
    StepResult,
    backoff,
    jitter,
    schedule_next,
    session_confirmed,
    set_due,
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

_LOGIN_REPORTS = "the login reports"
_WATCHING_FOR_LOGIN = "looking whether a person has logged in"
_CHECK_CREDENTIALS = "Check user name and password, then: ibkr-tools unlock"


def request_login(state: State, why: str, now_s: float) -> StepResult:
    """Requests a login, unless a pause, a back-off or the brokerage session of another program forbids it now."""
    if state.pause is not None:
        return stay_paused(state, now_s), (LocalCommand.STOP_LISTENING,)
    login_backoff = state.login_backoff
    not_before_s = max(login_backoff.not_before_s, login_backoff.requested_at_s + MIN_LOGIN_INTERVAL_S)
    if now_s < not_before_s:
        if state.phase not in {SessionState.BACKING_OFF, SessionState.MAINTENANCE}:
            state = transition(state, SessionState.BACKING_OFF, now_s, login_backoff.blocked_reason or why, state.todo)
        state = replace(state, login_backoff=replace(login_backoff, not_before_s=not_before_s))
        return schedule_login(state, now_s), (LocalCommand.STOP_LISTENING,)
    login_backoff = replace(
        login_backoff,
        attempts=login_backoff.attempts + 1,
        requested_at_s=now_s,
        # However often the gateway comes and goes meanwhile: no second request before this one had its time.
        not_before_s=now_s + backoff(LOGIN_BACKOFF_S, login_backoff.attempts),
        blocked_reason="",
    )
    state = replace(transition(state, SessionState.LOGGING_IN, now_s, why), login_backoff=login_backoff)
    state = schedule_next(state, now_s + LOGIN_TIMEOUT_S, _LOGIN_REPORTS)
    return state, (LocalCommand.STOP_LISTENING, LocalCommand.REQUEST_LOGIN)


def on_session_lost(state: State, why: str, now_s: float) -> StepResult:
    """Requests a login, unless one runs that was requested before the loss."""
    fresh_login_until_s = state.login_backoff.fresh_login_until_s
    if now_s >= fresh_login_until_s:
        return request_login(state, why, now_s)
    # The fresh login has ended the old session, and reports.
    state = schedule_next(state, fresh_login_until_s, _LOGIN_REPORTS)
    state = transition(state, SessionState.LOGGING_IN, now_s, "a new login replaces the session")
    return _fresh_login_until(state, now_s), (LocalCommand.STOP_LISTENING,)


def fresh_login_requested(state: State, now_s: float) -> State:
    """Returns the state while a login runs although there is a session."""
    login_backoff = replace(state.login_backoff, requested_at_s=now_s)
    return _fresh_login_until(replace(state, login_backoff=login_backoff), now_s + LOGIN_TIMEOUT_S)


def _fresh_login_until(state: State, until_s: float) -> State:
    return replace(state, login_backoff=replace(state.login_backoff, fresh_login_until_s=until_s))


def stay_paused(state: State, now_s: float) -> State:
    """Requests no login during a pause; a session that a person opens is found all the same."""
    if state.is_locked_out:
        return lock_out(state, now_s, state.why, state.todo or _CHECK_CREDENTIALS)
    if state.up_since_s is not None:
        # A session was confirmed, and IBKR has not said that it is over: it is looked for, as without a pause.
        if state.phase is not SessionState.MAINTENANCE:
            state = transition(state, SessionState.UNREACHABLE, now_s, state.why)
        return schedule_next(state, min(state.schedule.due_at_s, now_s + MANUAL_LOGIN_POLL_S), "looking again")
    until = None if state.pause is None else state.pause.until
    state = transition(state, SessionState.PAUSED, now_s, _pause_reason(until))
    return schedule_next(state, now_s + MANUAL_LOGIN_POLL_S, _WATCHING_FOR_LOGIN)


def _pause_reason(until: datetime | None) -> str:
    ends = "`ibkr-tools resume`" if until is None else f"{until:%Y-%m-%d %H:%M} UTC or `ibkr-tools resume`"
    return f"no session, and nothing logs in until {ends}"


def lock_out(state: State, now_s: float, why: str, todo: str) -> State:
    """Requests no login until a person has acted."""
    state = transition(state, SessionState.LOCKED_OUT, now_s, why, todo)
    return schedule_next(state, now_s + MANUAL_LOGIN_POLL_S, _WATCHING_FOR_LOGIN)


def back_off(state: State, now_s: float, why: str, wait_s: float, todo: str | None = None) -> State:
    """Schedules the next login after `wait_s` seconds."""
    login_backoff = replace(state.login_backoff, not_before_s=now_s + wait_s, blocked_reason="")
    state = replace(state, login_backoff=login_backoff)
    if state.pause is not None:
        return stay_paused(state, now_s)
    return schedule_login(transition(state, SessionState.BACKING_OFF, now_s, why, todo), now_s)


def schedule_login(state: State, now_s: float) -> State:
    """Schedules the next login, and checks now and then whether a person has logged in before."""
    not_before_s = state.login_backoff.not_before_s
    check_at_s = min(not_before_s, now_s + MANUAL_LOGIN_POLL_S)
    return schedule_next(state, max(check_at_s, now_s), "another login", not_before_s)


def abandon_login(state: State, now_s: float, why: str) -> State:
    """Gives up a login whose result is unknown."""
    return back_off(state, now_s, why, _login_backoff_s(state))


def _login_backoff_s(state: State) -> float:
    return backoff(LOGIN_BACKOFF_S, state.login_backoff.attempts - 1)


def on_login_report(state: State, report: LoginReported, now_s: float) -> StepResult:
    """Returns what a login's report means."""
    section = report.section
    if state.has_session:
        return _report_during_session(state, report, now_s)
    match section.state:
        case "refused" | "action-required" | "locked-out":
            return lock_out(state, now_s, section.why, section.todo or _CHECK_CREDENTIALS), ()
        case _ if state.phase is SessionState.GATEWAY_DOWN:
            return state, ()
        case "running":
            state = transition(state, SessionState.LOGGING_IN, now_s, state.why)
            limit_s = max(LOGIN_TIMEOUT_S, section.fresh_for_s or 0.0)
            return schedule_next(state, now_s + limit_s, _LOGIN_REPORTS), ()
        case "succeeded":
            # The login has confirmed it by /portfolio/accounts a moment ago; another call has to wait 5 s.
            losses = state.losses + (state.up_since_s is not None)
            state = replace(state, losses=losses, up_since_s=None)
            return session_confirmed(state, section.accounts, now_s, preexisting=False)
        case "unlocked":
            state = replace(state, login_backoff=replace(state.login_backoff, attempts=0))
            unlocked = transition(state, SessionState.LOST, now_s, section.why)
            # A person cannot clear IBKR's own lock.
            return tickle_now(back_off(unlocked, now_s, section.why, max(0.0, report.retry_in_s or 0.0)), now_s)
        case "not-needed":
            return _login_not_needed(state, section.why, now_s), ()
        case "maintenance":
            return _login_met_maintenance(state, section.why, report.retry_in_s or 0.0, now_s), ()
        case "failed" | "broken":
            return _login_failed(state, section, report.retry_in_s or 0.0, now_s), ()
        case _:
            assert_never(section.state)


def _login_not_needed(state: State, why: str, now_s: float) -> State:
    attempts = state.login_backoff.attempts
    wait_s = MIN_TICKLE_INTERVAL_S if attempts <= 1 else backoff(LOGIN_BACKOFF_S, attempts - 2)
    state = back_off(state, now_s, why, wait_s)
    # The login says that there is a session: the next tickle is soon, even in a pause.
    return set_due(state, min(state.schedule.due_at_s, now_s + wait_s))


def _login_met_maintenance(state: State, why: str, retry_in_s: float, now_s: float) -> State:
    state = back_off(state, now_s, why, max(MAINTENANCE_RETRY_S, retry_in_s))
    if state.phase is not SessionState.BACKING_OFF:
        return state
    return transition(state, SessionState.MAINTENANCE, now_s, why)


def _login_failed(state: State, section: LoginSection, retry_in_s: float, now_s: float) -> State:
    # A login that failed because of a pause is no reason to wait when the pause is over.
    retry_s = 0.0 if state.pause is not None else _login_backoff_s(state)
    why = section.why
    if state.window is not None and now_s < state.window.ends_at_s:
        window_retry_s = jitter(WINDOW_LOGIN_RETRY_S, state.phase_since_s, state.login_backoff.attempts)
        retry_s = max(retry_s, min(window_retry_s, state.window.ends_at_s - now_s))
        why = f"{why} (during {state.window.name})"
    return back_off(state, now_s, why, max(retry_s, retry_in_s), section.todo)


def _report_during_session(state: State, report: LoginReported, now_s: float) -> StepResult:
    """Handles the report of a fresh login, which was requested although there is a session."""
    if now_s >= state.login_backoff.fresh_login_until_s:
        return state, ()
    match report.section.state:
        case "running":
            return _fresh_login_until(state, now_s + max(LOGIN_TIMEOUT_S, report.section.fresh_for_s or 0.0)), ()
        case "succeeded":
            state = replace(
                _fresh_login_until(state, now_s),
                accounts=report.section.accounts,
                brokerage=state.brokerage.fresh_login_succeeded(now_s),
                push_health=state.push_health.started(now_s, is_new_session=True),
            )
            return state, (LocalCommand.STOP_LISTENING, LocalCommand.LISTEN)
        case (
            "failed"
            | "maintenance"
            | "refused"
            | "action-required"
            | "locked-out"
            | "not-needed"
            | "broken"
            | "unlocked"
        ):
            return _fresh_login_until(state, now_s), ()
        case _:
            assert_never(report.section.state)
