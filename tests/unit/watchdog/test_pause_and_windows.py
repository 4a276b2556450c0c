"""A person's pause, and IBKR's maintenance windows: what the state machine does and leaves."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import login_policy, session, state_machine
from ibkr_tools.watchdog.events import (
    GatewayChanged,
    GatewayRequest,
    GatewayStarting,
    LocalCommand,
    PauseEnded,
    PauseStarted,
    Tick,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.state import ActivePause, OpenWindow, State, Suspicion
from tests.support.state_machine_environment import Environment, LoginState, login, tickle

UNTIL = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
REQUESTS = {LocalCommand.REQUEST_LOGIN, LocalCommand.REQUEST_FRESH_LOGIN}
RESET = "IBKR's daily reset"


def paused_environment(**changes: object) -> Environment:
    """Returns an environment in which the session is up and a person has asked that nothing logs in."""
    environment = Environment()
    environment.run(60)
    environment.dispatch(PauseStarted(UNTIL))
    for name, value in changes.items():
        setattr(environment, name, value)
    return environment


def test_a_living_session_is_kept_alive() -> None:
    environment = paused_environment()
    before = environment.count(GatewayRequest.TICKLE)
    environment.run(600)
    assert environment.is_in(SessionState.UP)
    assert environment.state.pause is not None
    assert environment.count(GatewayRequest.TICKLE) - before >= 20


def test_a_lost_session_stays_lost() -> None:
    environment = paused_environment(session=Verdict.DEAD)
    environment.run(6 * 3600)
    assert environment.is_in(SessionState.PAUSED)
    assert environment.state.losses == 1
    assert "2026-06-01 12:30 UTC" in environment.state.why
    assert "ibkr-tools resume" in environment.state.why
    assert not REQUESTS & {command for _, command in environment.executed}


def test_resuming_looks_at_once_and_logs_in() -> None:
    environment = paused_environment(session=Verdict.DEAD)
    environment.run(3600)
    environment.dispatch(PauseEnded())
    assert environment.is_in(SessionState.LOGGING_IN)
    assert environment.run(10, until=SessionState.UP)
    assert environment.state.pause is None
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_resuming_into_a_session_that_a_person_opened() -> None:
    environment = paused_environment(session=Verdict.DEAD)
    environment.run(600)
    environment.session = Verdict.ALIVE
    assert environment.run(61, until=SessionState.UP), "seen within a minute, paused or not"
    environment.dispatch(PauseEnded())
    environment.run(60)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


def test_a_pause_from_the_start() -> None:
    environment = Environment(session=Verdict.DEAD)
    environment.dispatch(PauseStarted())
    environment.run(600)
    assert environment.is_in(SessionState.PAUSED)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


def test_a_gateway_that_starts_is_not_logged_in_to() -> None:
    environment = paused_environment()
    environment.dispatch(GatewayStarting())
    assert environment.is_in(SessionState.GATEWAY_DOWN)
    environment.session = Verdict.DEAD
    environment.dispatch(GatewayChanged(up=True))
    environment.run(3600)
    assert environment.is_in(SessionState.PAUSED)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


@pytest.mark.parametrize(
    ("report", "phase"),
    [
        ("succeeded", SessionState.UP),
        ("failed", SessionState.PAUSED),
        ("maintenance", SessionState.PAUSED),
        ("broken", SessionState.PAUSED),
        ("refused", SessionState.LOCKED_OUT),
        ("action-required", SessionState.LOCKED_OUT),
    ],
)
def test_a_login_that_runs_may_end_and_is_believed(report: LoginState, phase: SessionState) -> None:
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    environment.dispatch(PauseStarted())
    assert environment.is_in(SessionState.LOGGING_IN)
    if report == "succeeded":
        environment.session = Verdict.ALIVE
    environment.dispatch(login(report, todo="Check it" if report in {"refused", "action-required"} else None))
    assert environment.is_in(phase)
    environment.run(600)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_a_login_that_met_the_pause_is_no_reason_to_wait_afterwards() -> None:
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    environment.dispatch(PauseStarted())
    environment.dispatch(login("failed"))
    environment.run(30)
    environment.login_ends = "succeeded"
    environment.dispatch(PauseEnded())
    assert environment.run(10, until=SessionState.UP)


def test_ibkrs_own_wait_outlives_a_pause() -> None:
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    environment.dispatch(PauseStarted())
    environment.dispatch(login("failed", retry_in_s=7200.0))
    environment.run(60)
    environment.dispatch(PauseEnded())
    assert environment.run(2, until=SessionState.BACKING_OFF)
    environment.run(7000)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_a_lock_out_stays_one() -> None:
    environment = Environment(session=Verdict.DEAD, login_ends="refused")
    environment.run(10)
    environment.dispatch(PauseStarted())
    assert environment.is_in(SessionState.LOCKED_OUT)
    environment.dispatch(PauseEnded())
    environment.run(60)
    assert environment.is_in(SessionState.LOCKED_OUT)
    assert environment.state.todo
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_a_longer_pause_replaces_the_shorter_one() -> None:
    environment = paused_environment(session=Verdict.DEAD)
    environment.run(60)
    since_s = environment.state.phase_since_s
    environment.dispatch(PauseStarted(None))
    assert environment.state.pause == ActivePause()
    assert "2026" not in environment.state.why
    assert environment.state.phase_since_s == since_s


def test_what_was_out_on_purpose_is_no_outage() -> None:
    environment = paused_environment(session=Verdict.DEAD)
    environment.run(7200)
    environment.login_ends = None
    environment.dispatch(PauseEnded())
    assert environment.state.outage_since_s == pytest.approx(environment.now_s, abs=0.1)


# IBKR's windows.


def environment_in_window(session: Verdict = Verdict.ALIVE, ends_in_s: float = 3600.0) -> Environment:
    environment = Environment()
    environment.run(60)
    environment.dispatch(WindowChanged(RESET, ends_in_s))
    environment.session = session
    return environment


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.SILENT])
def test_what_is_unknown_in_a_window_is_maintenance_and_asked_calmly(verdict: Verdict) -> None:
    environment = environment_in_window(verdict, 7200.0)
    assert environment.run(60, until=SessionState.MAINTENANCE)
    assert RESET in environment.state.why
    environment.run(600)
    calm = environment.count(GatewayRequest.TICKLE, environment.now_s - 300)
    other = Environment(session=Verdict.ALIVE)
    other.run(60)
    other.session = verdict
    other.run(700)
    assert calm < other.count(GatewayRequest.TICKLE, other.now_s - 300)
    environment.run(3000)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    environment.dispatch(WindowChanged(None))
    assert environment.is_in(SessionState.UNREACHABLE)
    environment.session = Verdict.ALIVE
    assert environment.run(60, until=SessionState.UP)


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.SILENT])
def test_a_pause_in_a_window_declares_no_session_lost(verdict: Verdict) -> None:
    """Nobody has said that the session is over: it is found again, and one answer without it is not enough."""
    environment = environment_in_window(verdict)
    assert environment.run(60, until=SessionState.MAINTENANCE)
    up_since_s = environment.state.up_since_s
    environment.dispatch(PauseStarted(UNTIL))
    assert environment.is_in(SessionState.MAINTENANCE)
    assert (environment.state.up_since_s, environment.state.losses) == (up_since_s, 0)
    environment.session = Verdict.ALIVE
    assert environment.run(60, until=SessionState.UP)
    environment.dispatch(PauseEnded())
    assert (environment.state.up_since_s, environment.state.losses) == (up_since_s, 0)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


def test_a_pause_in_a_window_leaves_a_loss_to_be_confirmed() -> None:
    environment = environment_in_window(Verdict.UNKNOWN)
    assert environment.run(60, until=SessionState.MAINTENANCE)
    environment.dispatch(PauseStarted(UNTIL))
    environment.session, environment.validation = Verdict.DEAD, Verdict.ALIVE
    environment.dispatch(PauseEnded())
    environment.run(5)
    assert environment.count(GatewayRequest.VALIDATE) == 1
    assert (environment.state.losses, environment.count(LocalCommand.REQUEST_LOGIN)) == (0, 0)


@pytest.mark.parametrize("report", ["not-needed", "failed", "maintenance"])
def test_a_login_that_comes_to_nothing_in_a_pause_ends_no_session(report: LoginState) -> None:
    """A person logs in while IBKR is silent."""
    environment = Environment()
    environment.run(60)
    environment.session = Verdict.SILENT
    assert environment.run(120, until=SessionState.UNREACHABLE)
    up_since_s = environment.state.up_since_s
    environment.dispatch(login("running"))
    environment.dispatch(PauseStarted(UNTIL))
    environment.dispatch(login(report))
    assert environment.is_in(SessionState.UNREACHABLE)
    environment.session = Verdict.ALIVE
    assert environment.run(61, until=SessionState.UP)
    assert (environment.state.up_since_s, environment.state.losses) == (up_since_s, 0)


def test_a_pause_after_a_login_that_failed_ends_no_session() -> None:
    environment = Environment()
    environment.run(60)
    environment.session = Verdict.SILENT
    assert environment.run(120, until=SessionState.UNREACHABLE)
    environment.dispatch(login("running"))
    environment.dispatch(login("failed"))
    assert environment.is_in(SessionState.BACKING_OFF)
    environment.dispatch(PauseStarted(UNTIL))
    assert environment.is_in(SessionState.UNREACHABLE)
    assert environment.state.losses == 0


def test_a_session_lost_in_a_window_gets_one_login_at_once() -> None:
    """The nightly reset ends it, and the next first may begin a second later."""
    environment = environment_in_window(Verdict.DEAD)
    lost_s = environment.now_s
    assert environment.run(31, until=SessionState.LOGGING_IN)
    assert environment.run(5, until=SessionState.UP)
    assert environment.now_s - lost_s < 36
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_a_login_that_fails_in_a_window_waits_longer_than_otherwise() -> None:
    environment = environment_in_window(Verdict.DEAD, 7200.0)
    environment.login_ends = "failed"
    environment.run(7200)
    at = [when for when, command in environment.executed if command is LocalCommand.REQUEST_LOGIN]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert all(gap >= 600 for gap in gaps), gaps
    assert gaps[0] <= 1000
    assert RESET in environment.state.why


def test_a_login_that_fails_in_a_window_does_not_wait_beyond_its_end() -> None:
    environment = environment_in_window(Verdict.DEAD, 200.0)
    environment.login_ends = "failed"
    environment.run(120)
    environment.login_ends = "succeeded"
    assert environment.run(120, until=SessionState.UP)


def test_waits_spread_but_a_state_has_one_future() -> None:
    """Machines that lose IBKR together do not ask together; the same state always does the same."""
    dues = []
    for number in range(20):
        state = State(
            phase=SessionState.UNREACHABLE,
            phase_since_s=1000.0 + 1.7 * number,
            suspicion=Suspicion(inconclusive_checks=3),
        )
        first, _ = state_machine.step(state, tickle(Verdict.UNKNOWN), 2000.0)
        second, _ = state_machine.step(state, tickle(Verdict.UNKNOWN), 2000.0)
        assert first == second
        dues.append(first.schedule.due_at_s - 2000.0)
    base_s = session.INCONCLUSIVE_BACKOFF_S[3]
    assert min(dues) >= 0.8 * base_s
    assert max(dues) <= 1.2 * base_s
    assert len({round(due, 1) for due in dues}) > 10


def test_no_wait_in_a_window_is_longer_than_a_minute() -> None:
    state = replace(State(), phase=SessionState.MAINTENANCE, window=OpenWindow(RESET, ends_at_s=9e9))
    for inconclusive_checks in range(30):
        after, _ = state_machine.step(
            replace(state, suspicion=Suspicion(inconclusive_checks=inconclusive_checks)),
            tickle(Verdict.SILENT),
            5000.0 + inconclusive_checks,
        )
        assert after.schedule.due_at_s - 5000.0 - inconclusive_checks <= 60.0


def test_java_is_left_alone_while_ibkr_is_known_to_be_away() -> None:
    """Its memory holds the session, which may outlive the maintenance."""
    environment = environment_in_window(Verdict.SILENT, 4 * 3600.0)
    environment.run(3 * 3600)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 0
    environment.dispatch(WindowChanged(None))
    environment.run(700)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 1


def test_the_budgets_wait_counts_in_a_window_too() -> None:
    environment = environment_in_window(Verdict.DEAD, 60.0)
    environment.login_ends = None
    environment.run(40, until=SessionState.LOGGING_IN)
    environment.dispatch(login("failed", retry_in_s=4000.0))
    environment.run(3900)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1
    assert login_policy.LOGIN_BACKOFF_S[0] < 4000


def test_a_tick_in_a_pause_never_spins() -> None:
    environment = paused_environment(session=Verdict.DEAD)
    environment.run(3600)
    assert environment.max_within(60, GatewayRequest.TICKLE) <= 3
    state, commands = state_machine.step(environment.state, Tick(), environment.now_s)
    assert (state, commands) == (environment.state, ())
