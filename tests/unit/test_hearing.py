"""Is the push of any use? Where it is not, tickles come more often; where it is again, they calm down."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibkr_tools.portal.push_listener import Heartbeat, PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.hearing import MUTE_S, TICKLE_EVERY_S, TICKLE_OFTEN_S
from ibkr_tools.watchdog.observations import Action, FetchHinted, Verdict
from tests.support.machine_world import World


def tickles(world: World, since_s: float) -> list[float]:
    return [at for at, action in world.done if action is Action.TICKLE and at >= since_s]


def gap(world: World, seconds: float = 120.0) -> float:
    """Lets time pass and returns the longest distance between two tickles in it."""
    since_s = world.now_s
    world.run(seconds)
    at = tickles(world, since_s)
    return max(later - earlier for earlier, later in itertools.pairwise(at))


def test_a_push_that_beats_is_trusted() -> None:
    world = World()
    world.run(60)
    assert gap(world) == pytest.approx(TICKLE_EVERY_S, abs=0.1)


def test_never_a_word_while_the_session_is_alive() -> None:
    world = World(beat_s=None)
    world.run(MUTE_S + 31)
    assert gap(world) == pytest.approx(TICKLE_OFTEN_S, abs=0.1)
    world.beat_s = 10.0
    world.run(40)
    assert gap(world) == pytest.approx(TICKLE_EVERY_S, abs=0.1)


def test_a_word_and_then_silence() -> None:
    world = World()
    world.run(300)
    world.beat_s = None
    world.run(MUTE_S + 31)
    assert gap(world) == pytest.approx(TICKLE_OFTEN_S, abs=0.1)


def test_it_waits_for_a_session_though_there_is_one() -> None:
    world = World(beat_s=None, on_listen=(WaitingForSession(),))
    world.run(10)
    assert gap(world) == pytest.approx(TICKLE_OFTEN_S, abs=0.1)
    world.feed(SessionFrame(authenticated=True))
    world.beat_s = 10.0
    world.run(20)
    assert gap(world) == pytest.approx(TICKLE_EVERY_S, abs=0.1)


def test_waiting_for_a_session_is_no_storm() -> None:
    world = World(beat_s=None, on_listen=(WaitingForSession(),))
    world.run(10)
    before = world.count(Action.TICKLE)
    for _ in range(100):
        world.feed(WaitingForSession())
    assert world.count(Action.TICKLE) == before


@pytest.mark.parametrize("frames", [(PushClosed("refused"),), (Heartbeat(), PushClosed("closed"))], ids=str)
def test_connections_that_do_not_last(frames: tuple[PushEvent, ...]) -> None:
    world = World(on_listen=frames, beat_s=None)
    world.run(60)
    assert world.state.hearing.failures >= 3
    assert not world.state.hearing.is_useful(world.now_s)
    assert gap(world) <= TICKLE_OFTEN_S + 0.1
    world.on_listen, world.beat_s = (Heartbeat(),), 10.0
    world.run(90)
    assert gap(world) == pytest.approx(TICKLE_EVERY_S, abs=0.1)


def test_a_loss_that_it_did_not_announce_is_not_forgotten() -> None:
    """Heartbeats alone make up for nothing; only a loss that it does announce."""
    world = World()
    world.run(60)
    world.session = Verdict.DEAD
    assert world.run(31, until=SessionState.LOGGING_IN)
    assert world.run(10, until=SessionState.UP)
    world.run(60)
    assert gap(world) == pytest.approx(TICKLE_OFTEN_S, abs=0.1)
    world.session = Verdict.DEAD
    world.feed(SessionFrame(authenticated=False))
    world.run(20, until=SessionState.UP)
    world.run(60)
    assert gap(world) == pytest.approx(TICKLE_EVERY_S, abs=0.1)


@pytest.mark.parametrize("event", [SessionFrame(authenticated=False), PushClosed("closed by IBKR")])
def test_a_loss_that_it_announced_is_to_its_credit(event: PushEvent) -> None:
    world = World()
    world.run(60)
    world.session = Verdict.DEAD
    world.feed(event)
    world.run(20, until=SessionState.UP)
    assert world.state.hearing.is_useful(world.now_s)


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


@settings(max_examples=60)
@given(
    st.booleans(),
    st.sampled_from([None, 10.0]),
    st.lists(st.tuples(EVENTS, st.floats(0, 40), st.sampled_from([Verdict.ALIVE] * 6 + list(Verdict)))),
)
def test_tickles_are_never_too_close_and_never_too_far_apart(
    wants_brokerage: bool, beat_s: float | None, events: list[tuple[PushEvent, float, Verdict]]
) -> None:
    """IBKR takes one a second; a session that is up is asked at least once a minute, whatever is pushed."""
    world = World(beat_s=beat_s)
    world.state = world.state if not wants_brokerage else world.wanting_brokerage()
    world.run(30)
    for event, pause_s, verdict in events:
        world.session = verdict
        world.feed(event)
        world.run(pause_s)
    sent = world.sent
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(sent))
    for begin_s, end_s in world.spans:
        seen = [begin_s, *(at for at in sent if begin_s <= at <= end_s), end_s]
        assert all(later - earlier <= 60.0 for earlier, later in itertools.pairwise(seen))
