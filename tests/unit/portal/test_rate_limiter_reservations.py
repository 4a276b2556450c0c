"""What was reserved, as the next process reads it: reservations of the same moment stay as many as they are."""

from collections import Counter
from pathlib import Path

import pytest

from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import REAUTHENTICATE, SSODH_INIT, SUMMARY, Endpoint
from ibkr_tools.portal.rate_limit_state import REQUESTS_PER_S, RateLimitState, SentRead, merged
from ibkr_tools.portal.rate_limiter import SharedRateLimiter


def limiter_at(times: list[float], path: Path) -> SharedRateLimiter:
    """A limiter whose clock shows the only one of `times`."""
    return SharedRateLimiter(path, clock=lambda: times[0], wall=lambda: 1e9 + times[0])


def test_reads_after_a_login_are_not_all_sent_when_its_handshake_is_over(tmp_path: Path) -> None:
    """They are reserved for the same moment, and no more of them than fit there."""
    times = [1000.0]
    rate_limiter = limiter_at(times, tmp_path / "pacing.json")
    rate_limiter.reserve_headroom()
    reserved_at = []
    for _ in range(60):
        reserved_at.append(rate_limiter.acquire(SUMMARY, 600.0).at_s)
        times[0] += 0.0001
    for at in reserved_at:
        assert sum(1 for other in reserved_at if at <= other < at + 1.0) <= REQUESTS_PER_S


def test_reads_of_the_same_tick_of_the_clock_count_as_many(tmp_path: Path) -> None:
    rate_limiter = limiter_at([1000.0], tmp_path / "pacing.json")
    reserved_at = Counter(rate_limiter.acquire(SUMMARY, 60.0).at_s for _ in range(30))
    assert max(reserved_at.values()) < REQUESTS_PER_S


@pytest.mark.parametrize(("endpoint", "requests"), [(SSODH_INIT, 3), (REAUTHENTICATE, 4)])
def test_what_the_gateway_sends_on_its_own_still_counts_for_the_next_process(
    tmp_path: Path, endpoint: Endpoint, requests: int
) -> None:
    path = tmp_path / "pacing.json"
    limiter_at([1000.0], path).acquire(endpoint, 0.0)
    other = limiter_at([1000.0], path)
    for _ in range(REQUESTS_PER_S - requests):
        other.acquire(SUMMARY, 0.0, urgent=True)
    with pytest.raises(RateLimited):
        other.acquire(SUMMARY, 0.0, urgent=True)


def test_merged_has_what_either_has_and_nothing_twice() -> None:
    """A process that could not write has read the others' before: its own are those and more."""
    written = RateLimitState("boot", [5.0, 5.0, 7.0], [SentRead(5.0, 6.0), SentRead(5.0, 6.0)], {"a": 9.0}, 3.0, 4.0)
    unwritten = RateLimitState("boot", [5.0, 5.0, 5.0, 8.0], [SentRead(5.0, 6.0)], {"a": 8.0, "b": 1.0}, 2.0, 5.0)
    both = merged(written, unwritten)
    assert both.slots == [5.0, 5.0, 5.0, 7.0, 8.0]
    assert both.reads == [SentRead(5.0, 6.0), SentRead(5.0, 6.0)]
    assert (both.next_at, both.penalty_until, both.handshake_until) == ({"a": 9.0, "b": 1.0}, 3.0, 5.0)
    assert merged(written, written) == written == merged(written, RateLimitState())
