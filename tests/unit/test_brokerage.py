"""The brokerage tier of a user who wants it: one row per state of the decision tables, and the ladder's stories."""

import itertools

import pytest

from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import brokerage
from ibkr_tools.watchdog.brokerage import FRESH_S, HANDSHAKE_S, SETTLED_S, Handshake, Policy, View
from ibkr_tools.watchdog.observations import Action, Paused, Resumed, Verdict, WindowChanged
from ibkr_tools.watchdog.state import State
from tests.support.machine_world import World

NOW = 100_000.0
UP = Tickle(has_session=True, authenticated=True, connected=True)
MISSING = Tickle(has_session=True, connected=True)
UNLINKED = Tickle(has_session=True)
COMPETING = Tickle(has_session=True, authenticated=True, connected=True, competing=True)
TAKEN = Tickle(has_session=True, connected=True, competing=True)
COLLIDING = Tickle(has_session=True, collision=True)
SILENT = Tickle(has_session=True, has_brokerage_status=False)
WAS_UP = Handshake(was_up=True)
ASKING = {Action.REAUTHENTICATE, Action.INIT_BROKERAGE, Action.TAKE_BROKERAGE, Action.REQUEST_FRESH_LOGIN}
YIELD, TAKE = Policy(quiet_s=1800.0), Policy(take=True, quiet_s=1800.0)


def look(past: Handshake, tickle: Tickle, now_s: float = NOW, policy: Policy = YIELD, **more: bool) -> View:
    return brokerage.look(past, tickle, now_s, policy, **{"paused": False, "calm": False, **more})


def world(tickle: Tickle = UP, policy: Policy = YIELD, **more: object) -> World:
    """Returns a world in which the user wants the brokerage tier, and a login brings it."""
    one = World(brokerage=tickle, state=State(wants_brokerage=True, policy=policy, since_s=1000, due_s=1000))
    for name, value in more.items():
        setattr(one, name, value)
    return one


def logged_in(tickle: Tickle, **more: object) -> World:
    """Returns a world in which a login has just succeeded."""
    one = world(tickle, YIELD, session=Verdict.DEAD, login_takes_s=0.0, **more)
    one.run(1, until=SessionState.DEGRADED)
    return one


def asked(one: World, since_s: float = 0.0) -> list[tuple[float, Action]]:
    return [(at, action) for at, action in one.done if action in ASKING and at >= since_s]


# The rows: what the tickle says, what was before, what is done.

ROWS: dict[str, tuple[Handshake, Tickle, Policy, SessionState, tuple[Action, ...]]] = {
    "usable": (Handshake(), UP, YIELD, SessionState.UP, ()),
    "just logged in": (Handshake().begun(NOW), MISSING, YIELD, SessionState.DEGRADED, ()),
    "the jar's handshake has stalled": (
        Handshake().begun(NOW - HANDSHAKE_S),
        MISSING,
        YIELD,
        SessionState.DEGRADED,
        (Action.REAUTHENTICATE,),
    ),
    "timed out": (WAS_UP, MISSING, YIELD, SessionState.DEGRADED, (Action.INIT_BROKERAGE,)),
    "no link to IBKR": (WAS_UP, UNLINKED, YIELD, SessionState.DEGRADED, ()),
    "still no link": (
        Handshake(missing_s=NOW - HANDSHAKE_S, next_s=NOW),
        UNLINKED,
        YIELD,
        SessionState.DEGRADED,
        (Action.INIT_BROKERAGE,),
    ),
    "competing, to be yielded": (WAS_UP, COMPETING, YIELD, SessionState.COMPETING, ()),
    "taken altogether, to be yielded": (WAS_UP, TAKEN, YIELD, SessionState.COMPETING, ()),
    "colliding, to be yielded": (WAS_UP, COLLIDING, YIELD, SessionState.COMPETING, ()),
    "competing, to be taken": (WAS_UP, COMPETING, TAKE, SessionState.COMPETING, (Action.TAKE_BROKERAGE,)),
    "taken altogether, to be taken": (WAS_UP, TAKEN, TAKE, SessionState.COMPETING, (Action.TAKE_BROKERAGE,)),
    "no word of it": (WAS_UP, SILENT, YIELD, SessionState.UP, ()),
    "no word of it in a new session": (Handshake().begun(NOW), SILENT, YIELD, SessionState.DEGRADED, ()),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    past, tickle, policy, phase, actions = ROWS[name]
    view = look(past, tickle, policy=policy)
    assert (view.phase, view.actions) == (phase, actions)
    assert view.why
    assert view.next


@pytest.mark.parametrize("name", ROWS)
def test_while_paused_nothing_is_done(name: str) -> None:
    past, tickle, policy, phase, _ = ROWS[name]
    view = look(past, tickle, policy=policy, paused=True)
    assert (view.phase, view.actions) == (phase, ())


def test_half_an_answer_that_lasts_is_a_loss() -> None:
    view = look(WAS_UP, SILENT)
    assert view.again_s == brokerage.LOOK_S
    view = look(view.handshake, SILENT, NOW + HANDSHAKE_S)
    assert (view.phase, view.actions) == (SessionState.DEGRADED, (Action.INIT_BROKERAGE,))


def test_authenticated_forgets_the_trouble() -> None:
    troubled = Handshake(missing_s=NOW - 5000, tries=9, fresh_s=NOW - 4000, exhausted=True, trouble="HTTP 503")
    assert look(troubled, UP).handshake == Handshake(was_up=True)


# The ladder.


def test_a_stalled_handshake_is_repeated_once_and_cured() -> None:
    """One reply in two TCP segments is enough to stall the jar; its local repetition is all it takes."""
    one = logged_in(MISSING, asking={Action.REAUTHENTICATE: UP})
    assert one.run(20, until=SessionState.UP)
    assert [action for _, action in asked(one)] == [Action.REAUTHENTICATE]
    assert one.now_s - 1000 < HANDSHAKE_S + 4


def test_a_session_that_was_there_already_is_asked_about_before_anybody_is_thrown_out() -> None:
    """A watchdog that restarts does not know whether another program has the tier: only `ssodh/init` tells."""
    one = world(MISSING, asking={Action.INIT_BROKERAGE: TAKEN})
    one.run(60)
    assert one.is_in(SessionState.COMPETING)
    assert [action for _, action in asked(one)] == [Action.INIT_BROKERAGE]


def test_the_whole_ladder() -> None:
    """Repeat, ask, ever more slowly; a new login after a quarter of an hour; then a person, and calm."""
    one = logged_in(MISSING)
    one.run(4 * 3600)
    rungs = asked(one)
    assert [action for _, action in rungs[:4]] == [Action.REAUTHENTICATE, Action.INIT_BROKERAGE] * 2
    fresh = [at - 1000 for at, action in rungs if action is Action.REQUEST_FRESH_LOGIN]
    assert len(fresh) == 1
    assert FRESH_S <= fresh[0] <= FRESH_S + 320
    before = [at - 1000 for at, _ in rungs if at - 1000 < fresh[0]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(before)]
    assert all(later > earlier - 2.1 for earlier, later in itertools.pairwise(gaps)), gaps
    assert gaps[-1] >= 299
    assert one.is_in(SessionState.DEGRADED)
    assert one.state.todo
    assert one.state.handshake.exhausted
    late = [(at, action) for at, action in rungs if at - 1000 > fresh[0] + SETTLED_S + 600]
    assert {action for _, action in late} == {Action.INIT_BROKERAGE}
    assert len(late) == pytest.approx((4 * 3600 - fresh[0] - 900) / brokerage.CALM_S, abs=2)
    assert one.count(Action.REQUEST_LOGIN) == 1, "the first one, and no loss of the portfolio tier"
    assert one.most_in(600, Action.TICKLE) < 70, "a tier that stays down is not asked every two seconds for ever"


def test_a_login_cures_what_asking_does_not() -> None:
    one = world(MISSING, login_brokerage=UP)
    assert one.run(FRESH_S + 400, until=SessionState.UP)
    assert one.count(Action.REQUEST_FRESH_LOGIN) == 1
    assert one.state.losses == 0
    one.run(3600)
    assert one.count(Action.REQUEST_FRESH_LOGIN) == 1


def test_the_fresh_login_may_fail() -> None:
    """The portfolio tier is not harmed, and the ladder goes on."""
    one = world(MISSING, login_ends="failed")
    one.run(2 * 3600)
    assert one.is_in(SessionState.DEGRADED)
    assert (one.count(Action.REQUEST_FRESH_LOGIN), one.count(Action.REQUEST_LOGIN)) == (1, 0)
    assert one.state.todo


def test_the_fresh_login_ends_the_old_session_first() -> None:
    """While it is under way the old session dies: no second login for that."""
    one = world(MISSING, login_takes_s=20.0, login_brokerage=UP)
    while not one.count(Action.REQUEST_FRESH_LOGIN):
        one.run(1)
    one.run(2)
    one.session = Verdict.DEAD
    assert one.run(40, until=SessionState.LOGGING_IN) or one.is_in(SessionState.UP)
    assert one.run(40, until=SessionState.UP)
    assert one.count(Action.REQUEST_LOGIN) == 0


def test_no_new_login_while_ibkr_maintains() -> None:
    one = world(MISSING)
    one.feed(WindowChanged("IBKR's weekend maintenance", 4 * 3600))
    one.run(2 * 3600)
    assert one.count(Action.REQUEST_FRESH_LOGIN) == 0
    one.feed(WindowChanged(None))
    one.run(400)
    assert one.count(Action.REQUEST_FRESH_LOGIN) == 1


def test_no_link_to_ibkr_is_waited_out() -> None:
    """IBKR's side is down: a login cannot help; a person hears of it after an hour."""
    one = world(UNLINKED)
    one.run(3500)
    assert {action for _, action in asked(one)} == {Action.INIT_BROKERAGE}
    assert len(asked(one)) <= 12
    assert not one.state.todo
    one.run(400)
    assert one.state.todo
    one.brokerage = UP
    assert one.run(31, until=SessionState.UP)
    assert not one.state.todo


def test_a_lost_tier_is_asked_for_at_once() -> None:
    """Within 30 s the jar would log the whole session out."""
    one = world(UP)
    one.run(60)
    one.brokerage, one.asking = MISSING, {Action.INIT_BROKERAGE: UP}
    lost_s = one.now_s
    assert one.run(60, until=SessionState.DEGRADED)
    assert one.run(5, until=SessionState.UP)
    assert [action for _, action in asked(one, lost_s)] == [Action.INIT_BROKERAGE]


def test_what_the_last_try_met_is_told() -> None:
    view = look(Handshake(missing_s=NOW - 60, next_s=NOW + 60, tries=2, trouble="IBKR answers HTTP 503"), MISSING)
    assert "IBKR answers HTTP 503" in view.why


# Another program of the same user.


def test_yield_comes_back_after_the_quiet_span_and_throws_nobody_out() -> None:
    one = world(UP)
    one.run(60)
    one.brokerage, begun_s = COMPETING, one.now_s
    one.run(3 * 1800 + 120)
    assert one.is_in(SessionState.COMPETING)
    at = [when - begun_s for when, _ in asked(one)]
    assert {action for _, action in asked(one)} == {Action.INIT_BROKERAGE}
    assert at == pytest.approx([1800, 3600, 5400], abs=35)
    assert one.state.next_s
    assert not one.state.todo
    one.brokerage = UP
    assert one.run(31, until=SessionState.UP)


def test_a_session_lost_while_yielding_is_not_logged_in_again_before_the_span_is_over() -> None:
    """A login's handshake always competes: it would throw the other program out."""
    one = world(UP)
    one.run(60)
    one.brokerage, begun_s = COMPETING, one.now_s
    one.run(60)
    one.session = Verdict.DEAD
    assert one.run(40, until=SessionState.BACKING_OFF)
    assert "another program" in one.state.why
    assert one.state.next_s == pytest.approx(begun_s + 1800, abs=35)
    one.run(begun_s + 1790 - one.now_s)
    assert one.count(Action.REQUEST_LOGIN) == 0
    one.brokerage = UP
    assert one.run(60, until=SessionState.UP)
    assert one.count(Action.REQUEST_LOGIN) == 1


def test_pushed_out_altogether_is_left_alone_too() -> None:
    """The other program has finished its login: nothing says `competing` any more, but it is there."""
    one = world(UP)
    one.run(60)
    one.brokerage, begun_s = COMPETING, one.now_s
    one.run(60)
    one.brokerage = MISSING
    one.run(1700)
    assert asked(one) == []
    assert one.is_in(SessionState.COMPETING)
    one.asking = {Action.INIT_BROKERAGE: UP}
    assert one.run(60, until=SessionState.UP)
    assert [action for _, action in asked(one)] == [Action.INIT_BROKERAGE]
    assert one.now_s - begun_s > 1800 - 1


def test_a_java_that_dies_while_yielding_does_not_take_it_back_either() -> None:
    one = world(UP)
    one.run(60)
    one.brokerage = COMPETING
    one.run(60)
    one.session = Verdict.GATEWAY_GONE
    one.run(60)
    one.session = Verdict.DEAD
    one.run(1500)
    assert one.count(Action.REQUEST_LOGIN) == 0
    one.brokerage = UP
    assert one.run(200, until=SessionState.UP)


def test_take_takes_at_once() -> None:
    one = world(UP, TAKE)
    one.run(60)
    one.brokerage, one.asking = COMPETING, {Action.TAKE_BROKERAGE: UP}
    assert one.run(31, until=SessionState.COMPETING)
    assert one.run(3, until=SessionState.UP)
    assert one.count(Action.TAKE_BROKERAGE) == 1


def test_take_yields_to_one_who_takes_it_back_again_and_again() -> None:
    """Three times within ten minutes: then the person hears of it, and it is left alone for the quiet span."""
    one = world(UP, TAKE, asking={Action.TAKE_BROKERAGE: UP})
    one.run(60)
    for _ in range(8):
        one.brokerage = COMPETING
        one.run(45)
    assert one.count(Action.TAKE_BROKERAGE) == brokerage.TAKES
    assert one.is_in(SessionState.COMPETING)
    assert one.state.handshake.contested
    assert one.state.todo
    one.brokerage = COMPETING
    one.run(1500)
    assert one.count(Action.TAKE_BROKERAGE) == brokerage.TAKES
    one.run(400)
    assert one.count(Action.TAKE_BROKERAGE) > brokerage.TAKES
    one.run(700)
    assert one.is_in(SessionState.UP)
    assert not one.state.handshake.contested


# Pauses.


def test_a_pause_stops_the_ladder_and_resuming_goes_on_at_once() -> None:
    one = world(MISSING)
    one.run(5)
    one.feed(Paused())
    one.run(3600)
    assert asked(one) == []
    assert one.is_in(SessionState.DEGRADED)
    assert one.most_in(600, Action.TICKLE) <= 61
    one.asking = {Action.INIT_BROKERAGE: UP}
    one.feed(Resumed())
    assert one.run(5, until=SessionState.UP)
    assert one.count(Action.REQUEST_FRESH_LOGIN) == 0, "what was missing during the pause was missing on purpose"
