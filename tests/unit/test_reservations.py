"""What was reserved, as the next process reads it: promises for the same moment stay as many as they are."""

from collections import Counter
from pathlib import Path

import pytest

from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import REAUTHENTICATE, SSODH_INIT, SUMMARY, Endpoint
from ibkr_tools.portal.pacing import SharedPacing
from ibkr_tools.portal.reservations import REQUESTS_PER_S, Read, Reservations, together


def pacing_at(times: list[float], path: Path) -> SharedPacing:
    """A budget whose clock shows the only one of `times`."""
    return SharedPacing(path, clock=lambda: times[0], wall=lambda: 1e9 + times[0])


def test_reads_after_a_login_are_not_all_sent_when_its_handshake_is_over(tmp_path: Path) -> None:
    """They are promised the same moment, and no more of them than fit there."""
    times = [1000.0]
    pacing = pacing_at(times, tmp_path / "pacing.json")
    pacing.leave_room()
    promised = []
    for _ in range(60):
        promised.append(pacing.claim(SUMMARY, 60.0).at_s)
        times[0] += 0.0001
    for at in promised:
        assert sum(1 for other in promised if at <= other < at + 1.0) <= REQUESTS_PER_S


def test_reads_of_the_same_tick_of_the_clock_count_as_many(tmp_path: Path) -> None:
    pacing = pacing_at([1000.0], tmp_path / "pacing.json")
    promised = Counter(pacing.claim(SUMMARY, 60.0).at_s for _ in range(30))
    assert max(promised.values()) < REQUESTS_PER_S


@pytest.mark.parametrize(("endpoint", "requests"), [(SSODH_INIT, 3), (REAUTHENTICATE, 4)])
def test_what_the_gateway_sends_on_its_own_still_counts_for_the_next_process(
    tmp_path: Path, endpoint: Endpoint, requests: int
) -> None:
    path = tmp_path / "pacing.json"
    pacing_at([1000.0], path).claim(endpoint, 0.0)
    other = pacing_at([1000.0], path)
    for _ in range(REQUESTS_PER_S - requests):
        other.claim(SUMMARY, 0.0, urgent=True)
    with pytest.raises(RateLimited):
        other.claim(SUMMARY, 0.0, urgent=True)


def test_together_says_what_either_says_and_nothing_twice() -> None:
    """A process that could not write has read the others' before: its own are those and more."""
    told = Reservations(1.0, [5.0, 5.0, 7.0], [Read(5.0, 6.0), Read(5.0, 6.0)], {"a": 9.0}, 3.0, 4.0)
    own = Reservations(1.0, [5.0, 5.0, 5.0, 8.0], [Read(5.0, 6.0)], {"a": 8.0, "b": 1.0}, 2.0, 5.0)
    both = together(told, own)
    assert both.slots == [5.0, 5.0, 5.0, 7.0, 8.0]
    assert both.reads == [Read(5.0, 6.0), Read(5.0, 6.0)]
    assert (both.next_at, both.penalty_until, both.handshake_until) == ({"a": 9.0, "b": 1.0}, 3.0, 5.0)
    assert together(told, told) == told == together(told, Reservations())
