"""The session's state machine: (state, event, now) gives (state, commands). No I/O and no clock of its own.

The escalation, cheapest step first: tickle again, validate, (brokerage tier only) the jar's own handshake and
`ssodh/init`, a browser login, a restart of Java, a person. Unknown is not lost: only IBKR's own word that there is
no session leads to a login. Times are seconds of a clock that never jumps.
"""

from dataclasses import replace

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import brokerage_session, login_policy, loss_confirmation, session_transitions
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    Command,
    Event,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    LoginReported,
    LoginResultUnknown,
    PauseEnded,
    PauseStarted,
    TickleResult,
    ValidationResult,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.state import (
    MANUAL_LOGIN_POLL_S,
    RESULT_TIMEOUT_S,
    State,
    StepResult,
    backoff,
    forget_session,
    schedule,
    tickle_now,
    transition,
)

GATEWAY_BACKOFF_S = (0.2, 0.2, 0.3, 0.5, 1.0, 2.0)
"""A refused connection costs nothing, and a gateway that starts is there within a second or two."""

_PHASES_WITHOUT_SESSION = frozenset(
    {SessionState.LOST, SessionState.BACKING_OFF, SessionState.MAINTENANCE, SessionState.PAUSED}
)
"""Phases in which IBKR has said that there is no session."""


def deadline(state: State) -> float:
    """Returns when the state machine needs its next Tick, on the clock of `now_s`."""
    if state.push_health.reconnect_at_s is not None and state.has_session:
        return min(state.due_at_s, state.push_health.reconnect_at_s)
    return state.due_at_s


def step(state: State, event: Event, now_s: float) -> StepResult:
    """Returns the next state and the commands; total: any event is possible in any state."""
    match event:
        case TickleResult() | ValidationResult() | AccountsResult() | BrokerageResult():
            return _on_result(state, event, now_s)
        case SessionFrame() | Heartbeat() | WaitingForSession() | PushClosed():
            return _on_push_event(state, event, now_s)
        case GatewayChanged(up=up):
            return _on_gateway_up(state, now_s) if up else _on_gateway_down(state, now_s)
        case GatewayStarting():
            return _on_gateway_starting(state, now_s)
        case LoginReported():
            return login_policy.on_login_report(state, event, now_s)
        case LoginResultUnknown():
            return _on_login_result_unknown(state, now_s)
        case FetchHinted():
            return _check_session(state, now_s)
        case PauseStarted() | PauseEnded():
            return _on_pause(state, event, now_s)
        case WindowChanged():
            return _on_window_changed(state, event, now_s)
        case _:
            return _on_tick(state, now_s)


def _on_result(
    state: State, event: TickleResult | ValidationResult | AccountsResult | BrokerageResult, now_s: float
) -> StepResult:
    match event:
        case TickleResult():
            return _on_tickle_result(state, event, now_s)
        case BrokerageResult():
            return _on_brokerage_result(state, event, now_s)
        case ValidationResult(verdict=Verdict.GATEWAY_DOWN) | AccountsResult(verdict=Verdict.GATEWAY_DOWN):
            return _on_gateway_down(state, now_s)
        case ValidationResult():
            return loss_confirmation.on_validation_result(state, event.verdict, event.why, now_s)
        case AccountsResult():
            return _on_accounts_result(state, event, now_s)


def _on_gateway_up(state: State, now_s: float) -> StepResult:
    # A login that runs has been waiting for the gateway, and asks by itself.
    return (state, ()) if state.is_logging_in else tickle_now(state, now_s)


def _on_gateway_starting(state: State, now_s: float) -> StepResult:
    """A session lives in Java's memory: a new one has none, so that the browser may start beside it."""
    if state.is_logging_in or state.is_locked_out:
        return state, ()
    state, commands = _on_gateway_down(state, now_s)
    if state.paused or state.login_attempts or now_s < state.login_not_before_s:
        # A login has come to nothing already; should Java be what fails, the next one waits for its answer.
        return state, commands
    return login_policy.request_login(state, "the gateway starts, and a new one has no session", now_s)


def _on_gateway_down(state: State, now_s: float) -> StepResult:
    if state.is_locked_out:
        return schedule(state, now_s + MANUAL_LOGIN_POLL_S, state.next), ()
    losses = state.losses + (state.up_since_s is not None)
    state = transition(forget_session(state), SessionState.GATEWAY_DOWN, now_s, "the gateway does not answer")
    delay_s = backoff(GATEWAY_BACKOFF_S, state.gateway_failures)
    state = replace(
        state, losses=losses, inconclusive_checks=0, silent_since_s=None, gateway_failures=state.gateway_failures + 1
    )
    return schedule(state, now_s + delay_s, "looking again"), (Command.STOP_LISTENING,)


def _on_login_result_unknown(state: State, now_s: float) -> StepResult:
    """A login could not say how it ended; whether it left a session, a tickle tells."""
    if not state.is_logging_in:
        return state, ()
    return tickle_now(login_policy.abandon_login(state, now_s, "the login could not say how it ended"), now_s)


def _check_session(state: State, now_s: float) -> StepResult:
    """Sends a tickle because something hints that the session may be lost."""
    return tickle_now(state, now_s) if state.has_session else (state, ())


def _on_tick(state: State, now_s: float) -> StepResult:
    commands: tuple[Command, ...] = ()
    reconnect_at_s = state.push_health.reconnect_at_s
    if reconnect_at_s is not None and now_s >= reconnect_at_s and state.has_session:
        state = replace(state, push_health=state.push_health.started(now_s))
        commands = (Command.LISTEN,)
    if now_s < state.due_at_s:
        return state, commands
    if state.is_logging_in:
        state = login_policy.abandon_login(state, now_s, "the login has not reported")
    state, tickle_commands = tickle_now(state, now_s)
    return state, (*commands, *tickle_commands)


def _on_tickle_result(state: State, event: TickleResult, now_s: float) -> StepResult:
    if event.verdict is Verdict.GATEWAY_DOWN:
        # The tickle has not left this computer: IBKR has counted nothing.
        return _on_gateway_down(replace(state, tickle_sent_at_s=state.tickle_sent_at_s - RESULT_TIMEOUT_S), now_s)
    state = replace(state, gateway_failures=0)
    match event.verdict:
        case Verdict.ALIVE:
            return _tickle_succeeded(state, event, now_s)
        case Verdict.DEAD:
            return loss_confirmation.suspect(state, event.why, now_s)
        case Verdict.RATE_LIMITED:
            return loss_confirmation.rate_limited(state, event.why, now_s)
        case _:
            return loss_confirmation.inconclusive(state, event.why, now_s, silent=event.verdict is Verdict.SILENT)


def _tickle_succeeded(state: State, event: TickleResult, now_s: float) -> StepResult:
    state = replace(
        state, tickle_succeeded_at_s=now_s, suspect_since_s=None, push_health=state.push_health.tickle_succeeded()
    )
    if not state.has_session:
        # Not confirmed yet: a read-only user's health is what /portfolio/accounts says. IBKR has answered, though:
        # what hangs from here on is not the gateway.
        due_at_s = state.due_at_s if state.is_logging_in else now_s + RESULT_TIMEOUT_S
        return replace(state, due_at_s=due_at_s, silent_since_s=None), (Command.LIST_ACCOUNTS,)
    state = replace(state, inconclusive_checks=0, silent_since_s=None, push_health=state.push_health.stale_if_waiting())
    interval_s = state.push_health.tickle_interval_s(now_s)
    if not state.wants_brokerage or event.tickle is None:
        return schedule(state, now_s + interval_s, "the next tickle"), ()
    decision = brokerage_session.evaluate(
        state.brokerage, event.tickle, now_s, state.policy, paused=state.paused, in_window=state.window is not None
    )
    state = transition(replace(state, brokerage=decision.brokerage), decision.phase, now_s, decision.why, decision.todo)
    if Command.REQUEST_FRESH_LOGIN in decision.commands:
        state = replace(state, fresh_login_until_s=now_s + login_policy.LOGIN_TIMEOUT_S, login_requested_at_s=now_s)
    return schedule(
        state, now_s + min(decision.recheck_in_s, interval_s), decision.next, decision.next_at_s
    ), decision.commands


def _on_brokerage_result(state: State, event: BrokerageResult, now_s: float) -> StepResult:
    if event.verdict is Verdict.DEAD:
        return _check_session(state, now_s)
    last_error = "" if event.verdict is Verdict.ALIVE else event.why
    return replace(state, brokerage=replace(state.brokerage, last_error=last_error)), ()


def _on_accounts_result(state: State, event: AccountsResult, now_s: float) -> StepResult:
    match event.verdict:
        case Verdict.ALIVE:
            return session_transitions.session_confirmed(state, event.accounts, now_s)
        case Verdict.RATE_LIMITED:
            return loss_confirmation.rate_limited(state, event.why, now_s)
        case Verdict.DEAD:
            return loss_confirmation.suspect(state, event.why, now_s)
        case _:
            return loss_confirmation.inconclusive(state, event.why, now_s, silent=event.verdict is Verdict.SILENT)


def _on_pause(state: State, event: PauseStarted | PauseEnded, now_s: float) -> StepResult:
    if isinstance(event, PauseEnded):
        if not state.paused:
            return state, ()
        # What was down during the pause was down on purpose: an outage counts from here.
        outage_since_s = None if state.outage_since_s is None else now_s
        brokerage = state.brokerage.pause_ended(now_s)
        state = replace(state, paused=False, paused_until=None, outage_since_s=outage_since_s, brokerage=brokerage)
        if state.phase is SessionState.PAUSED:
            state = transition(state, SessionState.LOST, now_s, "the pause is over")
        return (state, ()) if state.is_logging_in else tickle_now(state, now_s)
    state = replace(state, paused=True, paused_until=event.until)
    return (login_policy.stay_paused(state, now_s) if state.phase in _PHASES_WITHOUT_SESSION else state), ()


def _on_window_changed(state: State, event: WindowChanged, now_s: float) -> StepResult:
    was_waiting = state.phase is SessionState.MAINTENANCE and state.login_not_before_s <= now_s
    state = replace(state, window=event.name, window_ends_at_s=now_s + event.ends_in_s)
    return tickle_now(state, now_s) if event.name is None and was_waiting else (state, ())


def _on_push_event(state: State, event: PushEvent, now_s: float) -> StepResult:
    push_health = state.push_health
    match event:
        case Heartbeat():
            return replace(state, push_health=push_health.frame_received(now_s)), ()
        case SessionFrame(authenticated=False):
            push_health = push_health.frame_received(now_s).trouble_signalled(now_s)
            if not event.reports_session_lost:
                return _check_session(replace(state, push_health=push_health), now_s)
            state = replace(state, push_health=push_health.loss_reported(now_s))
            return loss_confirmation.push_reported_loss(state, now_s) or _check_session(state, now_s)
        case SessionFrame():
            state = replace(state, push_health=push_health.frame_received(now_s))
            return _check_session(state, now_s) if state.wants_brokerage else (state, ())
        case WaitingForSession():
            if push_health.waiting_for_session:
                return state, ()
            return _check_session(
                replace(state, push_health=replace(push_health.trouble_signalled(now_s), waiting_for_session=True)),
                now_s,
            )
        case PushClosed():
            if not push_health.listening:
                return state, ()
            return _check_session(replace(state, push_health=push_health.closed(now_s).trouble_signalled(now_s)), now_s)
