"""The request budget: no window of a second holds more than IBKR allows, whoever asks, in whatever order."""

import itertools
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibkr_tools.errors import RateLimited
from ibkr_tools.portal import pacing
from ibkr_tools.portal.endpoints import ACCOUNTS, ENDPOINTS, POSITIONS, SUMMARY, TICKLE, VALIDATE, Endpoint, Kind
from ibkr_tools.portal.pacing import JITTER_S, PENALTY_S, Reservations, SharedPacing, Unpaced, reserve

TINY = 1e-6
"""Seconds; adding and taking away floats may differ in the last digit."""


def most_in_a_second(slots: list[float]) -> int:
    """Returns the largest number of slots that fall into one second."""
    return max((sum(1 for other in slots if slot <= other < slot + 1.0 - TINY) for slot in slots), default=0)


CLAIMS = st.lists(
    st.tuples(st.sampled_from(ENDPOINTS), st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 20))), max_size=60
)


@given(CLAIMS, st.floats(0, 1e6))
def test_never_more_than_the_limits_in_any_second(claims: list[tuple[Endpoint, float]], start_s: float) -> None:
    reservations, now_s = Reservations(), start_s
    taken: list[tuple[Endpoint, float]] = []
    for endpoint, pause_s in claims:
        now_s += pause_s
        reservations, at = reserve(reservations, endpoint, now_s)
        assert at >= now_s
        taken.append((endpoint, at))
    assert most_in_a_second([at for _, at in taken]) <= pacing.REQUESTS_PER_S
    for endpoint in ENDPOINTS:
        own = sorted(at for one, at in taken if one is endpoint)
        # One that takes a moment longer to IBKR than the next one does not come too close to it.
        least_s = endpoint.interval_s + JITTER_S if endpoint.interval_s else 0.0
        assert all(later - earlier >= least_s - TINY for earlier, later in itertools.pairwise(own))


@given(st.lists(st.sampled_from([one for one in ENDPOINTS if one.kind is not Kind.KEEPALIVE]), min_size=9, max_size=40))
def test_reads_leave_room_for_the_watchdog(claims: list[Endpoint]) -> None:
    """However many reads wait for their turn, a tickle is sent within two seconds."""
    reservations = Reservations()
    at_s = []
    for endpoint in claims:
        reservations, at = reserve(reservations, endpoint, 100.0)
        at_s.append(at)
    assert most_in_a_second(at_s) <= pacing.REQUESTS_PER_S - pacing.HEADROOM_PER_S


def test_a_keepalive_uses_the_room_that_reads_leave() -> None:
    reservations = Reservations()
    for _ in range(8):
        reservations, at = reserve(reservations, SUMMARY, 100.0)
        assert at == 100.0
    assert reserve(reservations, SUMMARY, 100.0)[1] == 101.0 + JITTER_S
    assert reserve(reservations, TICKLE, 100.0)[1] == 100.0


def test_nobody_sends_during_the_penalty() -> None:
    past = Reservations(penalty_until=1000.0)
    assert reserve(past, TICKLE, 100.0)[1] == 1000.0
    assert reserve(past, TICKLE, 1000.5)[1] == 1000.5


@settings(max_examples=20)
@given(st.lists(st.sampled_from(ENDPOINTS), max_size=200))
def test_the_file_does_not_grow(claims: list[Endpoint]) -> None:
    reservations, now_s = Reservations(), 0.0
    for endpoint in claims:
        now_s += 0.2
        reservations, _ = reserve(reservations, endpoint, now_s)
        now_s = max(now_s, _)
    assert len(reservations.slots) <= 2 * pacing.REQUESTS_PER_S
    assert len(reservations.next_at) <= 3


# The file.


def test_the_file_is_shared(tmp_path: Path) -> None:
    one, other = SharedPacing(tmp_path / "pacing.json"), SharedPacing(tmp_path / "pacing.json")
    assert one.claim(TICKLE, 5.0) == 0.0
    assert 0.5 < other.claim(TICKLE, 5.0) <= 1.0 + JITTER_S


def test_a_wait_that_is_too_long_is_refused_and_not_reserved(tmp_path: Path) -> None:
    shared = SharedPacing(tmp_path / "pacing.json")
    shared.claim(ACCOUNTS, 0.0)
    for _ in range(20):
        with pytest.raises(RateLimited, match="asked too often; possible in 5 s"):
            shared.claim(ACCOUNTS, 1.0)
    assert shared.claim(ACCOUNTS, 6.0) < 5.1


def test_a_429_is_obeyed_by_everyone_and_after_a_restart(tmp_path: Path) -> None:
    SharedPacing(tmp_path / "pacing.json").penalise()
    with pytest.raises(RateLimited, match="IBKR said too many requests; possible in 900 s"):
        SharedPacing(tmp_path / "pacing.json").claim(TICKLE, 60.0)


def test_time_comes_from_the_clocks_it_is_given(tmp_path: Path) -> None:
    """A minute and a penalty pass when the clocks say so, and another boot's file counts for nothing."""
    uptime_s, booted_at = 1000.0, 1_800_000_000.0
    shared = SharedPacing(tmp_path / "pacing.json", clock=lambda: uptime_s, wall=lambda: booted_at + uptime_s)
    assert shared.claim(VALIDATE, 0.0) == 0.0
    assert shared.claim(VALIDATE, 61.0) == pytest.approx(60.0 + JITTER_S)
    uptime_s += 121.0
    assert shared.claim(VALIDATE, 0.0) == 0.0
    shared.penalise()
    uptime_s += PENALTY_S - 1.0
    assert shared.claim(TICKLE, 5.0) == 1.0
    uptime_s, booted_at = 5.0, booted_at + 3600.0
    assert shared.claim(TICKLE, 0.0) == 0.0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"slots": "x"}', b"\xff", b"[" * 100_000, b'{"slots":[1,2', b'{"booted_at": 1e999}'],
)
def test_a_damaged_file_counts_as_empty_and_is_mended(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pacing.json"
    path.write_bytes(content)
    assert SharedPacing(path).claim(SUMMARY, 0.0) == 0.0
    assert json.loads(path.read_bytes())["slots"]


def test_another_boots_file_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "pacing.json"
    SharedPacing(path).penalise()
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "booted_at": document["booted_at"] - 86_400}))
    assert SharedPacing(path).claim(TICKLE, 0.0) == 0.0


def test_nothing_can_shut_us_out_for_ever(tmp_path: Path) -> None:
    """A file of this boot with absurd times holds nobody for longer than a penalty."""
    path = tmp_path / "pacing.json"
    SharedPacing(path).claim(SUMMARY, 0.0)
    document = json.loads(path.read_bytes())
    path.write_text(
        json.dumps({**document, "penalty_until": 1e300, "next_at": {"tickle": 1e300}, "slots": [1e300] * 20})
    )
    with pytest.raises(RateLimited, match="possible in 900 s"):
        SharedPacing(path).claim(TICKLE, 60.0)


def test_without_room_on_the_disk_the_process_paces_itself(tmp_path: Path) -> None:
    """The kernel's RLIMIT_FSIZE refuses writes as a full disk does."""
    shared = SharedPacing(tmp_path / "pacing.json")
    shared.claim(SUMMARY, 0.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        waits = [shared.claim(SUMMARY, 5.0) for _ in range(9)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert waits[:7] == [0.0] * 7
    assert waits[7] > 0.9
    # With room again, what was sent meanwhile is told to the others.
    assert shared.claim(SUMMARY, 5.0) > 0.5
    assert len(json.loads((tmp_path / "pacing.json").read_bytes())["slots"]) >= 10


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_person_without_rights_obeys_what_others_reserved(tmp_path: Path, environment: dict[str, str]) -> None:
    shared = SharedPacing(tmp_path / "pacing.json")
    shared.penalise()
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path\n"
        "from ibkr_tools.portal.pacing import SharedPacing; from ibkr_tools.portal.endpoints import SUMMARY\n"
        "from ibkr_tools.errors import RateLimited\n"
        "os.seteuid(65534)\n"
        "try: SharedPacing(Path(sys.argv[1])).claim(SUMMARY, 1.0)\n"
        "except RateLimited: print('waits')\n"
        "print(SharedPacing(Path(sys.argv[2])).claim(SUMMARY, 1.0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "pacing.json"), str(tmp_path / "new" / "pacing.json")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["waits", "0.0"]


def _claim(path: Path, times: int, endpoint: Endpoint) -> list[float]:
    shared = SharedPacing(path)
    return [time.monotonic() + shared.claim(endpoint, 60.0) for _ in range(times)]


def test_several_processes_together_keep_the_limits(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        jobs = [
            pool.apply_async(_claim, (tmp_path / "pacing.json", 12, endpoint))
            for endpoint in (SUMMARY, POSITIONS, SUMMARY)
        ]
        slots = sorted(slot for job in jobs for slot in job.get())
    stated = json.loads((tmp_path / "pacing.json").read_bytes())["slots"]
    assert most_in_a_second(stated) <= 8
    # Each process takes its time a moment after the reservation was made.
    assert all(later - earlier > 0.9 for earlier, later in zip(slots, slots[8:], strict=False))


def test_unpaced_never_waits() -> None:
    unpaced = Unpaced()
    unpaced.penalise()
    assert unpaced.claim(VALIDATE, 0.0) == 0.0


def test_what_never_left_is_given_back(tmp_path: Path) -> None:
    """A call that nobody listened to does not make the next one wait."""
    shared = SharedPacing(tmp_path / "pacing.json")
    assert shared.claim(TICKLE, 0.0) == 0.0
    with pytest.raises(RateLimited):
        shared.claim(TICKLE, 0.0)
    shared.forgo(TICKLE)
    assert shared.claim(TICKLE, 0.0) == 0.0
