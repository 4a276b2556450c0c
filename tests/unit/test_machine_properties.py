"""What holds for the watchdog's machine after any sequence of observations whatsoever."""

import itertools
import math
import typing
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import LoginState, SessionState
from ibkr_tools.watchdog import doubts, logins, machine
from ibkr_tools.watchdog.brokerage import Policy
from ibkr_tools.watchdog.hearing import TOGETHER_S
from ibkr_tools.watchdog.observations import (
    Action,
    BrokerageAsked,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    Listed,
    LoginUnheard,
    Observation,
    Paused,
    Resumed,
    Tick,
    Tickled,
    Validated,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.state import ANSWER_S, HAS_SESSION, State
from tests.support.machine_world import World, login

BROKERAGES = st.builds(
    Tickle,
    has_session=st.just(True),
    authenticated=st.booleans(),
    connected=st.booleans(),
    competing=st.booleans(),
    collision=st.booleans(),
    has_brokerage_status=st.booleans(),
)
TICKLES = st.one_of(
    st.builds(Tickled, st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.ALIVE]), st.just("w")),
    st.builds(Tickled, st.just(Verdict.ALIVE), tickle=BROKERAGES),
)
OBSERVATIONS: st.SearchStrategy[Observation] = st.one_of(
    TICKLES,
    st.builds(Validated, st.sampled_from(Verdict), st.just("w")),
    st.builds(Listed, st.sampled_from(Verdict), st.just("w"), accounts=st.just(("U1234567",))),
    st.builds(GatewayChanged, st.booleans()),
    st.builds(
        login,
        st.sampled_from(typing.get_args(LoginState)),
        retry_in_s=st.one_of(st.none(), st.floats(-100, 90_000)),
    ),
    st.sampled_from([FetchHinted(), LoginUnheard()]),
    st.builds(BrokerageAsked, st.sampled_from(Verdict), st.just("w")),
    st.sampled_from([Paused(), Paused(datetime(2026, 6, 1, tzinfo=UTC)), Resumed()]),
    st.builds(WindowChanged, st.sampled_from([None, "IBKR's daily reset"]), st.floats(0, 4 * 3600)),
    st.just(GatewayStarting()),
    st.builds(SessionFrame, *3 * [st.sampled_from([None, True, False])]),
    st.just(SessionFrame(authenticated=False, connected=False)),
    st.sampled_from([Heartbeat(), WaitingForSession(), PushClosed("gone")]),
)
SESSIONLESS = {SessionState.LOST, SessionState.GATEWAY_DOWN}
TINY = 1e-6
SESSION_CONTROL = {
    Action.INIT_BROKERAGE,
    Action.TAKE_BROKERAGE,
    Action.REAUTHENTICATE,
    Action.REQUEST_FRESH_LOGIN,
}
LOGINS = {Action.REQUEST_LOGIN, Action.REQUEST_FRESH_LOGIN}


def verdict_of(observation: Observation) -> Verdict | None:
    """Returns what an observation says about the portfolio tier, if it is an answer."""
    return observation.verdict if isinstance(observation, Tickled | Validated | Listed) else None


def denies(observation: Observation) -> bool:
    """Says whether it is the push's word that nothing is left of the session."""
    return (
        isinstance(observation, SessionFrame) and observation.authenticated is False and observation.connected is False
    )


def seen_refused(observation: Observation) -> bool:
    """Says whether nothing listened to a tickle: it has not left this machine."""
    return isinstance(observation, Tickled) and observation.verdict is Verdict.GATEWAY_GONE


class AnySequence(RuleBasedStateMachine):
    """Feeds observations in any order, with any pauses, answered or not."""

    @initialize(wants_brokerage=st.booleans(), take=st.booleans())
    def begin(self, wants_brokerage: bool, take: bool) -> None:
        self.now_s = 100.0
        policy = Policy(take=take, quiet_s=600.0)
        self.state = State(wants_brokerage=wants_brokerage, policy=policy, since_s=self.now_s, due_s=self.now_s)
        self.restarted_s = -math.inf
        self.alive_s = -math.inf
        self.requested_s = -math.inf
        self.sent_s = -math.inf
        self.denied_s = -math.inf
        self.dead_s = -math.inf

    def step(self, observation: Observation) -> None:
        before = self.state
        self.state, actions = machine.step(before, observation, self.now_s)
        self.check(before, observation, self.state, actions, self.now_s)

    def check(self, before: State, seen: Observation, after: State, actions: tuple[Action, ...], now_s: float) -> None:
        """Holds one step, wherever it was made, against the invariants."""
        assert len(actions) == len(set(actions)) <= 3
        verdict = verdict_of(seen)
        if verdict is Verdict.ALIVE:
            self.alive_s = now_s
        self.note_words(seen, verdict, now_s)
        if Action.REQUEST_LOGIN in actions:
            self.check_login(before, seen, after, now_s)
        if LOGINS & set(actions):
            assert not before.paused, "a person asked that nothing logs in"
            assert now_s - self.requested_s >= logins.LOGINS_APART_S
            self.requested_s = now_s
        if SESSION_CONTROL & set(actions):
            self.check_brokerage(before, seen, actions)
        if Action.RESTART_GATEWAY in actions:
            assert verdict is Verdict.SILENT
            assert now_s - self.restarted_s > doubts.RESTART_EVERY_S
            assert now_s - self.alive_s > doubts.STUCK_S, "never while tickle or validate has just said alive"
            self.restarted_s = now_s
        if seen_refused(seen):
            self.sent_s = -math.inf
        if Action.TICKLE in actions:
            assert now_s - self.sent_s >= 1.0, "IBKR takes one a second"
            self.sent_s = now_s

    def note_words(self, seen: Observation, verdict: Verdict | None, now_s: float) -> None:
        """Notes when a tickle or the push last said that the session is over; an answer that it lives undoes both."""
        if isinstance(seen, Tickled) and verdict is Verdict.ALIVE:
            self.denied_s = self.dead_s = -math.inf
        if verdict is Verdict.DEAD:
            self.dead_s = now_s
        if denies(seen):
            self.denied_s = now_s

    def check_login(self, before: State, seen: Observation, after: State, now_s: float) -> None:
        known_gone = verdict_of(seen) is Verdict.DEAD or seen == GatewayStarting() or denies(seen)
        assert known_gone, "only IBKR's own word, or a Java that knows of no session, leads to a login"
        assert before.phase is not SessionState.LOCKED_OUT
        assert after.phase is SessionState.LOGGING_IN
        assert now_s >= before.login_not_before_s
        if before.up_since_s is not None:
            if isinstance(seen, Tickled):
                assert now_s - self.denied_s <= TOGETHER_S, "a tickle alone is no proof that a session is over"
            if denies(seen):
                assert now_s - self.dead_s <= TOGETHER_S, "nor is the push alone"
            quiet_s = before.handshake.quiet_until_s
            assert quiet_s is None or now_s >= quiet_s, "it leaves the other program alone"

    def check_brokerage(self, before: State, seen: Observation, actions: tuple[Action, ...]) -> None:
        assert before.wants_brokerage, "the portfolio tier never touches the brokerage session"
        assert not before.paused
        assert isinstance(seen, Tickled)
        assert seen.tickle is not None, "only while the portfolio tier is up"
        if Action.TAKE_BROKERAGE in actions:
            assert before.policy.take, "nobody is thrown out unless the user wants it"
        if {Action.REAUTHENTICATE, Action.REQUEST_FRESH_LOGIN} & set(actions):
            assert not seen.tickle.competing, "both throw the other program out"

    @rule(observation=OBSERVATIONS, pause_s=st.one_of(st.just(0.0), st.floats(0, 5), st.floats(0, 4000)))
    def observe(self, observation: Observation, pause_s: float) -> None:
        self.now_s += pause_s
        self.step(observation)

    @rule(
        verdict=st.sampled_from(Verdict),
        validation=st.sampled_from([None, *Verdict]),
        brokerage=BROKERAGES,
        seconds=st.one_of(st.just(0.0), st.floats(0, 2000)),
    )
    def wait_and_answer(self, verdict: Verdict, validation: Verdict | None, brokerage: Tickle, seconds: float) -> None:
        """Time goes by until the machine wants to act, and longer, and its questions get the same answers."""
        self.now_s = max(self.now_s, machine.deadline(self.state))
        world = World(
            session=verdict,
            validation=validation,
            brokerage=brokerage,
            login_ends=None,
            state=self.state,
            now_s=self.now_s,
            on_step=self.check,
        )
        world.feed(Tick())
        world.run(seconds)
        self.state, self.now_s = world.state, world.now_s

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
        if state.phase is SessionState.PAUSED:
            assert state.paused
        if not state.wants_brokerage:
            assert state.phase not in {SessionState.DEGRADED, SessionState.COMPETING}
        assert (state.without_since_s is None) is (state.phase in HAS_SESSION)
        assert state.next_s is None or math.isfinite(state.next_s)
        if state.phase in SESSIONLESS:
            assert state.up_since_s is None
            assert not state.hearing.listening

    def teardown(self) -> None:
        """After whatever happened: answer ALIVE to everything, and it is up soon."""
        if not hasattr(self, "state"):
            return
        brokerage = Tickle(has_session=True, authenticated=True, connected=True)
        self.step(Resumed())
        world = World(state=self.state, now_s=self.now_s, brokerage=brokerage, on_step=self.check)
        assert world.run(logins.LOGIN_PATIENCE_S + logins.LOGIN_RETRY_S[0], until=SessionState.UP)
        assert len(world.done) < 60


AnySequence.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, suppress_health_check=list(HealthCheck)
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
