"""What the state machine does over time: one scenario a test."""

import itertools
from datetime import UTC, datetime

import pytest

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.status import LoginSection, LoginState, SessionState
from ibkr_tools.watchdog import state_machine
from ibkr_tools.watchdog.events import (
    FetchHinted,
    GatewayChanged,
    GatewayRequest,
    GatewayStarting,
    LocalCommand,
    LoginReported,
    Verdict,
)
from tests.support.state_machine_environment import LOCKED, NOW, Environment, environment_with_session, login, tickle


def test_a_session_that_cannot_be_asked_for_long_is_not_called_up() -> None:
    """During IBKR's penalty of 15 minutes nobody knows how the session is."""
    environment = environment_with_session(session=Verdict.RATE_LIMITED)
    assert environment.run(130, until=SessionState.UNREACHABLE)
    environment.session = Verdict.ALIVE
    assert environment.run(5, until=SessionState.UP)


def test_a_cold_start() -> None:
    """No gateway yet; then no session; then a login; then up, listening, with the accounts it proved."""
    environment = Environment(session=Verdict.GATEWAY_DOWN)
    environment.run(10)
    assert environment.is_in(SessionState.GATEWAY_DOWN)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    environment.session = Verdict.DEAD
    environment.dispatch(GatewayChanged(up=True))
    assert environment.is_in(SessionState.LOGGING_IN)
    assert environment.run(5, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1
    assert environment.count(LocalCommand.LISTEN) == 1
    assert environment.state.accounts == ("U1234567",)
    assert environment.state.losses == 0


def test_a_start_into_a_living_session() -> None:
    """A watchdog that restarts finds the session and asks for no login."""
    environment = Environment()
    assert environment.run(2, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    assert environment.count(GatewayRequest.LIST_ACCOUNTS) == 1


@pytest.mark.parametrize("event", [SessionFrame(authenticated=False), WaitingForSession(), PushClosed("gone")])
def test_a_pushed_loss_is_noticed_at_once(event: SessionFrame | WaitingForSession | PushClosed) -> None:
    environment = environment_with_session(session=Verdict.DEAD)
    lost_s = environment.now_s
    environment.dispatch(event)
    assert environment.is_in(SessionState.LOGGING_IN)
    assert environment.now_s - lost_s < 1
    assert environment.run(5, until=SessionState.UP)
    assert environment.state.losses == 1


def test_a_loss_without_a_push_is_noticed_by_the_next_tickle() -> None:
    environment = environment_with_session(session=Verdict.DEAD)
    assert environment.run(31, until=SessionState.LOGGING_IN)


def test_a_hint_from_fetch_is_followed_at_once() -> None:
    environment = environment_with_session(session=Verdict.DEAD)
    environment.dispatch(FetchHinted())
    assert environment.is_in(SessionState.LOGGING_IN)


def test_a_false_alarm_costs_one_tickle() -> None:
    environment = environment_with_session()
    before = environment.count(GatewayRequest.TICKLE)
    environment.dispatch(PushClosed("idle"))
    assert environment.is_in(SessionState.UP)
    assert environment.count(GatewayRequest.TICKLE) == before + 1
    environment.run(2)
    assert environment.count(LocalCommand.LISTEN) == 2


def test_a_read_only_users_frames_are_no_alarm_storm() -> None:
    """`sts` with anything but authenticated:false says nothing about the portfolio tier."""
    environment = environment_with_session()
    before = environment.count(GatewayRequest.TICKLE)
    for frame in (SessionFrame(), SessionFrame(authenticated=True), SessionFrame(competing=True), Heartbeat()):
        environment.dispatch(frame)
    assert environment.count(GatewayRequest.TICKLE) == before


def test_unreachable_and_back() -> None:
    environment = environment_with_session(session=Verdict.SILENT)
    since_s = environment.state.up_since_s
    assert environment.run(60, until=SessionState.UNREACHABLE)
    environment.session = Verdict.ALIVE
    assert environment.run(35, until=SessionState.UP)
    assert (environment.state.up_since_s, environment.state.losses) == (since_s, 0)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


def test_the_gateway_gone_and_back() -> None:
    """Java's end takes the session with it."""
    environment = environment_with_session()
    environment.session = Verdict.GATEWAY_DOWN
    environment.dispatch(GatewayChanged(up=False))
    assert environment.is_in(SessionState.GATEWAY_DOWN)
    assert environment.state.losses == 1
    environment.run(5)
    environment.session = Verdict.DEAD
    environment.dispatch(GatewayChanged(up=True))
    assert environment.run(5, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


@pytest.mark.parametrize("report", ["refused", "action-required", "locked-out"])
@pytest.mark.parametrize("gateway", ["up", "down"])
def test_a_refusal_waits_for_a_person(report: LoginState, gateway: str) -> None:
    """One line, what to do, and no second try; not even if the gateway went away meanwhile."""
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    if gateway == "down":
        environment.dispatch(GatewayChanged(up=False))
    environment.dispatch(login(report, todo="Check the password"))
    assert environment.is_in(SessionState.LOCKED_OUT)
    assert environment.state.todo == "Check the password"
    environment.run(3600)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1
    assert environment.is_in(SessionState.LOCKED_OUT)
    assert environment.state.why == f"login {report}"


def test_unlock_does_not_overrule_what_no_person_can() -> None:
    """Too many failures within a day: the login log names the moment, and `unlock` does not bring it nearer."""
    environment = Environment(state=LOCKED, now_s=NOW, session=Verdict.DEAD)
    environment.dispatch(login("unlocked", retry_in_s=3600.0))
    environment.run(3590)
    assert environment.is_in(SessionState.BACKING_OFF)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    assert environment.run(20, until=SessionState.UP)


def test_a_person_who_logs_in_ends_the_lock_out() -> None:
    environment = Environment(state=LOCKED, now_s=NOW)
    assert environment.run(61, until=SessionState.UP)
    assert environment.state.todo is None


def test_a_login_that_never_reports_is_given_up() -> None:
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(170)
    assert environment.is_in(SessionState.LOGGING_IN)
    environment.run(20)
    assert environment.is_in(SessionState.BACKING_OFF)
    environment.run(30)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 2


def test_a_login_starts_beside_a_gateway_that_starts() -> None:
    """A new Java has no session, so the browser need not wait until it answers; one request is enough."""
    environment = Environment(session=Verdict.GATEWAY_DOWN, login_ends=None)
    environment.dispatch(GatewayStarting())
    assert environment.is_in(SessionState.LOGGING_IN)
    environment.dispatch(GatewayStarting())
    environment.dispatch(GatewayChanged(up=True))
    assert [command for _, command in environment.executed] == [LocalCommand.STOP_LISTENING, LocalCommand.REQUEST_LOGIN]


def test_a_java_that_keeps_dying_costs_one_login() -> None:
    """What never answers is not logged in to again; once it does answer, the login has not long to wait."""
    environment = Environment(session=Verdict.GATEWAY_DOWN, login_ends=None)
    for _ in range(20):
        environment.dispatch(GatewayStarting())
        environment.run(3)
        environment.dispatch(GatewayChanged(up=False))
        environment.run(5)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1
    environment.session, environment.login_ends = Verdict.DEAD, "succeeded"
    environment.dispatch(GatewayChanged(up=True))
    assert environment.run(15, until=SessionState.UP)


def test_a_new_java_is_the_loss_of_the_old_ones_session() -> None:
    """Killed and started again before anybody looked: the loss is counted, and the login begins at once."""
    environment = Environment(login_ends=None)
    assert environment.run(5, until=SessionState.UP)
    environment.dispatch(GatewayStarting())
    assert environment.is_in(SessionState.LOGGING_IN)
    assert environment.state.losses == 1
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_maintenance_is_waited_out() -> None:
    """IBKR's page said so: no login for a quarter of an hour, and a session that comes by itself is taken."""
    environment = Environment(session=Verdict.DEAD, login_ends="maintenance")
    environment.run(10)
    assert environment.is_in(SessionState.MAINTENANCE)
    environment.run(800)
    assert environment.is_in(SessionState.MAINTENANCE)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1
    environment.login_ends = "succeeded"
    assert environment.run(200, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 2


@pytest.mark.parametrize("verdict", [Verdict.DEAD, Verdict.RATE_LIMITED, Verdict.ALIVE])
def test_a_restarting_gateway_does_not_cut_the_logins_time_short(verdict: Verdict) -> None:
    """The parent says `up` while a login runs: the login still has its three minutes."""
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    due_at_s = state_machine.deadline(environment.state)
    state, commands = state_machine.step(environment.state, GatewayChanged(up=True), environment.now_s)
    assert commands == ()
    state, _ = state_machine.step(state, tickle(verdict), environment.now_s)
    assert (state.phase, state_machine.deadline(state)) == (SessionState.LOGGING_IN, due_at_s)


def test_a_login_may_announce_a_longer_limit() -> None:
    """With login.timeout_s at its largest, the watchdog does not take a login that is under way for dead."""
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    section = LoginSection(updated_at=datetime.now(UTC), state="running", why="under way", fresh_for_s=660.0)
    environment.dispatch(LoginReported(section))
    assert state_machine.deadline(environment.state) == environment.now_s + 660.0


def test_a_failed_login_waits_longer_each_time() -> None:
    environment = Environment(session=Verdict.DEAD, login_ends="failed", login_duration_s=5.0)
    environment.run(3600)
    at = [when for when, command in environment.executed if command is LocalCommand.REQUEST_LOGIN]
    gaps = [round(later - earlier, 1) for earlier, later in itertools.pairwise(at)]
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(15, abs=1)
    assert environment.count(LocalCommand.REQUEST_LOGIN) <= 7


def test_the_budgets_wait_is_obeyed_and_people_are_still_seen() -> None:
    """The login log allows the next try in six hours; a person who logs in is noticed within a minute."""
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.run(1)
    environment.dispatch(login("failed", retry_in_s=6 * 3600.0))
    environment.run(6 * 3600 - 10)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1
    assert environment.is_in(SessionState.BACKING_OFF)
    environment.run(30)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 2
    environment.dispatch(login("failed", retry_in_s=6 * 3600.0))
    environment.session = Verdict.ALIVE
    assert environment.run(61, until=SessionState.UP)


def test_a_session_that_dies_young_makes_the_next_login_wait() -> None:
    environment = Environment(session=Verdict.DEAD, login_helps=False)
    environment.run(600)
    assert 3 <= environment.count(LocalCommand.REQUEST_LOGIN) <= 8


def test_java_is_restarted_when_nothing_at_all_came_back_for_ten_minutes() -> None:
    environment = environment_with_session(session=Verdict.SILENT, call_duration_s=8.0)
    environment.run(590)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 0
    environment.run(120)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 1
    environment.run(3300)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 1
    environment.run(1000)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 2


def test_java_is_not_restarted_while_ibkr_answers() -> None:
    """Maintenance: 503 for hours. The session in Java's memory may outlive it."""
    environment = environment_with_session(session=Verdict.UNKNOWN)
    environment.run(4 * 3600)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 0


def test_one_answer_among_silences_starts_the_count_anew() -> None:
    environment = environment_with_session(session=Verdict.SILENT)
    for _ in range(20):
        environment.session = Verdict.SILENT
        environment.run(300)
        environment.session = Verdict.UNKNOWN
        environment.run(40)
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 0


def test_recoveries_are_counted_and_timed() -> None:
    """From the loss to the session; the first session after the start is none."""
    environment = environment_with_session(session=Verdict.DEAD)
    assert (environment.state.recoveries, environment.state.last_recovery_s) == (0, None)
    environment.dispatch(SessionFrame(authenticated=False))
    lost_s = environment.state.outage_since_s
    assert lost_s is not None
    assert environment.run(5, until=SessionState.UP)
    state = environment.state
    assert state.recoveries == 1
    assert state.last_recovery_s == state.recovery_total_s == environment.now_s - lost_s > 0
