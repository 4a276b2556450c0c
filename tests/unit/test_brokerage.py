"""The brokerage tier of a user who wants it: one row per state of the decision table."""

import itertools

import pytest

from ibkr_tools.portal.answers import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import brokerage
from ibkr_tools.watchdog.brokerage import HANDSHAKE_S, RETRY_S, Handshake, look
from ibkr_tools.watchdog.observations import Action

NOW = 1000.0
MISSING = Tickle(has_session=True, connected=True)


def test_authenticated_is_up_and_forgets_the_trouble() -> None:
    view = look(Handshake(10.0, 7), Tickle(has_session=True, authenticated=True, connected=True), NOW)
    assert (view.phase, view.actions, view.handshake) == (SessionState.UP, (), Handshake())


@pytest.mark.parametrize("authenticated", [True, False])
def test_a_competing_program_keeps_it(authenticated: bool) -> None:
    view = look(Handshake(10.0), Tickle(has_session=True, authenticated=authenticated, competing=True), NOW)
    assert (view.phase, view.actions) == (SessionState.COMPETING, ())


def test_the_jar_gets_its_time_first() -> None:
    view = look(Handshake(), MISSING, NOW)
    assert (view.phase, view.actions, view.again_s) == (SessionState.DEGRADED, (), brokerage.LOOK_S)
    assert look(view.handshake, MISSING, NOW + HANDSHAKE_S - 0.1).actions == ()


def test_then_the_two_ways_in_turns_with_long_pauses() -> None:
    handshake, now_s, seen = Handshake(NOW), NOW, list[tuple[float, Action]]()
    for _ in range(2000):
        view = look(handshake, MISSING, now_s)
        handshake = view.handshake
        seen += [(now_s - NOW, action) for action in view.actions]
        now_s += 2.0
    assert [action for _, action in seen[:4]] == [Action.REAUTHENTICATE, Action.INIT_BROKERAGE] * 2
    at = [when for when, _ in seen]
    assert at[0] == HANDSHAKE_S
    assert at[1] - at[0] == pytest.approx(HANDSHAKE_S, abs=2.1)
    assert all(later - earlier >= RETRY_S for earlier, later in itertools.pairwise(at[1:]))


def test_while_the_next_try_is_far_the_usual_tickle_is_enough() -> None:
    assert look(Handshake(NOW + 200, 2), MISSING, NOW).again_s is None
