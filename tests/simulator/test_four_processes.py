"""Four fetches and a watchdog at once, as real processes, against IBKR's limits: none of them is ever told to stop."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.portal import endpoints
from ibkr_tools.portal.rate_limit_state import HANDSHAKE_HEADROOM_S, REQUESTS_PER_S
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS
from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.options import account_numbers
from ibkr_tools.status import SessionState, utc_now
from tests.support.installation import Installation
from tests.support.patience import slowdown
from tests.support.portal import signed_in
from tests.support.simulation import wait_until
from tests.support.watchdog import WatchdogProcess, running

ACCOUNTS = account_numbers("U1234567", 14)
PAGES = 3
"""Of 237 positions."""


@pytest.fixture
def dog(tmp_path: Path, environment: dict[str, str]) -> Iterator[WatchdogProcess]:
    """A watchdog that tickles every ten seconds, since pushes are of no use, with a limiter that forgives nothing."""
    place = Installation(tmp_path, environment)
    with signed_in(tmp_path / "tls", accounts=ACCOUNTS) as simulator:
        simulator.control.limits(enabled=True, endpoint_penalty_s=900.0)
        simulator.control.behaviour(read_only_socket="silent")
        place.configure(simulator.port, simulator.options.certificate)
        with running(place, simulator) as watchdog:
            watchdog.wait_for(SessionState.UP)
            yield watchdog


def fetching(place: Installation, number: int, *arguments: str) -> "subprocess.Popen[str]":
    """Starts a fetch that writes to a file of its own."""
    return subprocess.Popen(
        place.command("fetch", *arguments, "-o", f"{place.root}/{number}.json"),
        env=place.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> str:
    """Waits for its end; returns what it complained of, with its exit code."""
    _, said = process.communicate(timeout=120)
    return "" if process.returncode == 0 else f"{process.returncode}: {said}"


def positions_seen(simulator: Simulator) -> int:
    requests: dict[str, int] = simulator.control.state()["requests"]
    return sum(count for call, count in requests.items() if "/positions/" in call)


def test_four_fetches_and_a_watchdog_keep_every_limit(dog: WatchdogProcess) -> None:
    """No 429, four reads under way at most, a watchdog that never waits for them, and a rate that leaves nothing."""
    place, control = dog.place, dog.simulator.control
    settled = time.monotonic() + HANDSHAKE_HEADROOM_S
    wait_until(lambda: time.monotonic() > settled, HANDSHAKE_HEADROOM_S + 1)
    control.measure()
    before = dog.session
    assert before is not None
    processes = [fetching(place, number, "positions") for number in range(4)]
    wait_until(lambda: positions_seen(dog.simulator) > 0, 30.0)
    begun, already = time.monotonic(), positions_seen(dog.simulator)
    # The watchdog's own claims are too few to tell: another one that keeps a session asks at any moment, too.
    keeper, stop = (
        SharedRateLimiter(place.directories.pacing_file, shared=place.directories.shared_pacing_file),
        threading.Event(),
    )
    waits: list[float] = []

    def keep() -> None:
        while not stop.wait(0.7):
            waits.append(keeper.acquire(endpoints.USER, 5.0, urgent=True).wait_s)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        complaints = [ended(process) for process in processes]
    finally:
        stop.set()
        thread.join()
    took_s = time.monotonic() - begun
    state = control.state()
    assert complaints == [""] * 4
    assert state["counters"]["refused_by_pacing"] == 0
    assert state["traffic"]["most_per_second"] <= REQUESTS_PER_S
    # The fifth is the watchdog's.
    assert state["traffic"]["most_in_flight"] <= MAX_CONCURRENT_READS + 1
    expected = [{"acctId": name} for name in ACCOUNTS for _ in range(237)]
    for number in range(4):
        document: dict[str, Any] = json.loads((place.root / f"{number}.json").read_bytes())
        assert [{"acctId": row["acctId"]} for row in document["positions"]] == expected
    asked = positions_seen(dog.simulator)
    assert asked >= 4 * len(ACCOUNTS) * PAGES
    assert max(waits) < 1.0
    assert "for its turn" not in (place.root / "watchdog.log").read_text()
    session = dog.session
    assert session is not None
    assert (session.state, session.losses, session.limited_until) == (SessionState.UP, 0, None)
    assert session.last_tickle_at != before.last_tickle_at
    assert not session.is_stale(utc_now())
    rate = (asked - already) / took_s
    assert rate > 5.0 / slowdown(), f"{rate:.2f} reads a second"


def test_four_reads_are_under_way_at_most_however_slow_ibkr_is(dog: WatchdogProcess) -> None:
    """Four processes with four threads each; and all of the four are used."""
    control = dog.simulator.control
    control.behaviour(latency_ms=600)
    control.measure()
    processes = [fetching(dog.place, number, "summary") for number in range(4)]
    assert [ended(process) for process in processes] == [""] * 4
    state = control.state()
    assert state["counters"]["refused_by_pacing"] == 0
    assert MAX_CONCURRENT_READS <= state["traffic"]["most_in_flight"] <= MAX_CONCURRENT_READS + 1
    assert "for its turn" not in (dog.place.root / "watchdog.log").read_text()


def test_who_meets_the_penalty_stops_everybody_and_the_status_says_so(dog: WatchdogProcess) -> None:
    """A fetch is told; the watchdog stops too, says until when within a beat, and a fetch after that sends nothing."""
    place, simulator = dog.place, dog.simulator
    simulator.control.fault("/portfolio/*/summary", "status", status=429, count=1)
    assert "75: " in ended(fetching(place, 0, "summary"))
    wait_until(lambda: dog.session is not None and dog.session.limited_until is not None, 15.0)
    session = dog.session
    assert session is not None
    assert session.limited_until is not None
    assert 800 < (session.limited_until - utc_now()).total_seconds() < 901
    assert "too many requests were sent: none is for 14 min" in place.run("status").stdout
    sent = sum(simulator.control.state()["requests"].values())
    complaint = ended(fetching(place, 1, "summary"))
    assert complaint.startswith("75: ")
    assert "IBKR said too many requests; possible in 15 min" in complaint
    # A boot empties the runtime directory; what is known outlives it.
    place.directories.pacing_file.unlink()
    assert "too many requests" in ended(fetching(place, 2, "summary"))
    assert sum(simulator.control.state()["requests"].values()) == sent
