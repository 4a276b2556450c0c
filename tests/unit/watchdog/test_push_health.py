"""Is the push reliable? While it is not, tickles come more often."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.events import FetchHinted, GatewayRequest, Verdict
from ibkr_tools.watchdog.push_health import FAST_TICKLE_INTERVAL_S, TICKLE_INTERVAL_S, WATCHDOG_HEARTBEAT_TIMEOUT_S
from tests.support.examples import examples
from tests.support.state_machine_environment import Environment


def tickles(environment: Environment, since_s: float) -> list[float]:
    return [at for at, command in environment.executed if command is GatewayRequest.TICKLE and at >= since_s]


def gap(environment: Environment, seconds: float = 120.0) -> float:
    """Lets time pass and returns the longest distance between two tickles in it."""
    since_s = environment.now_s
    environment.run(seconds)
    at = tickles(environment, since_s)
    return max(later - earlier for earlier, later in itertools.pairwise(at))


def test_a_push_that_beats_is_trusted() -> None:
    environment = Environment()
    environment.run(60)
    assert gap(environment) == pytest.approx(TICKLE_INTERVAL_S, abs=0.1)


def test_never_a_word_while_the_session_is_alive() -> None:
    environment = Environment(heartbeat_interval_s=None)
    environment.run(WATCHDOG_HEARTBEAT_TIMEOUT_S + 31)
    assert gap(environment) == pytest.approx(FAST_TICKLE_INTERVAL_S, abs=0.1)
    environment.heartbeat_interval_s = 10.0
    environment.run(40)
    assert gap(environment) == pytest.approx(TICKLE_INTERVAL_S, abs=0.1)


def test_a_word_and_then_silence() -> None:
    environment = Environment()
    environment.run(300)
    environment.heartbeat_interval_s = None
    environment.run(WATCHDOG_HEARTBEAT_TIMEOUT_S + 31)
    assert gap(environment) == pytest.approx(FAST_TICKLE_INTERVAL_S, abs=0.1)


def test_it_waits_for_a_session_though_there_is_one() -> None:
    environment = Environment(heartbeat_interval_s=None, on_listen=(WaitingForSession(),))
    environment.run(10)
    assert gap(environment) == pytest.approx(FAST_TICKLE_INTERVAL_S, abs=0.1)
    environment.dispatch(SessionFrame(authenticated=True))
    environment.heartbeat_interval_s = 10.0
    environment.run(20)
    assert gap(environment) == pytest.approx(TICKLE_INTERVAL_S, abs=0.1)


def test_waiting_for_a_session_is_no_storm() -> None:
    environment = Environment(heartbeat_interval_s=None, on_listen=(WaitingForSession(),))
    environment.run(10)
    before = environment.count(GatewayRequest.TICKLE)
    for _ in range(100):
        environment.dispatch(WaitingForSession())
    assert environment.count(GatewayRequest.TICKLE) == before


@pytest.mark.parametrize("frames", [(PushClosed("refused"),), (Heartbeat(), PushClosed("closed"))], ids=str)
def test_connections_that_do_not_last(frames: tuple[PushEvent, ...]) -> None:
    environment = Environment(on_listen=frames, heartbeat_interval_s=None)
    environment.run(60)
    assert environment.state.push_health.failures >= 3
    assert not environment.state.push_health.is_reliable(environment.now_s)
    assert gap(environment) <= FAST_TICKLE_INTERVAL_S + 0.1
    environment.on_listen, environment.heartbeat_interval_s = (Heartbeat(),), 10.0
    environment.run(90)
    assert gap(environment) == pytest.approx(TICKLE_INTERVAL_S, abs=0.1)


def test_a_loss_that_it_did_not_announce_is_not_forgotten() -> None:
    """Heartbeats alone make up for nothing; only a loss that it does announce."""
    environment = Environment()
    environment.run(60)
    environment.session = Verdict.DEAD
    assert environment.run(31, until=SessionState.LOGGING_IN)
    assert environment.run(10, until=SessionState.UP)
    environment.run(60)
    assert gap(environment) == pytest.approx(FAST_TICKLE_INTERVAL_S, abs=0.1)
    environment.session = Verdict.DEAD
    environment.dispatch(SessionFrame(authenticated=False))
    environment.run(20, until=SessionState.UP)
    environment.run(60)
    assert gap(environment) == pytest.approx(TICKLE_INTERVAL_S, abs=0.1)


@pytest.mark.parametrize("event", [SessionFrame(authenticated=False), PushClosed("closed by IBKR")])
def test_a_loss_that_it_announced_is_to_its_credit(event: PushEvent) -> None:
    environment = Environment()
    environment.run(60)
    environment.session = Verdict.DEAD
    environment.dispatch(event)
    environment.run(20, until=SessionState.UP)
    assert environment.state.push_health.is_reliable(environment.now_s)


EVENTS = st.sampled_from(
    [
        Heartbeat(),
        WaitingForSession(),
        PushClosed("gone"),
        SessionFrame(),
        SessionFrame(authenticated=False),
        SessionFrame(authenticated=True),
        SessionFrame(competing=True),
        FetchHinted(),
    ]
)


@examples(1)
@given(
    st.booleans(),
    st.sampled_from([None, 10.0]),
    st.lists(st.tuples(EVENTS, st.floats(0, 40), st.sampled_from([Verdict.ALIVE] * 6 + list(Verdict)))),
)
def test_tickles_are_never_too_close_and_never_too_far_apart(
    wants_brokerage: bool, heartbeat_interval_s: float | None, events: list[tuple[PushEvent, float, Verdict]]
) -> None:
    """IBKR takes one a second; a session that is up is asked at least once a minute, whatever is pushed."""
    environment = Environment(heartbeat_interval_s=heartbeat_interval_s)
    environment.state = environment.state if not wants_brokerage else environment.wanting_brokerage()
    environment.run(30)
    for event, pause_s, verdict in events:
        environment.session = verdict
        environment.dispatch(event)
        environment.run(pause_s)
    sent = environment.tickles_sent_at_s
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(sent))
    for begin_s, end_s in environment.session_spans:
        seen = [begin_s, *(at for at in sent if begin_s <= at <= end_s), end_s]
        assert all(later - earlier <= 60.0 for earlier, later in itertools.pairwise(seen))
