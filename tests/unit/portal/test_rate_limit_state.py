"""When a request may be sent: no window of a second holds more than IBKR allows, in whatever order it is asked for."""

import heapq
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ibkr_tools.portal.endpoints import ACCOUNTS, AUTH_STATUS, ENDPOINTS, SUMMARY, TICKLE, Endpoint, RequestKind
from ibkr_tools.portal.rate_limit_state import (
    ARRIVAL_JITTER_S,
    HEADROOM_PER_S,
    RATE_WINDOW_S,
    REQUESTS_PER_S,
    RateLimitState,
    earliest_send_time,
    mark_completed,
    with_request,
)
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from tests.support.examples import examples
from tests.support.slots import TINY, most_in_a_second

CLAIMS = st.lists(
    st.tuples(st.sampled_from(ENDPOINTS), st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 20))), max_size=60
)


def reserve(
    state: RateLimitState, endpoint: Endpoint, now_s: float, *, urgent: bool = False
) -> tuple[RateLimitState, float]:
    """Returns the state with one more request, as early as it may be sent, and when that is."""
    at = earliest_send_time(state, endpoint, now_s, urgent=urgent)
    return with_request(state, endpoint, at, now_s, urgent=urgent), at


@given(CLAIMS, st.floats(0, 1e6))
def test_never_more_than_the_limits_in_any_second(claims: list[tuple[Endpoint, float]], start_s: float) -> None:
    state, now_s = RateLimitState(), start_s
    taken: list[tuple[Endpoint, float]] = []
    for endpoint, pause_s in claims:
        now_s += pause_s
        state, at = reserve(state, endpoint, now_s)
        assert at >= now_s
        taken.append((endpoint, at))
    assert most_in_a_second([at for _, at in taken]) <= REQUESTS_PER_S
    for endpoint in ENDPOINTS:
        own = sorted(at for one, at in taken if one is endpoint)
        # One that takes a moment longer to IBKR than the next one does not come too close to it.
        least_s = endpoint.interval_s + ARRIVAL_JITTER_S if endpoint.interval_s else 0.0
        assert all(later - earlier >= least_s - TINY for earlier, later in itertools.pairwise(own))


READS = [one for one in ENDPOINTS if one.kind is RequestKind.READ]


@given(st.lists(st.sampled_from([one for one in READS if one.interval_s == 0]), min_size=9, max_size=40))
def test_reads_leave_room_for_the_watchdog(claims: list[Endpoint]) -> None:
    """Whatever the four reads that may wait for their turn at once: a tickle does not wait."""
    state, now_s = RateLimitState(), 100.0
    at_s: list[float] = []
    for endpoint in claims:
        now_s = max(now_s, at_s[-4]) if len(at_s) >= 4 else now_s
        state, at = reserve(state, endpoint, now_s)
        at_s.append(at)
        assert reserve(state, TICKLE, now_s)[1] == now_s
    assert most_in_a_second(at_s) <= REQUESTS_PER_S - HEADROOM_PER_S


def saturated(
    seconds: float, late_s: Iterator[float], *, tickle_every_s: float
) -> tuple[list[float], list[float], list[float]]:
    """Returns when four busy readers send, when that arrives, and how long each tickle of a watchdog waited.

    A reader's answer comes when its request has arrived, `late_s` after it was sent; it asks again at once.
    """
    state, now_s = RateLimitState(), 0.0
    events: list[tuple[float, str, float]] = [(0.0, "read", 0.0)] * 4 + [(tickle_every_s / 2, "tickle", 0.0)]
    sent: list[float] = []
    arrived: list[float] = []
    waited: list[float] = []
    while now_s < seconds:
        now_s, what, sent_s = heapq.heappop(events)
        if what == "tickle":
            state, at = reserve(state, TICKLE, now_s)
            waited.append(at - now_s)
            arrived.append(at)
            heapq.heappush(events, (at + tickle_every_s, "tickle", 0.0))
            continue
        if what == "answer":
            mark_completed(state, sent_s, now_s)
        state, at = reserve(state, SUMMARY, now_s)
        sent.append(at)
        arrived.append(at + next(late_s))
        heapq.heappush(events, (arrived[-1], "answer", at))
    return sent, arrived, waited


def test_reads_use_what_is_allowed() -> None:
    sent, arrived, waited = saturated(60.0, itertools.repeat(0.05), tickle_every_s=10.0)
    assert len(sent) / 60.0 >= 7.6
    assert most_in_a_second(arrived) <= REQUESTS_PER_S
    assert max(waited) == 0.0


@examples(1)
@example([2.0] * 3 + [0.05] * 30)
@given(st.lists(st.one_of(st.floats(0.001, 0.3), st.floats(0.001, 9.9)), min_size=1, max_size=50))
def test_whatever_arrives_late_ibkr_counts_ten_a_second(late_s: list[float]) -> None:
    """Each read's own delay, such as on a machine that is busy, and a tickle every second and a half."""
    _, arrived, waited = saturated(20.0, itertools.cycle(late_s), tickle_every_s=1.5)
    assert most_in_a_second(sorted(arrived)) <= REQUESTS_PER_S
    assert max(waited) < 1.0


def test_a_keepalive_uses_the_room_that_reads_leave() -> None:
    state = RateLimitState()
    for _ in range(8):
        state, at = reserve(state, SUMMARY, 100.0)
        assert at == 100.0
    assert reserve(state, SUMMARY, 100.0)[1] == pytest.approx(101.02)
    assert reserve(state, TICKLE, 100.0)[1] == 100.0
    assert reserve(state, ACCOUNTS, 100.0, urgent=True)[1] == 100.0


def test_what_the_gateway_adds_to_a_call_counts_too(tmp_path: Path) -> None:
    """Asked for the brokerage tier's status, the jar asks IBKR up to two questions more."""
    state = RateLimitState()
    for _ in range(8):
        state, _at = reserve(state, SUMMARY, 100.0)
    after, at = reserve(state, AUTH_STATUS, 100.0)
    assert at == pytest.approx(100.0 + RATE_WINDOW_S)
    assert after.slots.count(at) == 3
    shared = SharedRateLimiter(tmp_path / "pacing.json")
    shared.release(shared.acquire(AUTH_STATUS, 0.0))
    assert json.loads((tmp_path / "pacing.json").read_bytes())["slots"] == []


def test_after_a_login_reads_leave_room_for_the_gateways_own_requests() -> None:
    """Its hand-shake for the brokerage tier is up to three requests, which no budget of ours can hold back."""
    state, sent = RateLimitState(handshake_until=103.0), []
    for _ in range(30):
        state, at = reserve(state, SUMMARY, 100.0)
        mark_completed(state, at, at)
        sent.append(at)
    assert most_in_a_second([at for at in sent if at < 103.0]) == 5
    assert most_in_a_second(sent) == 8


def test_nobody_sends_during_the_penalty() -> None:
    state = RateLimitState(penalty_until=1000.0)
    assert reserve(state, TICKLE, 100.0)[1] == 1000.0
    assert reserve(state, TICKLE, 1000.5)[1] == 1000.5


@examples(1)
@given(st.lists(st.sampled_from(ENDPOINTS), max_size=200))
def test_the_file_does_not_grow(claims: list[Endpoint]) -> None:
    state, now_s = RateLimitState(), 0.0
    for endpoint in claims:
        now_s += 0.2
        state, _ = reserve(state, endpoint, now_s)
        now_s = max(now_s, _)
    assert len(state.slots) <= 2 * REQUESTS_PER_S
    # Those with an interval that has not passed.
    assert len(state.next_at) <= sum(1 for one in ENDPOINTS if one.interval_s)
