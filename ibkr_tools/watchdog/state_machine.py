"""The session's state machine: (state, event, now) gives (state, commands). No I/O and no clock of its own.

The escalation, cheapest step first: tickle again, validate, (brokerage tier only) the jar's own handshake and
`ssodh/init`, a browser login, a restart of Java, a person. Unknown is not lost: a login follows IBKR's own word
that there is no session, a new Java, or the last of the steps for the brokerage tier. Times are seconds of a clock that
never jumps.
"""

from dataclasses import replace
from typing import assert_never

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import login_policy, session
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    Command,
    Event,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    LocalCommand,
    LoginReported,
    LoginResultUnknown,
    PauseEnded,
    PauseStarted,
    Tick,
    TickleResult,
    ValidationResult,
    WindowChanged,
)
from ibkr_tools.watchdog.state import ActivePause, OpenWindow, State, StepResult, tickle_now, transition

_PHASES_BEFORE_LOGIN = frozenset(
    {SessionState.LOST, SessionState.BACKING_OFF, SessionState.MAINTENANCE, SessionState.PAUSED}
)
"""Phases in which a login is due some time; a pause takes its place. None of them says that a session is over."""


def deadline(state: State) -> float:
    """Returns when the state machine needs its next Tick, on the clock of `now_s`."""
    if state.push_health.reconnect_at_s is not None and state.has_session:
        return min(state.schedule.due_at_s, state.push_health.reconnect_at_s)
    return state.schedule.due_at_s


def step(state: State, event: Event, now_s: float) -> StepResult:
    """Returns the next state and the commands; total: any event is possible in any state."""
    match event:
        case Tick():
            return _on_tick(state, now_s)
        case TickleResult() | ValidationResult() | AccountsResult() | BrokerageResult():
            return session.on_gateway_result(state, event, now_s)
        case SessionFrame() | Heartbeat() | WaitingForSession() | PushClosed():
            return _on_push_event(state, event, now_s)
        case GatewayChanged() | GatewayStarting():
            return _on_gateway_event(state, event, now_s)
        case LoginReported():
            return login_policy.on_login_report(state, event, now_s)
        case LoginResultUnknown():
            return _on_login_result_unknown(state, now_s)
        case FetchHinted():
            return session.check_session(state, now_s)
        case PauseStarted() | PauseEnded():
            return _on_pause(state, event, now_s)
        case WindowChanged():
            return _on_window_changed(state, event, now_s)
        case _:
            assert_never(event)


def _on_tick(state: State, now_s: float) -> StepResult:
    commands: tuple[Command, ...] = ()
    reconnect_at_s = state.push_health.reconnect_at_s
    if reconnect_at_s is not None and now_s >= reconnect_at_s and state.has_session:
        state = replace(state, push_health=state.push_health.started(now_s))
        commands = (LocalCommand.LISTEN,)
    if now_s < state.schedule.due_at_s:
        return state, commands
    if state.is_logging_in:
        state = login_policy.abandon_login(state, now_s, "the login has not reported")
    state, tickle_commands = tickle_now(state, now_s)
    return state, (*commands, *tickle_commands)


def _on_gateway_event(state: State, event: GatewayChanged | GatewayStarting, now_s: float) -> StepResult:
    match event:
        case GatewayChanged(up=True):
            # A login that runs has been waiting for the gateway, and asks by itself.
            return (state, ()) if state.is_logging_in else tickle_now(state, now_s)
        case GatewayChanged():
            return session.gateway_down(state, now_s)
        case GatewayStarting():
            return _on_gateway_starting(state, now_s)
        case _:
            assert_never(event)


def _on_gateway_starting(state: State, now_s: float) -> StepResult:
    """A session lives in Java's memory: a new one has none, so that the browser may start beside it."""
    if state.is_logging_in or state.is_locked_out:
        return state, ()
    state, commands = session.gateway_down(state, now_s)
    if state.pause is not None or state.login_backoff.attempts or now_s < state.login_backoff.not_before_s:
        # A login has come to nothing already; should Java be what fails, the next one waits for its answer.
        return state, commands
    return login_policy.request_login(state, "the gateway starts, and a new one has no session", now_s)


def _on_login_result_unknown(state: State, now_s: float) -> StepResult:
    """A login could not say how it ended; whether it left a session, a tickle tells."""
    if not state.is_logging_in:
        return state, ()
    return tickle_now(login_policy.abandon_login(state, now_s, "the login could not say how it ended"), now_s)


def _on_pause(state: State, event: PauseStarted | PauseEnded, now_s: float) -> StepResult:
    if isinstance(event, PauseStarted):
        state = replace(state, pause=ActivePause(event.until))
        return (login_policy.stay_paused(state, now_s) if state.phase in _PHASES_BEFORE_LOGIN else state), ()
    if state.pause is None:
        return state, ()
    # What was down during the pause was down on purpose: an outage counts from here.
    outage_since_s = None if state.outage_since_s is None else now_s
    state = replace(state, pause=None, outage_since_s=outage_since_s, brokerage=state.brokerage.pause_ended(now_s))
    if state.phase is SessionState.PAUSED:
        state = transition(state, SessionState.LOST, now_s, "the pause is over")
    return (state, ()) if state.is_logging_in else tickle_now(state, now_s)


def _on_window_changed(state: State, event: WindowChanged, now_s: float) -> StepResult:
    if event.name is not None:
        return replace(state, window=OpenWindow(event.name, now_s + event.ends_in_s)), ()
    is_login_due = state.phase is SessionState.MAINTENANCE and state.login_backoff.not_before_s <= now_s
    state = replace(state, window=None)
    return tickle_now(state, now_s) if is_login_due else (state, ())


def _on_push_event(state: State, event: PushEvent, now_s: float) -> StepResult:
    push_health = state.push_health
    match event:
        case Heartbeat():
            return replace(state, push_health=push_health.frame_received(now_s)), ()
        case SessionFrame(authenticated=False):
            push_health = push_health.frame_received(now_s).trouble_signalled(now_s)
            if not event.reports_session_lost:
                return session.check_session(replace(state, push_health=push_health), now_s)
            state = replace(state, push_health=push_health.loss_reported(now_s))
            return session.push_reported_loss(state, now_s) or session.check_session(state, now_s)
        case SessionFrame():
            state = replace(state, push_health=push_health.frame_received(now_s))
            return session.check_session(state, now_s) if state.wants_brokerage else (state, ())
        case WaitingForSession():
            if push_health.waiting_for_session:
                return state, ()
            push_health = replace(push_health.trouble_signalled(now_s), waiting_for_session=True)
            return session.check_session(replace(state, push_health=push_health), now_s)
        case PushClosed():
            if not push_health.listening:
                return state, ()
            push_health = push_health.closed(now_s).trouble_signalled(now_s)
            return session.check_session(replace(state, push_health=push_health), now_s)
        case _:
            assert_never(event)
