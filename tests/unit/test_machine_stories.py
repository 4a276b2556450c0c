"""What the watchdog's machine does over time: the stories as a person would tell them."""

import itertools
from datetime import UTC, datetime

import pytest

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.status import LoginSection, SessionState
from ibkr_tools.watchdog import machine
from ibkr_tools.watchdog.observations import (
    Action,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    LoginReported,
    Verdict,
)
from tests.support.machine_world import LOCKED, NOW, World, login, tickle, up_world


def test_a_session_that_cannot_be_asked_for_long_is_not_called_up() -> None:
    """During IBKR's penalty of 15 minutes nobody knows how the session is."""
    world = up_world(session=Verdict.LIMITED)
    assert world.run(130, until=SessionState.UNREACHABLE)
    world.session = Verdict.ALIVE
    assert world.run(5, until=SessionState.UP)


def test_a_cold_start() -> None:
    """No gateway yet; then no session; then a login; then up, listening, with the accounts it proved."""
    world = World(session=Verdict.GATEWAY_GONE)
    world.run(10)
    assert world.is_in(SessionState.GATEWAY_DOWN)
    assert world.count(Action.REQUEST_LOGIN) == 0
    world.session = Verdict.DEAD
    world.feed(GatewayChanged(up=True))
    assert world.is_in(SessionState.LOGGING_IN)
    assert world.run(5, until=SessionState.UP)
    assert world.count(Action.REQUEST_LOGIN) == 1
    assert world.count(Action.LISTEN) == 1
    assert world.state.accounts == ("U1234567",)
    assert world.state.losses == 0


def test_a_start_into_a_living_session() -> None:
    """A watchdog that restarts finds the session and asks for no login."""
    world = World()
    assert world.run(2, until=SessionState.UP)
    assert world.count(Action.REQUEST_LOGIN) == 0
    assert world.count(Action.LIST_ACCOUNTS) == 1


@pytest.mark.parametrize("event", [SessionFrame(authenticated=False), WaitingForSession(), PushClosed("gone")])
def test_a_pushed_loss_is_noticed_at_once(event: SessionFrame | WaitingForSession | PushClosed) -> None:
    world = up_world(session=Verdict.DEAD)
    lost_s = world.now_s
    world.feed(event)
    assert world.is_in(SessionState.LOGGING_IN)
    assert world.now_s - lost_s < 1
    assert world.run(5, until=SessionState.UP)
    assert world.state.losses == 1


def test_a_loss_without_a_push_is_noticed_by_the_next_tickle() -> None:
    world = up_world(session=Verdict.DEAD)
    assert world.run(31, until=SessionState.LOGGING_IN)


def test_a_hint_from_fetch_is_followed_at_once() -> None:
    world = up_world(session=Verdict.DEAD)
    world.feed(FetchHinted())
    assert world.is_in(SessionState.LOGGING_IN)


def test_a_false_alarm_costs_one_tickle() -> None:
    world = up_world()
    before = world.count(Action.TICKLE)
    world.feed(PushClosed("idle"))
    assert world.is_in(SessionState.UP)
    assert world.count(Action.TICKLE) == before + 1
    world.run(2)
    assert world.count(Action.LISTEN) == 2


def test_a_read_only_users_frames_are_no_alarm_storm() -> None:
    """`sts` with anything but authenticated:false says nothing about the portfolio tier."""
    world = up_world()
    before = world.count(Action.TICKLE)
    for frame in (SessionFrame(), SessionFrame(authenticated=True), SessionFrame(competing=True), Heartbeat()):
        world.feed(frame)
    assert world.count(Action.TICKLE) == before


def test_unreachable_and_back() -> None:
    world = up_world(session=Verdict.SILENT)
    since_s = world.state.up_since_s
    assert world.run(60, until=SessionState.UNREACHABLE)
    world.session = Verdict.ALIVE
    assert world.run(35, until=SessionState.UP)
    assert (world.state.up_since_s, world.state.losses) == (since_s, 0)
    assert world.count(Action.REQUEST_LOGIN) == 0


def test_the_gateway_gone_and_back() -> None:
    """Java's end takes the session with it."""
    world = up_world()
    world.session = Verdict.GATEWAY_GONE
    world.feed(GatewayChanged(up=False))
    assert world.is_in(SessionState.GATEWAY_DOWN)
    assert world.state.losses == 1
    world.run(5)
    world.session = Verdict.DEAD
    world.feed(GatewayChanged(up=True))
    assert world.run(5, until=SessionState.UP)
    assert world.count(Action.REQUEST_LOGIN) == 1


@pytest.mark.parametrize("report", ["refused", "locked-out"])
@pytest.mark.parametrize("gateway", ["up", "down"])
def test_a_refusal_waits_for_a_person(report: str, gateway: str) -> None:
    """One line, what to do, and no second try; not even if the gateway went away meanwhile."""
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    if gateway == "down":
        world.feed(GatewayChanged(up=False))
    world.feed(login("refused" if report == "refused" else "locked-out", todo="Check the password"))
    assert world.is_in(SessionState.LOCKED_OUT)
    assert world.state.todo == "Check the password"
    world.run(3600)
    assert world.count(Action.REQUEST_LOGIN) == 1
    assert world.is_in(SessionState.LOCKED_OUT)
    assert world.state.why == f"login {report}"


def test_unlock_does_not_overrule_what_no_person_can() -> None:
    """Too many failures within a day: the login log names the moment, and `unlock` does not bring it nearer."""
    world = World(state=LOCKED, now_s=NOW, session=Verdict.DEAD)
    world.feed(login("unlocked", retry_in_s=3600.0))
    world.run(3590)
    assert world.is_in(SessionState.BACKING_OFF)
    assert world.count(Action.REQUEST_LOGIN) == 0
    assert world.run(20, until=SessionState.UP)


def test_a_person_who_logs_in_ends_the_lock_out() -> None:
    world = World(state=LOCKED, now_s=NOW)
    assert world.run(61, until=SessionState.UP)
    assert world.state.todo is None


def test_a_login_that_never_reports_is_given_up() -> None:
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(170)
    assert world.is_in(SessionState.LOGGING_IN)
    world.run(20)
    assert world.is_in(SessionState.BACKING_OFF)
    world.run(30)
    assert world.count(Action.REQUEST_LOGIN) == 2


def test_a_login_starts_beside_a_gateway_that_starts() -> None:
    """A new Java has no session, so the browser need not wait until it answers; one request is enough."""
    world = World(session=Verdict.GATEWAY_GONE, login_ends=None)
    world.feed(GatewayStarting())
    assert world.is_in(SessionState.LOGGING_IN)
    world.feed(GatewayStarting())
    world.feed(GatewayChanged(up=True))
    assert [action for _, action in world.done] == [Action.STOP_LISTENING, Action.REQUEST_LOGIN]


def test_a_java_that_keeps_dying_costs_one_login() -> None:
    """What never answers is not logged in to again; once it does answer, the login has not long to wait."""
    world = World(session=Verdict.GATEWAY_GONE, login_ends=None)
    for _ in range(20):
        world.feed(GatewayStarting())
        world.run(3)
        world.feed(GatewayChanged(up=False))
        world.run(5)
    assert world.count(Action.REQUEST_LOGIN) == 1
    world.session, world.login_ends = Verdict.DEAD, "succeeded"
    world.feed(GatewayChanged(up=True))
    assert world.run(15, until=SessionState.UP)


def test_a_new_java_is_the_loss_of_the_old_ones_session() -> None:
    """Killed and started again before anybody looked: the loss is counted, and the login begins at once."""
    world = World(login_ends=None)
    assert world.run(5, until=SessionState.UP)
    world.feed(GatewayStarting())
    assert world.is_in(SessionState.LOGGING_IN)
    assert world.state.losses == 1
    assert world.count(Action.REQUEST_LOGIN) == 1


def test_maintenance_is_waited_out() -> None:
    """IBKR's page said so: no login for a quarter of an hour, and a session that comes by itself is taken."""
    world = World(session=Verdict.DEAD, login_ends="maintenance")
    world.run(10)
    assert world.is_in(SessionState.MAINTENANCE)
    world.run(800)
    assert world.is_in(SessionState.MAINTENANCE)
    assert world.count(Action.REQUEST_LOGIN) == 1
    world.login_ends = "succeeded"
    assert world.run(200, until=SessionState.UP)
    assert world.count(Action.REQUEST_LOGIN) == 2


@pytest.mark.parametrize("verdict", [Verdict.DEAD, Verdict.LIMITED, Verdict.ALIVE])
def test_a_restarting_gateway_does_not_cut_the_logins_time_short(verdict: Verdict) -> None:
    """The parent says `up` while a login runs: the login still has its three minutes."""
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    due_s = machine.deadline(world.state)
    state, actions = machine.step(world.state, GatewayChanged(up=True), world.now_s)
    assert actions == ()
    state, _ = machine.step(state, tickle(verdict), world.now_s)
    assert (state.phase, machine.deadline(state)) == (SessionState.LOGGING_IN, due_s)


def test_a_login_may_announce_a_longer_limit() -> None:
    """With login.timeout_s at its largest, the watchdog does not take a login that is under way for dead."""
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    section = LoginSection(updated_at=datetime.now(UTC), state="running", why="under way", fresh_for_s=660.0)
    world.feed(LoginReported(section))
    assert machine.deadline(world.state) == world.now_s + 660.0


def test_a_failed_login_waits_longer_each_time() -> None:
    world = World(session=Verdict.DEAD, login_ends="failed", login_takes_s=5.0)
    world.run(3600)
    at = [when for when, action in world.done if action is Action.REQUEST_LOGIN]
    gaps = [round(later - earlier, 1) for earlier, later in itertools.pairwise(at)]
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(15, abs=1)
    assert world.count(Action.REQUEST_LOGIN) <= 7


def test_the_budgets_wait_is_obeyed_and_people_are_still_seen() -> None:
    """The login log allows the next try in six hours; a person who logs in is noticed within a minute."""
    world = World(session=Verdict.DEAD, login_ends=None)
    world.run(1)
    world.feed(login("failed", retry_in_s=6 * 3600.0))
    world.run(6 * 3600 - 10)
    assert world.count(Action.REQUEST_LOGIN) == 1
    assert world.is_in(SessionState.BACKING_OFF)
    world.run(30)
    assert world.count(Action.REQUEST_LOGIN) == 2
    world.feed(login("failed", retry_in_s=6 * 3600.0))
    world.session = Verdict.ALIVE
    assert world.run(61, until=SessionState.UP)


def test_a_session_that_dies_young_makes_the_next_login_wait() -> None:
    world = World(session=Verdict.DEAD, login_helps=False)
    world.run(600)
    assert 3 <= world.count(Action.REQUEST_LOGIN) <= 8


def test_java_is_restarted_when_nothing_at_all_came_back_for_ten_minutes() -> None:
    world = up_world(session=Verdict.SILENT, call_takes_s=8.0)
    world.run(590)
    assert world.count(Action.RESTART_GATEWAY) == 0
    world.run(120)
    assert world.count(Action.RESTART_GATEWAY) == 1
    world.run(3300)
    assert world.count(Action.RESTART_GATEWAY) == 1
    world.run(1000)
    assert world.count(Action.RESTART_GATEWAY) == 2


def test_java_is_not_restarted_while_ibkr_answers() -> None:
    """Maintenance: 503 for hours. The session in Java's memory may outlive it."""
    world = up_world(session=Verdict.UNKNOWN)
    world.run(4 * 3600)
    assert world.count(Action.RESTART_GATEWAY) == 0


def test_one_answer_among_silences_starts_the_count_anew() -> None:
    world = up_world(session=Verdict.SILENT)
    for _ in range(20):
        world.session = Verdict.SILENT
        world.run(300)
        world.session = Verdict.UNKNOWN
        world.run(40)
    assert world.count(Action.RESTART_GATEWAY) == 0
