"""The watchdog's decisions: one test per row of the decision tables, and any event in any state."""

from dataclasses import replace

import pytest

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import session, state_machine
from ibkr_tools.watchdog.brokerage_session import BrokerageState
from ibkr_tools.watchdog.events import (
    AccountsResult,
    Command,
    Event,
    FetchHinted,
    GatewayChanged,
    GatewayRequest,
    GatewayStarting,
    LocalCommand,
    Tick,
    TickleResult,
    ValidationResult,
    Verdict,
)
from ibkr_tools.watchdog.state import PHASES_WITH_SESSION, State, Suspicion, TickleSchedule
from tests.support.state_machine_environment import LOCKED, NOW, UP, login, tickle

EVERY_PHASE = [replace(UP if phase in PHASES_WITH_SESSION else State(), phase=phase) for phase in SessionState]


# Rows of the table of lost-session signals.


def test_nothing_listens_is_gateway_down_and_never_a_login() -> None:
    state, commands = state_machine.step(UP, tickle(Verdict.GATEWAY_DOWN), NOW)
    assert state.phase is SessionState.GATEWAY_DOWN
    assert commands == (LocalCommand.STOP_LISTENING,)
    assert state_machine.deadline(state) <= NOW + 2


def test_one_silence_is_looked_at_again_and_the_session_stays_up() -> None:
    state, commands = state_machine.step(UP, tickle(Verdict.SILENT), NOW)
    assert (state.phase, commands) == (SessionState.UP, ())
    assert state_machine.deadline(state) <= NOW + 2


@pytest.mark.parametrize("verdict", [Verdict.SILENT, Verdict.UNKNOWN])
def test_the_second_one_is_unreachable(verdict: Verdict) -> None:
    state, _ = state_machine.step(UP, tickle(verdict), NOW)
    state, commands = state_machine.step(state, tickle(verdict), NOW + 2)
    assert (state.phase, commands) == (SessionState.UNREACHABLE, ())
    assert state.up_since_s == UP.up_since_s


def test_ibkrs_word_asks_for_a_second_opinion_first() -> None:
    state, commands = state_machine.step(UP, tickle(Verdict.DEAD), NOW)
    assert (state.phase, commands) == (SessionState.UP, (GatewayRequest.VALIDATE,))


def test_both_say_dead_and_a_login_is_asked_for() -> None:
    state, _ = state_machine.step(UP, tickle(Verdict.DEAD), NOW)
    state, commands = state_machine.step(state, ValidationResult(Verdict.DEAD, "over"), NOW)
    assert (state.phase, commands) == (
        SessionState.LOGGING_IN,
        (LocalCommand.STOP_LISTENING, LocalCommand.REQUEST_LOGIN),
    )
    assert state.losses == 1
    assert state.up_since_s is None


@pytest.mark.parametrize("verdict", [Verdict.ALIVE, Verdict.RATE_LIMITED])
def test_a_validation_that_does_not_confirm_leads_to_another_look(verdict: Verdict) -> None:
    state, _ = state_machine.step(UP, tickle(Verdict.DEAD), NOW)
    state, commands = state_machine.step(state, ValidationResult(verdict), NOW)
    assert (state.phase, commands) == (SessionState.UP, ())
    assert state_machine.deadline(state) <= NOW + session.RECHECK_DELAY_S
    state, _ = state_machine.step(state, tickle(), NOW + 1)
    assert (state.phase, state.suspicion.since_s) == (SessionState.UP, None)


def test_a_limited_tickle_changes_nothing() -> None:
    state, commands = state_machine.step(UP, tickle(Verdict.RATE_LIMITED), NOW)
    assert (state.phase, commands) == (SessionState.UP, ())


# Rows of the table of tiers.

BROKERAGE = replace(UP, wants_brokerage=True, brokerage=BrokerageState(missing_since_s=NOW, next_attempt_at_s=NOW + 12))
TIERS = [
    (Tickle(has_session=True, authenticated=True, connected=True), SessionState.UP),
    (Tickle(has_session=True, authenticated=True, connected=True, competing=True), SessionState.COMPETING),
    (Tickle(has_session=True, connected=True), SessionState.DEGRADED),
    (Tickle(has_session=True), SessionState.DEGRADED),
]


@pytest.mark.parametrize(("answer", "phase"), TIERS, ids=lambda value: str(value)[:60])
def test_the_brokerage_tier_if_it_is_wanted(answer: Tickle, phase: SessionState) -> None:
    state, commands = state_machine.step(BROKERAGE, TickleResult(Verdict.ALIVE, tickle=answer), NOW)
    assert (state.phase, commands) == (phase, ())


@pytest.mark.parametrize(("answer", "phase"), TIERS, ids=lambda value: str(value)[:60])
def test_a_read_only_user_is_up_without_it(answer: Tickle, phase: SessionState) -> None:
    """`authenticated:false` is normal for the user in mind."""
    state, commands = state_machine.step(UP, TickleResult(Verdict.ALIVE, tickle=answer), NOW)
    assert (state.phase, commands) == (SessionState.UP, ())


# Other single decisions.


def test_a_refusal_without_words_still_says_what_to_do() -> None:
    state, _ = state_machine.step(replace(UP, phase=SessionState.LOGGING_IN), login("refused"), NOW)
    assert "ibkr-tools unlock" in (state.todo or "")


def test_unlock_tries_again_at_once() -> None:
    state, commands = state_machine.step(LOCKED, login("unlocked"), NOW)
    assert commands == (GatewayRequest.TICKLE,)
    state, commands = state_machine.step(state, tickle(Verdict.DEAD), NOW)
    assert LocalCommand.REQUEST_LOGIN in commands
    assert state.todo is None


def test_a_penalty_does_not_hide_why_we_are_locked_out() -> None:
    state, _ = state_machine.step(LOCKED, tickle(Verdict.RATE_LIMITED), NOW)
    assert (state.why, state.todo) == (LOCKED.why, LOCKED.todo)


def test_a_starting_gateway_does_not_overrule_a_person() -> None:
    state = State(phase=SessionState.LOCKED_OUT, phase_since_s=1.0, schedule=TickleSchedule(due_at_s=50.0))
    assert state_machine.step(state, GatewayStarting(), 2.0) == (state, ())


def test_java_is_not_restarted_while_the_tickle_answers() -> None:
    """`/portfolio/accounts` may hang while the session is fine."""
    suspicion = Suspicion(inconclusive_checks=5, silent_since_s=NOW - 3000)
    state = replace(UP, phase=SessionState.UNREACHABLE, suspicion=suspicion)
    for number in range(100):
        state, commands = state_machine.step(state, tickle(), NOW + 40 * number)
        assert commands == (GatewayRequest.LIST_ACCOUNTS,)
        state, commands = state_machine.step(state, AccountsResult(Verdict.SILENT, "hangs"), NOW + 40 * number + 8)
        assert commands == ()


def test_an_sts_frame_is_looked_at_if_the_brokerage_tier_is_wanted() -> None:
    _, commands = state_machine.step(BROKERAGE, SessionFrame(competing=True), NOW)
    assert commands == (GatewayRequest.TICKLE,)


# Totality.

OBSERVATIONS: list[Event] = [
    Tick(),
    *(TickleResult(verdict, tickle=None) for verdict in Verdict if verdict is not Verdict.ALIVE),
    tickle(),
    *(ValidationResult(verdict) for verdict in Verdict),
    *(AccountsResult(verdict) for verdict in Verdict),
    GatewayChanged(up=True),
    GatewayChanged(up=False),
    login("running"),
    login("succeeded"),
    login("failed"),
    login("refused"),
    login("action-required"),
    login("locked-out"),
    login("not-needed"),
    login("broken"),
    login("unlocked"),
    FetchHinted(),
    SessionFrame(authenticated=False),
    Heartbeat(),
    WaitingForSession(),
    PushClosed("gone"),
]


@pytest.mark.parametrize("state", EVERY_PHASE, ids=lambda state: state.phase.value)
def test_any_observation_is_possible_in_any_state(state: State) -> None:
    for event in OBSERVATIONS:
        after, commands = state_machine.step(state, event, NOW)
        assert isinstance(after, State)
        assert all(isinstance(command, Command) for command in commands)


@pytest.mark.parametrize("state", EVERY_PHASE, ids=lambda state: state.phase.value)
def test_a_locked_session_is_never_logged_in(state: State) -> None:
    if state.phase is not SessionState.LOCKED_OUT:
        return
    for event in OBSERVATIONS:
        _, commands = state_machine.step(state, event, NOW)
        assert LocalCommand.REQUEST_LOGIN not in commands
