"""What holds for the watchdog's machine after any sequence of observations whatsoever."""

import itertools
import math

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ibkr_tools.portal.answers import Tickle
from ibkr_tools.portal.push import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import doubts, logins, machine
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
from ibkr_tools.watchdog.state import ANSWER_S, HAS_SESSION, State
from tests.support.machine_world import World, login

TICKLES = st.one_of(
    st.builds(Tickled, st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.ALIVE]), st.just("w")),
    st.builds(
        Tickled,
        st.just(Verdict.ALIVE),
        tickle=st.builds(
            Tickle,
            has_session=st.just(True),
            authenticated=st.booleans(),
            connected=st.booleans(),
            competing=st.booleans(),
        ),
    ),
)
OBSERVATIONS: st.SearchStrategy[Observation] = st.one_of(
    TICKLES,
    st.builds(Validated, st.sampled_from(Verdict), st.just("w")),
    st.builds(Listed, st.sampled_from(Verdict), st.just("w"), accounts=st.just(("U1234567",))),
    st.builds(GatewayChanged, st.booleans()),
    st.builds(
        login,
        st.sampled_from(
            [
                "running",
                "succeeded",
                "failed",
                "maintenance",
                "refused",
                "locked-out",
                "not-needed",
                "broken",
                "unlocked",
            ]
        ),
        retry_in_s=st.one_of(st.none(), st.floats(-100, 90_000)),
    ),
    st.just(FetchHinted()),
    st.just(GatewayStarting()),
    st.builds(SessionFrame, st.sampled_from([None, True, False]), st.sampled_from([None, True, False])),
    st.sampled_from([Heartbeat(), WaitingForSession(), PushClosed("gone")]),
)
SESSIONLESS = {SessionState.LOST, SessionState.GATEWAY_DOWN}
TINY = 1e-6
SESSION_CONTROL = {Action.INIT_BROKERAGE, Action.REAUTHENTICATE}


def verdict_of(observation: Observation) -> Verdict | None:
    """Returns what an observation says about the portfolio tier, if it is an answer."""
    return observation.verdict if isinstance(observation, Tickled | Validated | Listed) else None


class AnySequence(RuleBasedStateMachine):
    """Feeds observations in any order, with any pauses, answered or not."""

    @initialize(wants_brokerage=st.booleans())
    def begin(self, wants_brokerage: bool) -> None:
        self.now_s = 100.0
        self.state = State(wants_brokerage=wants_brokerage, since_s=self.now_s, due_s=self.now_s)
        self.restarted_s = -math.inf
        self.alive_s = -math.inf
        self.tickled_s: float | None = None

    def step(self, observation: Observation) -> None:
        before = self.state
        self.state, actions = machine.step(before, observation, self.now_s)
        verdict = verdict_of(observation)
        if verdict is Verdict.ALIVE:
            self.alive_s = self.now_s
        if Action.REQUEST_LOGIN in actions:
            known_gone = verdict is Verdict.DEAD or observation == GatewayStarting()
            assert known_gone, "only IBKR's own word, or a Java that knows of no session, leads to a login"
            assert before.phase is not SessionState.LOCKED_OUT
            assert self.state.phase is SessionState.LOGGING_IN
            assert self.now_s >= before.login_not_before_s
        if not before.wants_brokerage:
            assert not SESSION_CONTROL & set(actions), "the portfolio tier never touches the brokerage session"
        if Action.RESTART_GATEWAY in actions:
            assert verdict is Verdict.SILENT
            assert self.now_s - self.restarted_s > doubts.RESTART_EVERY_S
            assert self.now_s - self.alive_s > doubts.STUCK_S, "never while IBKR has just said that it is alive"
            self.restarted_s = self.now_s
        assert len(actions) == len(set(actions)) <= 3

    @rule(observation=OBSERVATIONS, pause_s=st.one_of(st.just(0.0), st.floats(0, 5), st.floats(0, 4000)))
    def observe(self, observation: Observation, pause_s: float) -> None:
        self.now_s += pause_s
        self.step(observation)

    @rule(verdict=st.sampled_from(Verdict))
    def wait_and_answer(self, verdict: Verdict) -> None:
        """Time goes by until the machine wants to act, and it gets the same answer to everything."""
        self.now_s = max(self.now_s, machine.deadline(self.state))
        world = World(session=verdict, login_ends=None, state=self.state, now_s=self.now_s)
        world.feed(Tick())
        self.state, self.now_s = world.state, world.now_s
        if verdict is Verdict.ALIVE:
            self.alive_s = self.now_s
        if any(action is Action.RESTART_GATEWAY for _, action in world.done):
            assert self.now_s - self.restarted_s > doubts.RESTART_EVERY_S
            assert self.now_s - self.alive_s > doubts.STUCK_S
            self.restarted_s = self.now_s

    @invariant()
    def the_next_look_is_never_far(self) -> None:
        deadline = machine.deadline(self.state)
        assert math.isfinite(deadline)
        assert deadline - self.now_s <= logins.LOGIN_PATIENCE_S + TINY
        if self.state.phase in HAS_SESSION:
            assert deadline - self.now_s <= ANSWER_S + TINY, "tickles are never more than a minute apart"

    @invariant()
    def the_status_tells_no_nonsense(self) -> None:
        state = self.state
        assert state.since_s <= self.now_s
        assert state.why
        assert state.next
        if state.phase is SessionState.LOCKED_OUT:
            assert state.todo, "a person must be told what to do"
        if state.phase in HAS_SESSION:
            assert state.up_since_s is not None
        if state.phase in SESSIONLESS:
            assert state.up_since_s is None
            assert not state.hearing.listening

    def teardown(self) -> None:
        """After whatever happened: answer ALIVE to everything, and it is up soon."""
        if not hasattr(self, "state"):
            return
        brokerage = Tickle(has_session=True, authenticated=True, connected=True)
        world = World(state=self.state, now_s=self.now_s, brokerage=brokerage)
        assert world.run(logins.LOGIN_PATIENCE_S + logins.LOGIN_RETRY_S[0], until=SessionState.UP)
        assert len(world.done) < 60


AnySequence.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnySequence = AnySequence.TestCase


# Worlds that stay as they are for hours.

GREETS_AND_CLOSES = (Heartbeat(), PushClosed("closed by IBKR"))
CONSTANT: dict[str, World] = {
    "fine": World(),
    "dead, login not needed": World(session=Verdict.DEAD, login_ends="not-needed", login_takes_s=0.1),
    "dead, login succeeds at once": World(session=Verdict.DEAD, login_helps=False, login_takes_s=0.0),
    "dead, login fails at once": World(session=Verdict.DEAD, login_ends="failed", login_takes_s=0.0),
    "dead, login broken": World(session=Verdict.DEAD, login_ends="broken", login_takes_s=0.5),
    "dead, refused": World(session=Verdict.DEAD, login_ends="refused"),
    "dead, login silent": World(session=Verdict.DEAD, login_ends=None),
    "unknown": World(session=Verdict.UNKNOWN),
    "silent": World(session=Verdict.SILENT, call_takes_s=8.0),
    "limited": World(session=Verdict.LIMITED),
    "gateway gone": World(session=Verdict.GATEWAY_GONE, call_takes_s=0.001),
    "push closes": World(on_listen=(PushClosed("refused"),)),
    "push greets and closes": World(on_listen=GREETS_AND_CLOSES),
    "brokerage never": World(state=State(wants_brokerage=True, since_s=1000, due_s=1000)),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_no_world_makes_it_spin(name: str) -> None:
    """Whatever stays wrong for two hours: at most a look a second, few logins, few connections."""
    world = CONSTANT[name]
    world.run(7200)
    assert world.most_in(60, Action.TICKLE, Action.VALIDATE, Action.LIST_ACCOUNTS) <= 75
    assert world.most_in(60, Action.REQUEST_LOGIN) <= 6
    assert world.count(Action.REQUEST_LOGIN) <= 40
    assert world.most_in(60, Action.LISTEN) <= 8
    assert world.count(Action.RESTART_GATEWAY) <= 2


@pytest.mark.parametrize("beat_s", [0.5, 3.0, 11.0, 40.0])
@pytest.mark.parametrize("other", [Verdict.ALIVE, Verdict.GATEWAY_GONE, Verdict.UNKNOWN])
def test_flapping_does_not_make_it_spin(beat_s: float, other: Verdict) -> None:
    """Dead and something else in turns, while logins never report."""
    world = World(login_ends=None)
    for number in range(int(3600 / beat_s)):
        world.session = Verdict.DEAD if number % 2 else other
        if other is Verdict.GATEWAY_GONE:
            world.feed(GatewayChanged(up=True) if number % 2 else GatewayStarting())
        world.run(beat_s)
    assert world.most_in(60, Action.REQUEST_LOGIN) <= 6
    if other is not Verdict.ALIVE:
        assert world.count(Action.REQUEST_LOGIN) <= 20


def test_tickles_are_never_more_than_a_minute_apart_while_the_session_is_up() -> None:
    world = World(call_takes_s=8.0)
    world.run(6 * 3600)
    at = [when for when, action in world.done if action is Action.TICKLE]
    assert max(later - earlier for earlier, later in itertools.pairwise(at)) < 60
