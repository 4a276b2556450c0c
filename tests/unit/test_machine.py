"""The watchdog's decisions: one test per row of the decision tables, and any observation in any state."""

from dataclasses import replace

import pytest

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import doubts, machine
from ibkr_tools.watchdog.brokerage import Handshake
from ibkr_tools.watchdog.observations import (
    Action,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    Listed,
    Observation,
    Tick,
    Tickled,
    Validated,
    Verdict,
)
from ibkr_tools.watchdog.state import HAS_SESSION, State
from tests.support.machine_world import LOCKED, NOW, UP, login, tickle

EVERY_PHASE = [replace(UP if phase in HAS_SESSION else State(), phase=phase) for phase in SessionState]


# Rows of the table of lost-session signals.


def test_nothing_listens_is_gateway_down_and_never_a_login() -> None:
    state, actions = machine.step(UP, tickle(Verdict.GATEWAY_GONE), NOW)
    assert state.phase is SessionState.GATEWAY_DOWN
    assert actions == (Action.STOP_LISTENING,)
    assert machine.deadline(state) <= NOW + 2


def test_one_silence_is_looked_at_again_and_the_session_stays_up() -> None:
    state, actions = machine.step(UP, tickle(Verdict.SILENT), NOW)
    assert (state.phase, actions) == (SessionState.UP, ())
    assert machine.deadline(state) <= NOW + 2


@pytest.mark.parametrize("verdict", [Verdict.SILENT, Verdict.UNKNOWN])
def test_the_second_one_is_unreachable(verdict: Verdict) -> None:
    state, _ = machine.step(UP, tickle(verdict), NOW)
    state, actions = machine.step(state, tickle(verdict), NOW + 2)
    assert (state.phase, actions) == (SessionState.UNREACHABLE, ())
    assert state.up_since_s == UP.up_since_s


def test_ibkrs_word_asks_for_a_second_opinion_first() -> None:
    state, actions = machine.step(UP, tickle(Verdict.DEAD), NOW)
    assert (state.phase, actions) == (SessionState.UP, (Action.VALIDATE,))


def test_both_say_dead_and_a_login_is_asked_for() -> None:
    state, _ = machine.step(UP, tickle(Verdict.DEAD), NOW)
    state, actions = machine.step(state, Validated(Verdict.DEAD, "over"), NOW)
    assert (state.phase, actions) == (SessionState.LOGGING_IN, (Action.STOP_LISTENING, Action.REQUEST_LOGIN))
    assert state.losses == 1
    assert state.up_since_s is None


@pytest.mark.parametrize("verdict", [Verdict.ALIVE, Verdict.LIMITED])
def test_a_validation_that_does_not_confirm_leads_to_another_look(verdict: Verdict) -> None:
    state, _ = machine.step(UP, tickle(Verdict.DEAD), NOW)
    state, actions = machine.step(state, Validated(verdict), NOW)
    assert (state.phase, actions) == (SessionState.UP, ())
    assert machine.deadline(state) <= NOW + doubts.DEAD_APART_S
    state, _ = machine.step(state, tickle(), NOW + 1)
    assert (state.phase, state.dead_s) == (SessionState.UP, None)


def test_a_limited_tickle_changes_nothing() -> None:
    state, actions = machine.step(UP, tickle(Verdict.LIMITED), NOW)
    assert (state.phase, actions) == (SessionState.UP, ())


# Rows of the table of tiers.

BROKERAGE = replace(UP, wants_brokerage=True, handshake=Handshake(missing_s=NOW, next_s=NOW + 12))
TIERS = [
    (Tickle(has_session=True, authenticated=True, connected=True), SessionState.UP),
    (Tickle(has_session=True, authenticated=True, connected=True, competing=True), SessionState.COMPETING),
    (Tickle(has_session=True, connected=True), SessionState.DEGRADED),
    (Tickle(has_session=True), SessionState.DEGRADED),
]


@pytest.mark.parametrize(("answer", "phase"), TIERS, ids=lambda value: str(value)[:60])
def test_the_brokerage_tier_if_it_is_wanted(answer: Tickle, phase: SessionState) -> None:
    state, actions = machine.step(BROKERAGE, Tickled(Verdict.ALIVE, tickle=answer), NOW)
    assert (state.phase, actions) == (phase, ())


@pytest.mark.parametrize(("answer", "phase"), TIERS, ids=lambda value: str(value)[:60])
def test_a_read_only_user_is_up_without_it(answer: Tickle, phase: SessionState) -> None:
    """`authenticated:false` is normal for the user in mind."""
    state, actions = machine.step(UP, Tickled(Verdict.ALIVE, tickle=answer), NOW)
    assert (state.phase, actions) == (SessionState.UP, ())


# Other single decisions.


def test_a_refusal_without_words_still_says_what_to_do() -> None:
    state, _ = machine.step(replace(UP, phase=SessionState.LOGGING_IN), login("refused"), NOW)
    assert "ibkr-tools unlock" in (state.todo or "")


def test_unlock_tries_again_at_once() -> None:
    state, actions = machine.step(LOCKED, login("unlocked"), NOW)
    assert actions == (Action.TICKLE,)
    state, actions = machine.step(state, tickle(Verdict.DEAD), NOW)
    assert Action.REQUEST_LOGIN in actions
    assert state.todo is None


def test_a_penalty_does_not_hide_why_we_are_locked_out() -> None:
    state, _ = machine.step(LOCKED, tickle(Verdict.LIMITED), NOW)
    assert (state.why, state.todo) == (LOCKED.why, LOCKED.todo)


def test_a_starting_gateway_does_not_overrule_a_person() -> None:
    state = State(phase=SessionState.LOCKED_OUT, since_s=1.0, due_s=50.0)
    assert machine.step(state, GatewayStarting(), 2.0) == (state, ())


def test_java_is_not_restarted_while_the_tickle_answers() -> None:
    """`/portfolio/accounts` may hang while the session is fine."""
    state = replace(UP, phase=SessionState.UNREACHABLE, unknowns=5, silent_since_s=NOW - 3000)
    for number in range(100):
        state, actions = machine.step(state, tickle(), NOW + 40 * number)
        assert actions == (Action.LIST_ACCOUNTS,)
        state, actions = machine.step(state, Listed(Verdict.SILENT, "hangs"), NOW + 40 * number + 8)
        assert actions == ()


def test_an_sts_frame_is_looked_at_if_the_brokerage_tier_is_wanted() -> None:
    _, actions = machine.step(BROKERAGE, SessionFrame(competing=True), NOW)
    assert actions == (Action.TICKLE,)


# Totality.

OBSERVATIONS: list[Observation] = [
    Tick(),
    *(Tickled(verdict, tickle=None) for verdict in Verdict if verdict is not Verdict.ALIVE),
    tickle(),
    *(Validated(verdict) for verdict in Verdict),
    *(Listed(verdict) for verdict in Verdict),
    GatewayChanged(up=True),
    GatewayChanged(up=False),
    login("running"),
    login("succeeded"),
    login("failed"),
    login("refused"),
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
    for observation in OBSERVATIONS:
        after, actions = machine.step(state, observation, NOW)
        assert isinstance(after, State)
        assert all(isinstance(action, Action) for action in actions)


@pytest.mark.parametrize("state", EVERY_PHASE, ids=lambda state: state.phase.value)
def test_a_locked_session_is_never_logged_in(state: State) -> None:
    if state.phase is not SessionState.LOCKED_OUT:
        return
    for observation in OBSERVATIONS:
        _, actions = machine.step(state, observation, NOW)
        assert Action.REQUEST_LOGIN not in actions
