"""Whether a session is lost: an inconclusive check is no loss, and a loss is confirmed before a login. Pure."""

from dataclasses import replace

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import login_policy, session_transitions
from ibkr_tools.watchdog.events import Command, Verdict
from ibkr_tools.watchdog.push_health import CORROBORATION_S
from ibkr_tools.watchdog.state import (
    MANUAL_LOGIN_POLL_S,
    MIN_TICKLE_INTERVAL_S,
    RESULT_TIMEOUT_S,
    State,
    StepResult,
    backoff,
    jitter,
    schedule,
    transition,
)

INCONCLUSIVE_BACKOFF_S = (2.0, 5.0, 10.0, 20.0, 30.0)
WINDOW_BACKOFF_S = (2.0, 5.0, 10.0, 20.0, 40.0, 50.0)
"""In one of IBKR's windows no answer is expected soon; never more than a minute."""

RESTART_AFTER_SILENCE_S = 600.0
"""After this long without any answer at all, the jar's five upstream connections may be the ones that are stuck."""

MIN_RESTART_INTERVAL_S = 3600.0
MAX_UNCHECKED_S = 55.0
"""After this long without a check a session is not called up any more: it needs a tickle each minute."""

VALIDATE_INTERVAL_S = 60.0
"""IBKR takes one validation a minute; so long the result of the last one counts."""

RECHECK_DELAY_S = 3.0
"""Without a validation two tickles at least this far apart, and the brokerage tier's status, have to agree.

The status needs no more than the portfolio tier, and it may be asked at any time, unlike the list of accounts, which
confirms the next session a moment later.
"""


def inconclusive(state: State, why: str, now_s: float, *, silent: bool) -> StepResult:
    """A check says neither alive nor dead: it is repeated, with a growing back-off."""
    in_window = state.window is not None
    waits = WINDOW_BACKOFF_S if in_window else INCONCLUSIVE_BACKOFF_S
    delay_s = jitter(backoff(waits, state.inconclusive_checks), state.phase_since_s, state.inconclusive_checks)
    silent_since_s = now_s if state.silent_since_s is None else state.silent_since_s
    state = replace(
        state, inconclusive_checks=state.inconclusive_checks + 1, silent_since_s=silent_since_s if silent else None
    )
    if state.is_logging_in:
        return state, ()
    commands: tuple[Command, ...] = ()
    if state.inconclusive_checks > 1 and not state.is_locked_out:
        phase = SessionState.MAINTENANCE if in_window else SessionState.UNREACHABLE
        state = transition(state, phase, now_s, f"{state.window}: {why}" if in_window else why)
        is_stuck = silent and now_s - silent_since_s > RESTART_AFTER_SILENCE_S
        # While IBKR is known to be away, its silence says nothing about Java, whose memory holds the session.
        if is_stuck and not in_window and now_s - state.restart_requested_at_s > MIN_RESTART_INTERVAL_S:
            state = replace(state, restart_requested_at_s=now_s)
            commands = (Command.RESTART_GATEWAY,)
    return schedule(state, now_s + delay_s, "looking again"), commands


def rate_limited(state: State, why: str, now_s: float) -> StepResult:
    """The rate limit kept the check from being sent."""
    if state.is_logging_in:
        return state, ()
    checked_at_s = now_s if state.tickle_succeeded_at_s is None else state.tickle_succeeded_at_s
    if state.has_session and now_s - checked_at_s > MAX_UNCHECKED_S:
        state = transition(state, SessionState.UNREACHABLE, now_s, why)
    elif not state.has_session and state.phase not in {SessionState.LOCKED_OUT, SessionState.PAUSED}:
        state = replace(state, why=why)
    return schedule(state, now_s + MIN_TICKLE_INTERVAL_S, "looking again when the pacing allows"), ()


def suspect(state: State, why: str, now_s: float) -> StepResult:
    """A tickle, or the list of accounts while the tickle is fine, says that there is no session."""
    state = replace(state, silent_since_s=None)
    if state.is_logging_in:
        return state, ()
    if state.up_since_s is None:
        # There was no session that we know of; the login checks by itself before it submits anything.
        return confirm_loss(state, why, now_s)
    if now_s - state.validated_at_s < VALIDATE_INTERVAL_S:
        return inconclusive(state, f"{why}, but IBKR's validation says there is one", now_s, silent=False)
    suspect_since_s = now_s if state.suspect_since_s is None else state.suspect_since_s
    state = replace(state, suspect_since_s=suspect_since_s)
    if now_s - state.validation_sent_at_s >= VALIDATE_INTERVAL_S:
        return replace(state, validation_sent_at_s=now_s, due_at_s=now_s + RESULT_TIMEOUT_S), (Command.VALIDATE,)
    if state.push_health.has_reported_loss(now_s):
        return confirm_by_push(state, why, now_s)
    if now_s - suspect_since_s >= RECHECK_DELAY_S:
        return replace(state, due_at_s=now_s + RESULT_TIMEOUT_S), (Command.CHECK_AUTH_STATUS,)
    return schedule(state, suspect_since_s + RECHECK_DELAY_S, "looking again"), ()


def push_reported_loss(state: State, now_s: float) -> StepResult | None:
    """The push reports that the session is over; None where that is a reason for a tickle, and no more.

    Two reports of IBKR's that agree, the push and a tickle at the same moment, are enough where no validation may be
    asked. The push alone never is.
    """
    is_near = state.suspect_since_s is not None and now_s - state.suspect_since_s <= CORROBORATION_S
    if (
        not is_near
        or state.is_logging_in
        or state.inconclusive_checks
        or not state.push_health.has_reported_loss(now_s)
    ):
        return None
    return confirm_by_push(state, "a tickle found no session", now_s)


def confirm_by_push(state: State, why: str, now_s: float) -> StepResult:
    """A tickle and the push say, at the same time, that there is no session."""
    return confirm_loss(state, f"{why}, and so says the push", now_s)


def confirm_loss(state: State, why: str, now_s: float) -> StepResult:
    """IBKR has confirmed that there is no session: the only reason for a login, besides a new Java."""
    state = replace(state, inconclusive_checks=0, silent_since_s=None)
    if state.is_logging_in:
        return state, ()
    if state.is_locked_out:
        return schedule(state, now_s + MANUAL_LOGIN_POLL_S, state.next), ()
    if state.up_since_s is not None:
        state = session_transitions.session_lost(state, why, now_s)
    if now_s < state.fresh_login_until_s:
        # The fresh login is under way: it has ended the old session, and reports.
        state = schedule(state, state.fresh_login_until_s, "the login reports")
        state = transition(state, SessionState.LOGGING_IN, now_s, "a new login replaces the session")
        return replace(state, fresh_login_until_s=now_s), (Command.STOP_LISTENING,)
    return login_policy.request_login(state, why, now_s)


def on_validation_result(state: State, verdict: Verdict, why: str, now_s: float) -> StepResult:
    """The result of `/sso/validate`, or of the brokerage tier's status in its place."""
    if state.is_logging_in or state.is_locked_out:
        return state, ()
    if verdict is Verdict.DEAD:
        return confirm_loss(state, why, now_s)
    if verdict is Verdict.ALIVE:
        state = replace(state, validated_at_s=now_s, suspect_since_s=None, silent_since_s=None)
        return schedule(state, now_s + MIN_TICKLE_INTERVAL_S, "looking again"), ()
    if verdict is Verdict.RATE_LIMITED:
        if state.suspect_since_s is not None and state.push_health.has_reported_loss(now_s):
            return confirm_by_push(state, "a tickle found no session", now_s)
        suspect_since_s = now_s if state.suspect_since_s is None else state.suspect_since_s
        return schedule(
            replace(state, suspect_since_s=suspect_since_s),
            max(suspect_since_s + RECHECK_DELAY_S, now_s),
            "looking again",
        ), ()
    return inconclusive(state, why, now_s, silent=verdict is Verdict.SILENT)
