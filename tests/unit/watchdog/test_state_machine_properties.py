"""What holds for the state machine after any sequence of events whatsoever."""

import itertools
import math
import typing
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, SessionFrame, WaitingForSession
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import LoginState, SessionState
from ibkr_tools.watchdog import login_policy, session, state_machine
from ibkr_tools.watchdog.brokerage_session import CompetingPolicy
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    Command,
    Event,
    FetchHinted,
    GatewayChanged,
    GatewayRequest,
    GatewayStarting,
    LocalCommand,
    LoginResultUnknown,
    PauseEnded,
    PauseStarted,
    Tick,
    TickleResult,
    ValidationResult,
    Verdict,
    WindowChanged,
)
from ibkr_tools.watchdog.push_health import CORROBORATION_S
from ibkr_tools.watchdog.state import PHASES_WITH_SESSION, RESULT_TIMEOUT_S, State, TickleSchedule
from tests.support.examples import examples
from tests.support.state_machine_environment import Environment, login

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
    st.builds(
        TickleResult, st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.ALIVE]), st.just("w")
    ),
    st.builds(TickleResult, st.just(Verdict.ALIVE), tickle=BROKERAGES),
)
OBSERVATIONS: st.SearchStrategy[Event] = st.one_of(
    TICKLES,
    st.builds(ValidationResult, st.sampled_from(Verdict), st.just("w")),
    st.builds(AccountsResult, st.sampled_from(Verdict), st.just("w"), accounts=st.just(("U1234567",))),
    st.builds(GatewayChanged, st.booleans()),
    st.builds(
        login,
        st.sampled_from(typing.get_args(LoginState)),
        retry_in_s=st.one_of(st.none(), st.floats(-100, 90_000)),
    ),
    st.sampled_from([FetchHinted(), LoginResultUnknown()]),
    st.builds(BrokerageResult, st.sampled_from(Verdict), st.just("w")),
    st.sampled_from([PauseStarted(), PauseStarted(datetime(2026, 6, 1, tzinfo=UTC)), PauseEnded()]),
    st.builds(WindowChanged, st.sampled_from([None, "IBKR's daily reset"]), st.floats(0, 4 * 3600)),
    st.just(GatewayStarting()),
    st.builds(SessionFrame, *3 * [st.sampled_from([None, True, False])]),
    st.just(SessionFrame(authenticated=False, connected=False)),
    st.sampled_from([Heartbeat(), WaitingForSession(), PushClosed("gone")]),
)
SESSIONLESS = {SessionState.LOST, SessionState.GATEWAY_DOWN}
TINY = 1e-6
SESSION_CONTROL = {
    GatewayRequest.INIT_BROKERAGE,
    GatewayRequest.TAKE_BROKERAGE,
    GatewayRequest.REAUTHENTICATE,
    LocalCommand.REQUEST_FRESH_LOGIN,
}
LOGINS = {LocalCommand.REQUEST_LOGIN, LocalCommand.REQUEST_FRESH_LOGIN}


def verdict_of(event: Event) -> Verdict | None:
    """Returns what an event says about the portfolio tier, if it is an answer."""
    return event.verdict if isinstance(event, TickleResult | ValidationResult | AccountsResult) else None


def denies(event: Event) -> bool:
    """Says whether it is the push's word that nothing is left of the session."""
    return isinstance(event, SessionFrame) and event.authenticated is False and event.connected is False


def seen_refused(event: Event) -> bool:
    """Says whether nothing listened to a tickle: it has not left this machine."""
    return isinstance(event, TickleResult) and event.verdict is Verdict.GATEWAY_DOWN


class AnySequence(RuleBasedStateMachine):
    """Feeds events in any order, with any pauses, answered or not."""

    @initialize(wants_brokerage=st.booleans(), take=st.booleans())
    def begin(self, wants_brokerage: bool, take: bool) -> None:
        self.now_s = 100.0
        policy = CompetingPolicy(take=take, quiet_s=600.0)
        self.state = State(
            wants_brokerage=wants_brokerage,
            policy=policy,
            phase_since_s=self.now_s,
            schedule=TickleSchedule(due_at_s=self.now_s),
        )
        self.restart_requested_at_s = -math.inf
        self.alive_s = -math.inf
        self.login_requested_at_s = -math.inf
        self.sent_s = -math.inf
        self.denied_s = -math.inf
        self.suspect_since_s = -math.inf

    def step(self, event: Event) -> None:
        before = self.state
        self.state, commands = state_machine.step(before, event, self.now_s)
        self.check(before, event, self.state, commands, self.now_s)

    def check(self, before: State, seen: Event, after: State, commands: tuple[Command, ...], now_s: float) -> None:
        """Holds one step, wherever it was made, against the invariants."""
        assert len(commands) == len(set(commands)) <= 3
        verdict = verdict_of(seen)
        if verdict is Verdict.ALIVE:
            self.alive_s = now_s
        self.note_words(seen, verdict, now_s)
        if LocalCommand.REQUEST_LOGIN in commands:
            self.check_login(before, seen, after, now_s)
        if LOGINS & set(commands):
            assert before.pause is None, "a person asked that nothing logs in"
            assert now_s - self.login_requested_at_s >= login_policy.MIN_LOGIN_INTERVAL_S
            self.login_requested_at_s = now_s
        if SESSION_CONTROL & set(commands):
            self.check_brokerage(before, seen, commands)
        if LocalCommand.RESTART_GATEWAY in commands:
            assert verdict is Verdict.SILENT
            assert now_s - self.restart_requested_at_s > session.MIN_RESTART_INTERVAL_S
            assert now_s - self.alive_s > session.RESTART_AFTER_SILENCE_S, (
                "never while tickle or validate has just said alive"
            )
            self.restart_requested_at_s = now_s
        if seen_refused(seen):
            self.sent_s = -math.inf
        if GatewayRequest.TICKLE in commands:
            assert now_s - self.sent_s >= 1.0, "IBKR takes one a second"
            self.sent_s = now_s

    def note_words(self, seen: Event, verdict: Verdict | None, now_s: float) -> None:
        """Notes when a tickle or the push last said that the session is over; an answer that it lives undoes both."""
        if isinstance(seen, TickleResult) and verdict is Verdict.ALIVE:
            self.denied_s = self.suspect_since_s = -math.inf
        if verdict is Verdict.DEAD:
            self.suspect_since_s = now_s
        if denies(seen):
            self.denied_s = now_s

    def check_login(self, before: State, seen: Event, after: State, now_s: float) -> None:
        known_gone = verdict_of(seen) is Verdict.DEAD or seen == GatewayStarting() or denies(seen)
        assert known_gone, "only IBKR's own word, or a Java that knows of no session, leads to a login"
        assert before.phase is not SessionState.LOCKED_OUT
        assert after.phase is SessionState.LOGGING_IN
        assert now_s >= before.login_backoff.not_before_s
        if before.up_since_s is not None:
            if isinstance(seen, TickleResult):
                assert now_s - self.denied_s <= CORROBORATION_S, "a tickle alone is no proof that a session is over"
            if denies(seen):
                assert now_s - self.suspect_since_s <= CORROBORATION_S, "nor is the push alone"
            quiet_s = before.brokerage.quiet_until_s
            assert quiet_s is None or now_s >= quiet_s, "it leaves the other program alone"

    def check_brokerage(self, before: State, seen: Event, commands: tuple[Command, ...]) -> None:
        assert before.wants_brokerage, "the portfolio tier never touches the brokerage session"
        assert before.pause is None
        assert isinstance(seen, TickleResult)
        assert seen.tickle is not None, "only while the portfolio tier is up"
        if GatewayRequest.TAKE_BROKERAGE in commands:
            assert before.policy.take, "nobody is thrown out unless the user wants it"
        if {GatewayRequest.REAUTHENTICATE, LocalCommand.REQUEST_FRESH_LOGIN} & set(commands):
            assert not seen.tickle.competing, "both throw the other program out"

    @rule(event=OBSERVATIONS, pause_s=st.one_of(st.just(0.0), st.floats(0, 5), st.floats(0, 4000)))
    def observe(self, event: Event, pause_s: float) -> None:
        self.now_s += pause_s
        self.step(event)

    @rule(
        verdict=st.sampled_from(Verdict),
        validation=st.sampled_from([None, *Verdict]),
        brokerage=BROKERAGES,
        seconds=st.one_of(st.just(0.0), st.floats(0, 2000)),
    )
    def wait_and_answer(self, verdict: Verdict, validation: Verdict | None, brokerage: Tickle, seconds: float) -> None:
        """Time goes by until the machine wants to act, and longer, and its questions get the same answers."""
        self.now_s = max(self.now_s, state_machine.deadline(self.state))
        environment = Environment(
            session=verdict,
            validation=validation,
            brokerage=brokerage,
            login_ends=None,
            state=self.state,
            now_s=self.now_s,
            on_step=self.check,
        )
        environment.dispatch(Tick())
        environment.run(seconds)
        self.state, self.now_s = environment.state, environment.now_s

    @invariant()
    def the_next_look_is_never_far(self) -> None:
        deadline = state_machine.deadline(self.state)
        assert math.isfinite(deadline)
        assert deadline - self.now_s <= login_policy.LOGIN_TIMEOUT_S + TINY
        if self.state.phase in PHASES_WITH_SESSION:
            assert deadline - self.now_s <= RESULT_TIMEOUT_S + TINY, "tickles are never more than a minute apart"

    @invariant()
    def the_status_tells_no_nonsense(self) -> None:
        state = self.state
        assert state.phase_since_s <= self.now_s
        assert state.why
        assert state.schedule.next
        if state.phase is SessionState.LOCKED_OUT:
            assert state.todo, "a person must be told what to do"
        if state.phase in PHASES_WITH_SESSION:
            assert state.up_since_s is not None
        if state.phase is SessionState.PAUSED:
            assert state.pause is not None
        if not state.wants_brokerage:
            assert state.phase not in {SessionState.DEGRADED, SessionState.COMPETING}
        assert (state.outage_since_s is None) is (state.phase in PHASES_WITH_SESSION)
        assert state.schedule.next_at_s is None or math.isfinite(state.schedule.next_at_s)
        if state.phase in SESSIONLESS:
            assert state.up_since_s is None
            assert not state.push_health.listening

    def teardown(self) -> None:
        """After whatever happened: answer ALIVE to everything, and it is up soon."""
        if not hasattr(self, "state"):
            return
        brokerage = Tickle(has_session=True, authenticated=True, connected=True)
        self.step(PauseEnded())
        environment = Environment(state=self.state, now_s=self.now_s, brokerage=brokerage, on_step=self.check)
        assert environment.run(login_policy.LOGIN_TIMEOUT_S + login_policy.LOGIN_BACKOFF_S[0], until=SessionState.UP)
        assert len(environment.executed) < 60


AnySequence.TestCase.settings = examples(1, stateful_step_count=30, suppress_health_check=list(HealthCheck))
TestAnySequence = AnySequence.TestCase


# Environments that stay as they are for hours.

GREETS_AND_CLOSES = (Heartbeat(), PushClosed("closed by IBKR"))
CONSTANT: dict[str, Environment] = {
    "fine": Environment(),
    "dead, login not needed": Environment(session=Verdict.DEAD, login_ends="not-needed", login_duration_s=0.1),
    "dead, login succeeds at once": Environment(session=Verdict.DEAD, login_helps=False, login_duration_s=0.0),
    "dead, login fails at once": Environment(session=Verdict.DEAD, login_ends="failed", login_duration_s=0.0),
    "dead, login broken": Environment(session=Verdict.DEAD, login_ends="broken", login_duration_s=0.5),
    "dead, refused": Environment(session=Verdict.DEAD, login_ends="refused"),
    "dead, login silent": Environment(session=Verdict.DEAD, login_ends=None),
    "unknown": Environment(session=Verdict.UNKNOWN),
    "silent": Environment(session=Verdict.SILENT, call_duration_s=8.0),
    "limited": Environment(session=Verdict.RATE_LIMITED),
    "gateway gone": Environment(session=Verdict.GATEWAY_DOWN, call_duration_s=0.001),
    "push closes": Environment(on_listen=(PushClosed("refused"),)),
    "push greets and closes": Environment(on_listen=GREETS_AND_CLOSES),
    "brokerage never": Environment(
        state=State(wants_brokerage=True, phase_since_s=1000, schedule=TickleSchedule(due_at_s=1000))
    ),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_no_environment_makes_it_spin(name: str) -> None:
    """Whatever stays wrong for two hours: at most a look a second, few logins, few connections."""
    environment = CONSTANT[name]
    environment.run(7200)
    assert (
        environment.max_within(60, GatewayRequest.TICKLE, GatewayRequest.VALIDATE, GatewayRequest.LIST_ACCOUNTS) <= 75
    )
    assert environment.max_within(60, LocalCommand.REQUEST_LOGIN) <= 6
    assert environment.count(LocalCommand.REQUEST_LOGIN) <= 40
    assert environment.max_within(60, LocalCommand.LISTEN) <= 8
    assert environment.count(LocalCommand.RESTART_GATEWAY) <= 2


@pytest.mark.parametrize("heartbeat_interval_s", [0.5, 3.0, 11.0, 40.0])
@pytest.mark.parametrize("other", [Verdict.ALIVE, Verdict.GATEWAY_DOWN, Verdict.UNKNOWN])
def test_flapping_does_not_make_it_spin(heartbeat_interval_s: float, other: Verdict) -> None:
    """Dead and something else in turns, while logins never report."""
    environment = Environment(login_ends=None)
    for number in range(int(3600 / heartbeat_interval_s)):
        environment.session = Verdict.DEAD if number % 2 else other
        if other is Verdict.GATEWAY_DOWN:
            environment.dispatch(GatewayChanged(up=True) if number % 2 else GatewayStarting())
        environment.run(heartbeat_interval_s)
    assert environment.max_within(60, LocalCommand.REQUEST_LOGIN) <= 6
    if other is not Verdict.ALIVE:
        assert environment.count(LocalCommand.REQUEST_LOGIN) <= 20


def test_tickles_are_never_more_than_a_minute_apart_while_the_session_is_up() -> None:
    environment = Environment(call_duration_s=8.0)
    environment.run(6 * 3600)
    at = [when for when, command in environment.executed if command is GatewayRequest.TICKLE]
    assert max(later - earlier for earlier, later in itertools.pairwise(at)) < 60
