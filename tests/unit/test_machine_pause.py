"""A person's pause, and IBKR's windows: what the watchdog's machine does and leaves."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import doubts, logins, machine
from ibkr_tools.watchdog.observations import (
    Action,
    GatewayChanged,
    GatewayStarting,
    Paused,
    Resumed,
    Tick,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.state import State
from tests.support.machine_world import LoginState, World, login, tickle

UNTIL = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
REQUESTS = {Action.REQUEST_LOGIN, Action.REQUEST_FRESH_LOGIN}
RESET = "IBKR's daily reset"


def paused_world(**changes: object) -> World:
    """Returns a world in which the session is up and a person has asked that nothing logs in."""
    world = World()
    world.run(60)
    world.feed(Paused(UNTIL))
    for name, value in changes.items():
        setattr(world, name, value)
    return world


def test_a_living_session_is_kept_alive() -> None:
    world = paused_world()
    before = world.count(Action.TICKLE)
    world.run(600)
    assert world.is_in(SessionState.UP)
    assert world.state.paused
    assert world.count(Action.TICKLE) - before >= 20


def test_a_lost_session_stays_lost() -> None:
    world = paused_world(session=Verdict.DEAD)
    world.run(6 * 3600)
    assert world.is_in(SessionState.PAUSED)
    assert world.state.losses == 1
    assert "2026-06-01 12:30 UTC" in world.state.why
    assert "ibkr-tools resume" in world.state.why
    assert not REQUESTS & {action for _, action in world.done}


def test_resuming_looks_at_once_and_logs_in() -> None:
    world = paused_world(session=Verdict.DEAD)
    world.run(3600)
    world.feed(Resumed())
    assert world.is_in(SessionState.LOGGING_IN)
    assert world.run(10, until=SessionState.UP)
    assert not world.state.paused
    assert world.count(Action.REQUEST_LOGIN) == 1


def test_resuming_into_a_session_that_a_person_opened() -> None:
    world = paused_world(session=Verdict.DEAD)
    world.run(600)
    world.session = Verdict.ALIVE
    assert world.run(61, until=SessionState.UP), "seen within a minute, paused or not"
    world.feed(Resumed())
    world.run(60)
    assert world.count(Action.REQUEST_LOGIN) == 0


def test_a_pause_from_the_start() -> None:
    world = World(session=Verdict.DEAD)
    world.feed(Paused())
    world.run(600)
    assert world.is_in(SessionState.PAUSED)
    assert world.count(Action.REQUEST_LOGIN) == 0


def test_a_gateway_that_starts_is_not_logged_in_to() -> None:
    world = paused_world()
    world.feed(GatewayStarting())
    assert world.is_in(SessionState.GATEWAY_DOWN)
    world.session = Verdict.DEAD
    world.feed(GatewayChanged(up=True))
    world.run(3600)
    assert world.is_in(SessionState.PAUSED)
    assert world.count(Action.REQUEST_LOGIN) == 0


@pytest.mark.parametrize(
    ("report", "phase"),
    [
        ("succeeded", SessionState.UP),
        ("failed", SessionState.PAUSED),
        ("maintenance", SessionState.PAUSED),
        ("broken", SessionState.PAUSED),
        ("refused", SessionState.LOCKED_OUT),
    ],
)
def test_a_login_that_runs_may_end_and_is_believed(report: LoginState, phase: SessionState) -> None:
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    world.feed(Paused())
    assert world.is_in(SessionState.LOGGING_IN)
    if report == "succeeded":
        world.session = Verdict.ALIVE
    world.feed(login(report, todo="Check it" if report == "refused" else None))
    assert world.is_in(phase)
    world.run(600)
    assert world.count(Action.REQUEST_LOGIN) == 1


def test_a_login_that_met_the_pause_is_no_reason_to_wait_afterwards() -> None:
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    world.feed(Paused())
    world.feed(login("failed"))
    world.run(30)
    world.login_ends = "succeeded"
    world.feed(Resumed())
    assert world.run(10, until=SessionState.UP)


def test_ibkrs_own_wait_outlives_a_pause() -> None:
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    world.feed(Paused())
    world.feed(login("failed", retry_in_s=7200.0))
    world.run(60)
    world.feed(Resumed())
    assert world.run(2, until=SessionState.BACKING_OFF)
    world.run(7000)
    assert world.count(Action.REQUEST_LOGIN) == 1


def test_a_lock_out_stays_one() -> None:
    world = World(session=Verdict.DEAD, login_ends="refused")
    world.run(10)
    world.feed(Paused())
    assert world.is_in(SessionState.LOCKED_OUT)
    world.feed(Resumed())
    world.run(60)
    assert world.is_in(SessionState.LOCKED_OUT)
    assert world.state.todo
    assert world.count(Action.REQUEST_LOGIN) == 1


def test_a_longer_pause_replaces_the_shorter_one() -> None:
    world = paused_world(session=Verdict.DEAD)
    world.run(60)
    since_s = world.state.since_s
    world.feed(Paused(None))
    assert world.state.paused_until is None
    assert "2026" not in world.state.why
    assert world.state.since_s == since_s


def test_what_was_out_on_purpose_is_no_outage() -> None:
    world = paused_world(session=Verdict.DEAD)
    world.run(7200)
    world.login_ends = None
    world.feed(Resumed())
    assert world.state.without_since_s == pytest.approx(world.now_s, abs=0.1)


# IBKR's windows.


def window_world(session: Verdict = Verdict.ALIVE, ends_in_s: float = 3600.0) -> World:
    world = World()
    world.run(60)
    world.feed(WindowChanged(RESET, ends_in_s))
    world.session = session
    return world


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.SILENT])
def test_what_is_unknown_in_a_window_is_maintenance_and_asked_calmly(verdict: Verdict) -> None:
    world = window_world(verdict, 7200.0)
    assert world.run(60, until=SessionState.MAINTENANCE)
    assert RESET in world.state.why
    world.run(600)
    calm = world.count(Action.TICKLE, world.now_s - 300)
    other = World(session=Verdict.ALIVE)
    other.run(60)
    other.session = verdict
    other.run(700)
    assert calm < other.count(Action.TICKLE, other.now_s - 300)
    world.run(3000)
    assert world.count(Action.REQUEST_LOGIN) == 0
    world.feed(WindowChanged(None))
    assert world.is_in(SessionState.UNREACHABLE)
    world.session = Verdict.ALIVE
    assert world.run(60, until=SessionState.UP)


def test_a_session_lost_in_a_window_gets_one_login_at_once() -> None:
    """The nightly reset ends it, and the next one may begin a second later."""
    world = window_world(Verdict.DEAD)
    lost_s = world.now_s
    assert world.run(31, until=SessionState.LOGGING_IN)
    assert world.run(5, until=SessionState.UP)
    assert world.now_s - lost_s < 36
    assert world.count(Action.REQUEST_LOGIN) == 1


def test_a_login_that_fails_in_a_window_waits_longer_than_otherwise() -> None:
    world = window_world(Verdict.DEAD, 7200.0)
    world.login_ends = "failed"
    world.run(7200)
    at = [when for when, action in world.done if action is Action.REQUEST_LOGIN]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert all(gap >= 600 for gap in gaps), gaps
    assert gaps[0] <= 1000
    assert RESET in world.state.why


def test_a_login_that_fails_in_a_window_does_not_wait_beyond_its_end() -> None:
    world = window_world(Verdict.DEAD, 200.0)
    world.login_ends = "failed"
    world.run(120)
    world.login_ends = "succeeded"
    assert world.run(120, until=SessionState.UP)


def test_waits_spread_but_a_state_has_one_future() -> None:
    """Machines that lose IBKR together do not ask together; the same state always does the same."""
    dues = []
    for number in range(20):
        state = State(phase=SessionState.UNREACHABLE, since_s=1000.0 + 1.7 * number, unknowns=3)
        one, _ = machine.step(state, tickle(Verdict.UNKNOWN), 2000.0)
        other, _ = machine.step(state, tickle(Verdict.UNKNOWN), 2000.0)
        assert one == other
        dues.append(one.due_s - 2000.0)
    base_s = doubts.UNKNOWN_WAITS_S[3]
    assert min(dues) >= 0.8 * base_s
    assert max(dues) <= 1.2 * base_s
    assert len({round(due, 1) for due in dues}) > 10


def test_no_wait_in_a_window_is_longer_than_a_minute() -> None:
    state = replace(State(), phase=SessionState.MAINTENANCE, window=RESET, window_ends_s=9e9)
    for unknowns in range(30):
        after, _ = machine.step(replace(state, unknowns=unknowns), tickle(Verdict.SILENT), 5000.0 + unknowns)
        assert after.due_s - 5000.0 - unknowns <= 60.0


def test_java_is_left_alone_while_ibkr_is_known_to_be_away() -> None:
    """Its memory holds the session, which may outlive the maintenance."""
    world = window_world(Verdict.SILENT, 4 * 3600.0)
    world.run(3 * 3600)
    assert world.count(Action.RESTART_GATEWAY) == 0
    world.feed(WindowChanged(None))
    world.run(700)
    assert world.count(Action.RESTART_GATEWAY) == 1


def test_the_budgets_wait_counts_in_a_window_too() -> None:
    world = window_world(Verdict.DEAD, 60.0)
    world.login_ends = None
    world.run(40, until=SessionState.LOGGING_IN)
    world.feed(login("failed", retry_in_s=4000.0))
    world.run(3900)
    assert world.count(Action.REQUEST_LOGIN) == 1
    assert logins.LOGIN_RETRY_S[0] < 4000


def test_a_tick_in_a_pause_never_spins() -> None:
    world = paused_world(session=Verdict.DEAD)
    world.run(3600)
    assert world.most_in(60, Action.TICKLE) <= 3
    state, actions = machine.step(world.state, Tick(), world.now_s)
    assert (state, actions) == (world.state, ())
