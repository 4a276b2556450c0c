"""What the gateway's answers say of the session, and when it counts as lost. Pure.

An inconclusive check is no loss, and the loss of a known session is confirmed before a login: a tickle that finds none
has to be borne out by a validation, by the status of the brokerage tier, or by the push.
"""

from dataclasses import replace
from typing import assert_never

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import brokerage_session, login_policy
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    Command,
    GatewayRequest,
    GatewayResult,
    LocalCommand,
    TickleResult,
    ValidationResult,
    Verdict,
)
from ibkr_tools.watchdog.push_health import CORROBORATION_S
from ibkr_tools.watchdog.state import (
    MANUAL_LOGIN_POLL_S,
    MIN_TICKLE_INTERVAL_S,
    RESULT_TIMEOUT_S,
    State,
    StepResult,
    backoff,
    forget_session,
    jitter,
    schedule_next,
    session_confirmed,
    session_lost,
    set_due,
    tickle_now,
    transition,
)

GATEWAY_BACKOFF_S = (0.2, 0.2, 0.3, 0.5, 1.0, 2.0)
"""A refused connection costs nothing, and a gateway that starts is there within a second or two."""

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


def on_gateway_result(state: State, event: GatewayResult, now_s: float) -> StepResult:
    """Returns what the result of a request to the gateway means."""
    match event:
        case TickleResult():
            return _on_tickle_result(state, event, now_s)
        case ValidationResult():
            return _on_validation_result(state, event, now_s)
        case AccountsResult():
            return _on_accounts_result(state, event, now_s)
        case BrokerageResult():
            return _on_brokerage_result(state, event, now_s)
        case _:
            assert_never(event)


def _on_tickle_result(state: State, event: TickleResult, now_s: float) -> StepResult:
    if event.verdict is Verdict.GATEWAY_DOWN:
        # The tickle has not left this computer: IBKR has counted nothing.
        schedule = replace(state.schedule, sent_at_s=state.schedule.sent_at_s - RESULT_TIMEOUT_S)
        return gateway_down(replace(state, schedule=schedule), now_s)
    state = replace(state, gateway_failures=0)
    match event.verdict:
        case Verdict.ALIVE:
            return _tickle_succeeded(state, event, now_s)
        case Verdict.DEAD:
            return _suspect(state, event.why, now_s)
        case Verdict.RATE_LIMITED:
            return _rate_limited(state, event.why, now_s)
        case Verdict.UNKNOWN | Verdict.SILENT:
            return _inconclusive(state, event.why, now_s, is_silent=event.verdict is Verdict.SILENT)
        case _:
            assert_never(event.verdict)


def _on_accounts_result(state: State, event: AccountsResult, now_s: float) -> StepResult:
    match event.verdict:
        case Verdict.GATEWAY_DOWN:
            return gateway_down(state, now_s)
        case Verdict.ALIVE:
            return session_confirmed(state, event.accounts, now_s)
        case Verdict.DEAD:
            return _suspect(state, event.why, now_s)
        case Verdict.RATE_LIMITED:
            return _rate_limited(state, event.why, now_s)
        case Verdict.UNKNOWN | Verdict.SILENT:
            return _inconclusive(state, event.why, now_s, is_silent=event.verdict is Verdict.SILENT)
        case _:
            assert_never(event.verdict)


def _on_validation_result(state: State, event: ValidationResult, now_s: float) -> StepResult:
    """Handles the result of `/sso/validate`, or of the brokerage tier's status in its place."""
    if event.verdict is Verdict.GATEWAY_DOWN:
        return gateway_down(state, now_s)
    if state.is_logging_in or state.is_locked_out:
        return state, ()
    match event.verdict:
        case Verdict.ALIVE:
            suspicion = replace(state.suspicion, validated_at_s=now_s, since_s=None, silent_since_s=None)
            state = replace(state, suspicion=suspicion)
            return schedule_next(state, now_s + MIN_TICKLE_INTERVAL_S, "looking again"), ()
        case Verdict.DEAD:
            return _confirm_loss(state, event.why, now_s)
        case Verdict.RATE_LIMITED:
            return _validation_rate_limited(state, now_s)
        case Verdict.UNKNOWN | Verdict.SILENT:
            return _inconclusive(state, event.why, now_s, is_silent=event.verdict is Verdict.SILENT)
        case _:
            assert_never(event.verdict)


def _on_brokerage_result(state: State, event: BrokerageResult, now_s: float) -> StepResult:
    if event.verdict is Verdict.DEAD:
        return check_session(state, now_s)
    last_error = "" if event.verdict is Verdict.ALIVE else event.why
    return replace(state, brokerage=replace(state.brokerage, last_error=last_error)), ()


def check_session(state: State, now_s: float) -> StepResult:
    """Sends a tickle because something hints that the session may be lost."""
    return tickle_now(state, now_s) if state.has_session else (state, ())


def gateway_down(state: State, now_s: float) -> StepResult:
    """The gateway does not answer: a session, which is in Java's memory, is forgotten."""
    if state.is_locked_out:
        return schedule_next(state, now_s + MANUAL_LOGIN_POLL_S, state.schedule.next), ()
    losses = state.losses + (state.up_since_s is not None)
    state = transition(forget_session(state), SessionState.GATEWAY_DOWN, now_s, "the gateway does not answer")
    delay_s = backoff(GATEWAY_BACKOFF_S, state.gateway_failures)
    state = replace(
        state, losses=losses, suspicion=state.suspicion.conclusive(), gateway_failures=state.gateway_failures + 1
    )
    return schedule_next(state, now_s + delay_s, "looking again"), (LocalCommand.STOP_LISTENING,)


def push_reported_loss(state: State, now_s: float) -> StepResult | None:
    """The push reports that the session is over; None where that is a reason for a tickle, and no more.

    Two reports of IBKR's that agree, the push and a tickle at the same moment, are enough where no validation may be
    asked. The push alone never is.
    """
    suspicion = state.suspicion
    is_near = suspicion.since_s is not None and now_s - suspicion.since_s <= CORROBORATION_S
    if (
        not is_near
        or state.is_logging_in
        or suspicion.inconclusive_checks
        or not state.push_health.has_reported_loss(now_s)
    ):
        return None
    return _confirm_by_push(state, "a tickle found no session", now_s)


def _confirm_loss(state: State, why: str, now_s: float) -> StepResult:
    """IBKR has confirmed that there is no session: a reason for a login, as a new Java is."""
    state = replace(state, suspicion=state.suspicion.conclusive())
    if state.is_logging_in:
        return state, ()
    if state.is_locked_out:
        return schedule_next(state, now_s + MANUAL_LOGIN_POLL_S, state.schedule.next), ()
    if state.up_since_s is not None:
        state = session_lost(state, why, now_s)
    return login_policy.on_session_lost(state, why, now_s)


def _confirm_by_push(state: State, why: str, now_s: float) -> StepResult:
    """A tickle and the push say, at the same time, that there is no session."""
    return _confirm_loss(state, f"{why}, and so says the push", now_s)


def _tickle_succeeded(state: State, event: TickleResult, now_s: float) -> StepResult:
    state = replace(
        state,
        schedule=replace(state.schedule, succeeded_at_s=now_s),
        suspicion=replace(state.suspicion, since_s=None, silent_since_s=None),
        push_health=state.push_health.tickle_succeeded(),
    )
    if not state.has_session:
        # Not confirmed yet: a read-only user's health is what /portfolio/accounts says. IBKR has answered, though:
        # what hangs from here on is not the gateway.
        due_at_s = state.schedule.due_at_s if state.is_logging_in else now_s + RESULT_TIMEOUT_S
        return set_due(state, due_at_s), (GatewayRequest.LIST_ACCOUNTS,)
    push_health = state.push_health.stale_if_waiting()
    state = replace(state, suspicion=state.suspicion.conclusive(), push_health=push_health)
    interval_s = push_health.tickle_interval_s(now_s)
    if not state.wants_brokerage or event.tickle is None:
        return schedule_next(state, now_s + interval_s, "the next tickle"), ()
    decision = brokerage_session.evaluate(
        state.brokerage,
        event.tickle,
        now_s,
        state.policy,
        paused=state.pause is not None,
        in_window=state.window is not None,
    )
    state = transition(replace(state, brokerage=decision.brokerage), decision.phase, now_s, decision.why, decision.todo)
    if LocalCommand.REQUEST_FRESH_LOGIN in decision.commands:
        state = login_policy.fresh_login_requested(state, now_s)
    due_at_s = now_s + min(decision.recheck_in_s, interval_s)
    return schedule_next(state, due_at_s, decision.next, decision.next_at_s), decision.commands


def _validation_rate_limited(state: State, now_s: float) -> StepResult:
    if state.suspicion.since_s is not None and state.push_health.has_reported_loss(now_s):
        return _confirm_by_push(state, "a tickle found no session", now_s)
    since_s = now_s if state.suspicion.since_s is None else state.suspicion.since_s
    state = replace(state, suspicion=replace(state.suspicion, since_s=since_s))
    return schedule_next(state, max(since_s + RECHECK_DELAY_S, now_s), "looking again"), ()


def _suspect(state: State, why: str, now_s: float) -> StepResult:
    """A tickle, or the list of accounts while the tickle is fine, says that there is no session."""
    suspicion = replace(state.suspicion, silent_since_s=None)
    state = replace(state, suspicion=suspicion)
    if state.is_logging_in:
        return state, ()
    if state.up_since_s is None:
        # There was no session that we know of; the login checks by itself before it submits anything.
        return _confirm_loss(state, why, now_s)
    if now_s - suspicion.validated_at_s < VALIDATE_INTERVAL_S:
        return _inconclusive(state, f"{why}, but IBKR's validation says there is one", now_s, is_silent=False)
    since_s = now_s if suspicion.since_s is None else suspicion.since_s
    suspicion = replace(suspicion, since_s=since_s)
    if now_s - suspicion.validation_sent_at_s >= VALIDATE_INTERVAL_S:
        state = replace(state, suspicion=replace(suspicion, validation_sent_at_s=now_s))
        return set_due(state, now_s + RESULT_TIMEOUT_S), (GatewayRequest.VALIDATE,)
    state = replace(state, suspicion=suspicion)
    if state.push_health.has_reported_loss(now_s):
        return _confirm_by_push(state, why, now_s)
    if now_s - since_s >= RECHECK_DELAY_S:
        return set_due(state, now_s + RESULT_TIMEOUT_S), (GatewayRequest.CHECK_AUTH_STATUS,)
    return schedule_next(state, since_s + RECHECK_DELAY_S, "looking again"), ()


def _rate_limited(state: State, why: str, now_s: float) -> StepResult:
    """The rate limit kept the check from being sent."""
    if state.is_logging_in:
        return state, ()
    checked_at_s = now_s if state.schedule.succeeded_at_s is None else state.schedule.succeeded_at_s
    if state.has_session and now_s - checked_at_s > MAX_UNCHECKED_S:
        state = transition(state, SessionState.UNREACHABLE, now_s, why)
    elif not state.has_session and state.phase not in {SessionState.LOCKED_OUT, SessionState.PAUSED}:
        state = replace(state, why=why)
    return schedule_next(state, now_s + MIN_TICKLE_INTERVAL_S, "looking again when the pacing allows"), ()


def _inconclusive(state: State, why: str, now_s: float, *, is_silent: bool) -> StepResult:
    """A check says neither alive nor dead: it is repeated, with a growing back-off."""
    checks_before = state.suspicion.inconclusive_checks
    waits = INCONCLUSIVE_BACKOFF_S if state.window is None else WINDOW_BACKOFF_S
    delay_s = jitter(backoff(waits, checks_before), state.phase_since_s, checks_before)
    silent_since_s = now_s if state.suspicion.silent_since_s is None else state.suspicion.silent_since_s
    suspicion = replace(
        state.suspicion,
        inconclusive_checks=checks_before + 1,
        silent_since_s=silent_since_s if is_silent else None,
    )
    state = replace(state, suspicion=suspicion)
    if state.is_logging_in:
        return state, ()
    commands: tuple[Command, ...] = ()
    if checks_before and not state.is_locked_out:
        if state.window is not None:
            state = transition(state, SessionState.MAINTENANCE, now_s, f"{state.window.name}: {why}")
        else:
            state = transition(state, SessionState.UNREACHABLE, now_s, why)
        is_stuck = is_silent and now_s - silent_since_s > RESTART_AFTER_SILENCE_S
        # While IBKR is known to be away, its silence says nothing about Java, whose memory holds the session.
        if is_stuck and state.window is None and now_s - state.restart_requested_at_s > MIN_RESTART_INTERVAL_S:
            state = replace(state, restart_requested_at_s=now_s)
            commands = (LocalCommand.RESTART_GATEWAY,)
    return schedule_next(state, now_s + delay_s, "looking again"), commands
