"""The brokerage session of a user who wants it: a row per state of the decision tables, and the escalation."""

import itertools

import pytest

from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import brokerage_session
from ibkr_tools.watchdog.brokerage_session import (
    FRESH_LOGIN_AFTER_S,
    FRESH_LOGIN_SETTLE_S,
    HANDSHAKE_TIMEOUT_S,
    BrokerageDecision,
    BrokerageState,
    CompetingPolicy,
)
from ibkr_tools.watchdog.events import (
    Command,
    GatewayRequest,
    LocalCommand,
    PauseEnded,
    PauseStarted,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.state import State, TickleSchedule
from tests.support.state_machine_environment import Environment

NOW = 100_000.0
UP = Tickle(has_session=True, authenticated=True, connected=True)
MISSING = Tickle(has_session=True, connected=True)
UNLINKED = Tickle(has_session=True)
COMPETING = Tickle(has_session=True, authenticated=True, connected=True, competing=True)
TAKEN = Tickle(has_session=True, connected=True, competing=True)
COLLIDING = Tickle(has_session=True, collision=True)
SILENT = Tickle(has_session=True, has_brokerage_status=False)
WAS_UP = BrokerageState(was_up=True)
ASKING = {
    GatewayRequest.REAUTHENTICATE,
    GatewayRequest.INIT_BROKERAGE,
    GatewayRequest.TAKE_BROKERAGE,
    LocalCommand.REQUEST_FRESH_LOGIN,
}
YIELD, TAKE = CompetingPolicy(quiet_s=1800.0), CompetingPolicy(take=True, quiet_s=1800.0)


def evaluate(
    state: BrokerageState, tickle: Tickle, now_s: float = NOW, policy: CompetingPolicy = YIELD, **more: bool
) -> BrokerageDecision:
    return brokerage_session.evaluate(state, tickle, now_s, policy, **{"paused": False, "in_window": False, **more})


def make_environment(tickle: Tickle = UP, policy: CompetingPolicy = YIELD, **more: object) -> Environment:
    """Returns an environment in which the user wants the brokerage tier, and a login brings it."""
    environment = Environment(
        brokerage=tickle,
        state=State(wants_brokerage=True, policy=policy, phase_since_s=1000, schedule=TickleSchedule(due_at_s=1000)),
    )
    for name, value in more.items():
        setattr(environment, name, value)
    return environment


def environment_after_login(tickle: Tickle, **more: object) -> Environment:
    """Returns an environment in which a login has just succeeded."""
    environment = make_environment(tickle, YIELD, session=Verdict.DEAD, login_duration_s=0.0, **more)
    environment.run(1, until=SessionState.DEGRADED)
    return environment


def requests_of(environment: Environment, since_s: float = 0.0) -> list[tuple[float, Command]]:
    return [(at, command) for at, command in environment.executed if command in ASKING and at >= since_s]


# The rows: what the tickle says, what was before, what is done.

ROWS: dict[str, tuple[BrokerageState, Tickle, CompetingPolicy, SessionState, tuple[Command, ...]]] = {
    "usable": (BrokerageState(), UP, YIELD, SessionState.UP, ()),
    "just logged in": (BrokerageState().session_started(NOW), MISSING, YIELD, SessionState.DEGRADED, ()),
    "the jar's handshake has stalled": (
        BrokerageState().session_started(NOW - HANDSHAKE_TIMEOUT_S),
        MISSING,
        YIELD,
        SessionState.DEGRADED,
        (GatewayRequest.REAUTHENTICATE,),
    ),
    "timed out": (WAS_UP, MISSING, YIELD, SessionState.DEGRADED, (GatewayRequest.INIT_BROKERAGE,)),
    "no link to IBKR": (WAS_UP, UNLINKED, YIELD, SessionState.DEGRADED, ()),
    "still no link": (
        BrokerageState(missing_since_s=NOW - HANDSHAKE_TIMEOUT_S, next_attempt_at_s=NOW),
        UNLINKED,
        YIELD,
        SessionState.DEGRADED,
        (GatewayRequest.INIT_BROKERAGE,),
    ),
    "competing, to be yielded": (WAS_UP, COMPETING, YIELD, SessionState.COMPETING, ()),
    "taken altogether, to be yielded": (WAS_UP, TAKEN, YIELD, SessionState.COMPETING, ()),
    "colliding, to be yielded": (WAS_UP, COLLIDING, YIELD, SessionState.COMPETING, ()),
    "competing, to be taken": (WAS_UP, COMPETING, TAKE, SessionState.COMPETING, (GatewayRequest.TAKE_BROKERAGE,)),
    "taken altogether, to be taken": (WAS_UP, TAKEN, TAKE, SessionState.COMPETING, (GatewayRequest.TAKE_BROKERAGE,)),
    "no word of it": (WAS_UP, SILENT, YIELD, SessionState.UP, ()),
    "no word of it in a new session": (BrokerageState().session_started(NOW), SILENT, YIELD, SessionState.DEGRADED, ()),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    state, tickle, policy, phase, commands = ROWS[name]
    decision = evaluate(state, tickle, policy=policy)
    assert (decision.phase, decision.commands) == (phase, commands)
    assert decision.why
    assert decision.next


@pytest.mark.parametrize("name", ROWS)
def test_while_paused_nothing_is_done(name: str) -> None:
    state, tickle, policy, phase, _ = ROWS[name]
    decision = evaluate(state, tickle, policy=policy, paused=True)
    assert (decision.phase, decision.commands) == (phase, ())


def test_half_an_answer_that_lasts_is_a_loss() -> None:
    decision = evaluate(WAS_UP, SILENT)
    assert decision.recheck_in_s == brokerage_session.BROKERAGE_RECHECK_S
    decision = evaluate(decision.brokerage, SILENT, NOW + HANDSHAKE_TIMEOUT_S)
    assert (decision.phase, decision.commands) == (SessionState.DEGRADED, (GatewayRequest.INIT_BROKERAGE,))


def test_authenticated_forgets_the_last_error() -> None:
    failing = BrokerageState(
        missing_since_s=NOW - 5000, attempts=9, fresh_login_at_s=NOW - 4000, exhausted=True, last_error="HTTP 503"
    )
    assert evaluate(failing, UP).brokerage == BrokerageState(was_up=True)


# The escalation.


def test_a_stalled_handshake_is_repeated_once_and_cured() -> None:
    """One reply in two TCP segments is enough to stall the jar; its local repetition is all it takes."""
    environment = environment_after_login(MISSING, brokerage_after={GatewayRequest.REAUTHENTICATE: UP})
    assert environment.run(20, until=SessionState.UP)
    assert [command for _, command in requests_of(environment)] == [GatewayRequest.REAUTHENTICATE]
    assert environment.now_s - 1000 < HANDSHAKE_TIMEOUT_S + 4


def test_a_session_that_was_there_already_is_asked_about_before_anybody_is_thrown_out() -> None:
    """A watchdog that restarts does not know whether another program has the tier: only `ssodh/init` tells."""
    environment = make_environment(MISSING, brokerage_after={GatewayRequest.INIT_BROKERAGE: TAKEN})
    environment.run(60)
    assert environment.is_in(SessionState.COMPETING)
    assert [command for _, command in requests_of(environment)] == [GatewayRequest.INIT_BROKERAGE]


def test_the_whole_escalation() -> None:
    """Repeat, ask, ever more slowly; a new login after a quarter of an hour; then a person, and calm."""
    environment = environment_after_login(MISSING)
    environment.run(4 * 3600)
    attempts = requests_of(environment)
    assert [command for _, command in attempts[:4]] == [
        GatewayRequest.REAUTHENTICATE,
        GatewayRequest.INIT_BROKERAGE,
    ] * 2
    fresh = [at - 1000 for at, command in attempts if command is LocalCommand.REQUEST_FRESH_LOGIN]
    assert len(fresh) == 1
    assert FRESH_LOGIN_AFTER_S <= fresh[0] <= FRESH_LOGIN_AFTER_S + 320
    before = [at - 1000 for at, _ in attempts if at - 1000 < fresh[0]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(before)]
    assert all(later > earlier - 2.1 for earlier, later in itertools.pairwise(gaps)), gaps
    assert gaps[-1] >= 299
    assert environment.is_in(SessionState.DEGRADED)
    assert environment.state.todo
    assert environment.state.brokerage.exhausted
    late = [(at, command) for at, command in attempts if at - 1000 > fresh[0] + FRESH_LOGIN_SETTLE_S + 600]
    assert {command for _, command in late} == {GatewayRequest.INIT_BROKERAGE}
    assert len(late) == pytest.approx((4 * 3600 - fresh[0] - 900) / brokerage_session.EXHAUSTED_RETRY_S, abs=2)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1, "the first login, and no loss of the portfolio tier"
    assert environment.max_within(600, GatewayRequest.TICKLE) < 70, (
        "a tier that stays down is not asked every two seconds for ever"
    )


def test_a_login_cures_what_asking_does_not() -> None:
    environment = make_environment(MISSING, login_brokerage=UP)
    assert environment.run(FRESH_LOGIN_AFTER_S + 400, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_FRESH_LOGIN) == 1
    assert environment.state.losses == 0
    environment.run(3600)
    assert environment.count(LocalCommand.REQUEST_FRESH_LOGIN) == 1


def test_the_fresh_login_may_fail() -> None:
    """The portfolio tier is not harmed, and the escalation goes on."""
    environment = make_environment(MISSING, login_ends="failed")
    environment.run(2 * 3600)
    assert environment.is_in(SessionState.DEGRADED)
    assert (environment.count(LocalCommand.REQUEST_FRESH_LOGIN), environment.count(LocalCommand.REQUEST_LOGIN)) == (
        1,
        0,
    )
    assert environment.state.todo


def test_the_fresh_login_ends_the_old_session_first() -> None:
    """While it is under way the old session dies: no second login for that."""
    environment = make_environment(MISSING, login_duration_s=20.0, login_brokerage=UP)
    while not environment.count(LocalCommand.REQUEST_FRESH_LOGIN):
        environment.run(1)
    environment.run(2)
    environment.session = Verdict.DEAD
    assert environment.run(40, until=SessionState.LOGGING_IN) or environment.is_in(SessionState.UP)
    assert environment.run(40, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


def test_no_new_login_while_ibkr_maintains() -> None:
    environment = make_environment(MISSING)
    environment.dispatch(WindowChanged("IBKR's weekend maintenance", 4 * 3600))
    environment.run(2 * 3600)
    assert environment.count(LocalCommand.REQUEST_FRESH_LOGIN) == 0
    environment.dispatch(WindowChanged(None))
    environment.run(400)
    assert environment.count(LocalCommand.REQUEST_FRESH_LOGIN) == 1


def test_no_link_to_ibkr_is_waited_out() -> None:
    """IBKR's side is down: a login cannot help; a person hears of it after an hour."""
    environment = make_environment(UNLINKED)
    environment.run(3500)
    assert {command for _, command in requests_of(environment)} == {GatewayRequest.INIT_BROKERAGE}
    assert len(requests_of(environment)) <= 12
    assert not environment.state.todo
    environment.run(400)
    assert environment.state.todo
    environment.brokerage = UP
    assert environment.run(31, until=SessionState.UP)
    assert not environment.state.todo


def test_a_lost_tier_is_asked_for_at_once() -> None:
    """Within 30 s the jar would log the whole session out."""
    environment = make_environment(UP)
    environment.run(60)
    environment.brokerage, environment.brokerage_after = MISSING, {GatewayRequest.INIT_BROKERAGE: UP}
    lost_s = environment.now_s
    assert environment.run(60, until=SessionState.DEGRADED)
    assert environment.run(5, until=SessionState.UP)
    assert [command for _, command in requests_of(environment, lost_s)] == [GatewayRequest.INIT_BROKERAGE]


def test_the_error_of_the_last_attempt_is_shown() -> None:
    decision = evaluate(
        BrokerageState(
            missing_since_s=NOW - 60, next_attempt_at_s=NOW + 60, attempts=2, last_error="IBKR answers HTTP 503"
        ),
        MISSING,
    )
    assert "IBKR answers HTTP 503" in decision.why


# Another program of the same user.


def test_yield_comes_back_after_the_quiet_span_and_throws_nobody_out() -> None:
    environment = make_environment(UP)
    environment.run(60)
    environment.brokerage, begun_s = COMPETING, environment.now_s
    environment.run(3 * 1800 + 120)
    assert environment.is_in(SessionState.COMPETING)
    at = [when - begun_s for when, _ in requests_of(environment)]
    assert {command for _, command in requests_of(environment)} == {GatewayRequest.INIT_BROKERAGE}
    assert at == pytest.approx([1800, 3600, 5400], abs=35)
    assert environment.state.schedule.next_at_s
    assert not environment.state.todo
    environment.brokerage = UP
    assert environment.run(31, until=SessionState.UP)


def test_a_session_lost_while_yielding_is_not_logged_in_again_before_the_span_is_over() -> None:
    """A login's handshake always competes: it would throw the other program out."""
    environment = make_environment(UP)
    environment.run(60)
    environment.brokerage, begun_s = COMPETING, environment.now_s
    environment.run(60)
    environment.session = Verdict.DEAD
    assert environment.run(40, until=SessionState.BACKING_OFF)
    assert "another program" in environment.state.why
    assert environment.state.schedule.next_at_s == pytest.approx(begun_s + 1800, abs=35)
    environment.run(begun_s + 1790 - environment.now_s)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    environment.brokerage = UP
    assert environment.run(60, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


def test_pushed_out_altogether_is_left_alone_too() -> None:
    """The other program has finished its login: nothing says `competing` any more, but it is there."""
    environment = make_environment(UP)
    environment.run(60)
    environment.brokerage, begun_s = COMPETING, environment.now_s
    environment.run(60)
    environment.brokerage = MISSING
    environment.run(1700)
    assert requests_of(environment) == []
    assert environment.is_in(SessionState.COMPETING)
    environment.brokerage_after = {GatewayRequest.INIT_BROKERAGE: UP}
    assert environment.run(60, until=SessionState.UP)
    assert [command for _, command in requests_of(environment)] == [GatewayRequest.INIT_BROKERAGE]
    assert environment.now_s - begun_s > 1800 - 1


def test_a_java_that_dies_while_yielding_does_not_take_it_back_either() -> None:
    environment = make_environment(UP)
    environment.run(60)
    environment.brokerage = COMPETING
    environment.run(60)
    environment.session = Verdict.GATEWAY_DOWN
    environment.run(60)
    environment.session = Verdict.DEAD
    environment.run(1500)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    environment.brokerage = UP
    assert environment.run(200, until=SessionState.UP)


def test_take_takes_at_once() -> None:
    environment = make_environment(UP, TAKE)
    environment.run(60)
    environment.brokerage, environment.brokerage_after = COMPETING, {GatewayRequest.TAKE_BROKERAGE: UP}
    assert environment.run(31, until=SessionState.COMPETING)
    assert environment.run(3, until=SessionState.UP)
    assert environment.count(GatewayRequest.TAKE_BROKERAGE) == 1


def test_take_yields_to_one_who_takes_it_back_again_and_again() -> None:
    """Three times within ten minutes: then the person hears of it, and it is left alone for the quiet span."""
    environment = make_environment(UP, TAKE, brokerage_after={GatewayRequest.TAKE_BROKERAGE: UP})
    environment.run(60)
    for _ in range(8):
        environment.brokerage = COMPETING
        environment.run(45)
    assert environment.count(GatewayRequest.TAKE_BROKERAGE) == brokerage_session.MAX_TAKES
    assert environment.is_in(SessionState.COMPETING)
    assert environment.state.brokerage.contested
    assert environment.state.todo
    environment.brokerage = COMPETING
    environment.run(1500)
    assert environment.count(GatewayRequest.TAKE_BROKERAGE) == brokerage_session.MAX_TAKES
    environment.run(400)
    assert environment.count(GatewayRequest.TAKE_BROKERAGE) > brokerage_session.MAX_TAKES
    environment.run(700)
    assert environment.is_in(SessionState.UP)
    assert not environment.state.brokerage.contested


# Pauses.


def test_a_pause_stops_the_escalation_and_resuming_goes_on_at_once() -> None:
    environment = make_environment(MISSING)
    environment.run(5)
    environment.dispatch(PauseStarted())
    environment.run(3600)
    assert requests_of(environment) == []
    assert environment.is_in(SessionState.DEGRADED)
    assert environment.max_within(600, GatewayRequest.TICKLE) <= 61
    environment.brokerage_after = {GatewayRequest.INIT_BROKERAGE: UP}
    environment.dispatch(PauseEnded())
    assert environment.run(5, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_FRESH_LOGIN) == 0, (
        "what was missing during the pause was missing on purpose"
    )
