"""The watchdog's decisions: one test per row of the decision tables, and the stories as a person would tell them."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ibkr_tools.portal.answers import Tickle
from ibkr_tools.portal.push import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.status import LoginSection, SessionState
from ibkr_tools.watchdog import doubts, machine
from ibkr_tools.watchdog.brokerage import Handshake
from ibkr_tools.watchdog.hearing import Hearing
from ibkr_tools.watchdog.observations import (
    Action,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    Listed,
    LoginReported,
    Observation,
    Tick,
    Tickled,
    Validated,
    Verdict,
)
from ibkr_tools.watchdog.state import HAS_SESSION, State
from tests.support.machine_world import World, login, tickle

NOW = 5000.0
UP = State(
    phase=SessionState.UP,
    since_s=4000.0,
    up_since_s=4000.0,
    due_s=NOW,
    last_tickle_s=NOW - 30,
    hearing=Hearing(listening=True, since_s=4000.0, heard_s=NOW),
    accounts=("U1234567",),
)
LOCKED = replace(State(), phase=SessionState.LOCKED_OUT, todo="Check the password", why="refused", due_s=NOW)
EVERY_PHASE = [replace(UP if phase in HAS_SESSION else State(), phase=phase) for phase in SessionState]


def up_world(**changes: object) -> World:
    """Returns a world in which the session has been up for a minute."""
    world = World()
    assert world.run(60, until=SessionState.UP)
    world.run(60)
    for name, value in changes.items():
        setattr(world, name, value)
    return world


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


def test_a_session_that_cannot_be_asked_for_long_is_not_called_up() -> None:
    """During IBKR's penalty of 15 minutes nobody knows how the session is."""
    world = up_world(session=Verdict.LIMITED)
    assert world.run(130, until=SessionState.UNREACHABLE)
    world.session = Verdict.ALIVE
    assert world.run(5, until=SessionState.UP)


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


# Stories.


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


def test_a_refusal_without_words_still_says_what_to_do() -> None:
    state, _ = machine.step(replace(UP, phase=SessionState.LOGGING_IN), login("refused"), NOW)
    assert "ibkr-tools unlock" in (state.todo or "")


def test_unlock_tries_again_at_once() -> None:
    state, actions = machine.step(LOCKED, login("unlocked"), NOW)
    assert actions == (Action.TICKLE,)
    state, actions = machine.step(state, tickle(Verdict.DEAD), NOW)
    assert Action.REQUEST_LOGIN in actions
    assert state.todo is None


def test_unlock_does_not_overrule_what_no_person_can() -> None:
    """Too many failures within a day: the ledger names the moment, and `unlock` does not bring it nearer."""
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


def test_a_penalty_does_not_hide_why_we_are_locked_out() -> None:
    state, _ = machine.step(LOCKED, tickle(Verdict.LIMITED), NOW)
    assert (state.why, state.todo) == (LOCKED.why, LOCKED.todo)


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


def test_a_starting_gateway_does_not_overrule_a_person() -> None:
    state = State(phase=SessionState.LOCKED_OUT, since_s=1.0, due_s=50.0)
    assert machine.step(state, GatewayStarting(), 2.0) == (state, ())


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
    """The ledger allows the next try in six hours; a person who logs in is noticed within a minute."""
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


def test_java_is_not_restarted_while_the_tickle_answers() -> None:
    """`/portfolio/accounts` may hang while the session is fine."""
    state = replace(UP, phase=SessionState.UNREACHABLE, unknowns=5, silent_since_s=NOW - 3000)
    for number in range(100):
        state, actions = machine.step(state, tickle(), NOW + 40 * number)
        assert actions == (Action.LIST_ACCOUNTS,)
        state, actions = machine.step(state, Listed(Verdict.SILENT, "hangs"), NOW + 40 * number + 8)
        assert actions == ()


def test_one_answer_among_silences_starts_the_count_anew() -> None:
    world = up_world(session=Verdict.SILENT)
    for _ in range(20):
        world.session = Verdict.SILENT
        world.run(300)
        world.session = Verdict.UNKNOWN
        world.run(40)
    assert world.count(Action.RESTART_GATEWAY) == 0


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
