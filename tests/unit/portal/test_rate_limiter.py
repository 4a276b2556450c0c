"""The rate limiter's state in its file: shared by all processes of a user, as lasting as IBKR's penalty."""

import json
import resource
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools import files
from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import ACCOUNTS, SUMMARY, TICKLE, VALIDATE
from ibkr_tools.portal.rate_limit_state import ARRIVAL_JITTER_S, MAX_PENALTY_S, PENALTY_S
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from tests.support.no_rate_limit import NoRateLimit


def at_rest(folder: Path) -> SharedRateLimiter:
    """The limiter in `folder`, while no time passes: how fast this machine is does not matter."""
    return SharedRateLimiter(folder / "pacing.json", clock=lambda: 1000.0, wall=lambda: 1_800_000_000.0)


def test_the_file_is_shared(tmp_path: Path) -> None:
    one, other = at_rest(tmp_path), at_rest(tmp_path)
    assert one.acquire(TICKLE, 5.0).wait_s == 0.0
    assert other.acquire(TICKLE, 5.0).wait_s == pytest.approx(1.0 + ARRIVAL_JITTER_S)


def test_a_wait_that_is_too_long_is_refused_and_not_reserved(tmp_path: Path) -> None:
    shared = at_rest(tmp_path)
    shared.acquire(ACCOUNTS, 0.0)
    for _ in range(20):
        with pytest.raises(RateLimited, match="asked too often; possible in 6 s"):
            shared.acquire(ACCOUNTS, 1.0)
    assert shared.acquire(ACCOUNTS, 6.0).wait_s == pytest.approx(5.0 + ARRIVAL_JITTER_S)


def test_the_interval_of_an_endpoint_begins_with_the_answer(tmp_path: Path) -> None:
    """A call that a busy machine sent late has arrived by its answer, and no sooner for certain."""
    uptime_s = 1000.0
    shared = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: uptime_s)
    first = shared.acquire(ACCOUNTS, 0.0)
    uptime_s += 2.0
    shared.record_completion(first)
    other = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: uptime_s)
    assert other.acquire(ACCOUNTS, 10.0).at_s == pytest.approx(1007.0)
    prompt = SharedRateLimiter(tmp_path / "other.json", clock=lambda: uptime_s)
    prompt.record_completion(prompt.acquire(ACCOUNTS, 0.0))
    assert prompt.acquire(ACCOUNTS, 10.0).wait_s == pytest.approx(5.0 + ARRIVAL_JITTER_S)


def test_a_429_is_obeyed_by_everyone_and_after_a_restart(tmp_path: Path) -> None:
    SharedRateLimiter(tmp_path / "pacing.json").record_429()
    with pytest.raises(RateLimited, match="IBKR said too many requests; possible in 15 min"):
        SharedRateLimiter(tmp_path / "pacing.json").acquire(TICKLE, 60.0)


def test_time_comes_from_the_clock_it_is_given(tmp_path: Path) -> None:
    """A minute and a penalty pass when the clock says so, and another boot's file counts for nothing."""
    uptime_s = 1000.0
    shared = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: uptime_s)
    assert shared.acquire(VALIDATE, 0.0).wait_s == 0.0
    assert shared.acquire(VALIDATE, 61.0).wait_s == pytest.approx(60.0 + ARRIVAL_JITTER_S)
    uptime_s += 121.0
    assert shared.acquire(VALIDATE, 0.0).wait_s == 0.0
    shared.record_429()
    uptime_s += PENALTY_S - 1.0
    assert shared.acquire(TICKLE, 5.0).wait_s == 1.0
    uptime_s = 5.0
    rebooted = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: uptime_s, boot_id=lambda: "another")
    assert rebooted.acquire(TICKLE, 0.0).wait_s == 0.0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"slots": "x"}', b"\xff", b"[" * 100_000, b'{"slots":[1,2', b'{"boot_id": 1}'],
)
def test_a_damaged_file_counts_as_empty_and_is_mended(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pacing.json"
    path.write_bytes(content)
    assert SharedRateLimiter(path).acquire(SUMMARY, 0.0).wait_s == 0.0
    assert json.loads(path.read_bytes())["slots"]


def test_another_boots_file_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "pacing.json"
    SharedRateLimiter(path).record_429()
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "boot_id": "another"}))
    assert SharedRateLimiter(path).acquire(TICKLE, 0.0).wait_s == 0.0


def test_nothing_can_shut_us_out_for_ever(tmp_path: Path) -> None:
    """A file of this boot with absurd times holds nobody for longer than the longest penalty."""
    path = tmp_path / "pacing.json"
    SharedRateLimiter(path).acquire(SUMMARY, 0.0)
    document = json.loads(path.read_bytes())
    path.write_text(
        json.dumps({**document, "penalty_until": 1e300, "next_at": {"tickle": 1e300}, "slots": [1e300] * 20})
    )
    with pytest.raises(RateLimited, match="possible in 60 min") as caught:
        SharedRateLimiter(path).acquire(TICKLE, 60.0)
    assert caught.value.wait_s == pytest.approx(MAX_PENALTY_S, abs=1.0)


def test_without_room_on_the_disk_the_process_paces_itself(tmp_path: Path) -> None:
    """The kernel's RLIMIT_FSIZE refuses writes as a full disk does."""
    shared = at_rest(tmp_path)
    shared.acquire(SUMMARY, 0.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        waits = []
        for _ in range(9):
            reservation = shared.acquire(SUMMARY, 5.0)
            shared.record_completion(reservation)
            waits.append(reservation.wait_s)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert waits[:7] == [0.0] * 7
    assert waits[7] > 0.9
    # With room again, what was sent meanwhile is told to the others.
    assert shared.acquire(SUMMARY, 5.0).wait_s > 0.5
    assert len(json.loads((tmp_path / "pacing.json").read_bytes())["slots"]) >= 10


@pytest.mark.timing
def test_a_claim_costs_little(tmp_path: Path) -> None:
    """0.3 ms on an idle machine; the bound is for a busy one."""
    shared = SharedRateLimiter(tmp_path / "pacing.json")
    spent_s = []
    for _ in range(50):
        begun_s = time.process_time()
        with suppress(RateLimited):
            shared.acquire(SUMMARY, 0.0)
        spent_s.append(time.process_time() - begun_s)
    assert min(spent_s) < 0.001


def test_a_process_that_was_stopped_in_a_claim_stops_nobody_else(tmp_path: Path) -> None:
    """Ctrl-Z may come at any moment; what that process reserved before is still obeyed."""
    shared = at_rest(tmp_path)
    shared.acquire(TICKLE, 0.0)
    with files.locked(tmp_path / "pacing.lock"):
        assert shared.acquire(TICKLE, 5.0).wait_s == pytest.approx(1.0 + ARRIVAL_JITTER_S)


def test_threads_share_one_budget(tmp_path: Path) -> None:
    """Also where the file cannot be written, and the object alone knows what was sent."""
    shared = at_rest(tmp_path / "missing" / "no")
    (tmp_path / "missing").write_text("a file where a directory should be")
    with ThreadPoolExecutor(4) as pool:
        waits = list(pool.map(lambda _: shared.acquire(SUMMARY, 60.0).wait_s, range(40)))
    assert sorted(waits)[8] > 0.9


def test_unpaced_never_waits() -> None:
    unlimited = NoRateLimit()
    unlimited.record_429()
    assert unlimited.acquire(VALIDATE, 0.0).wait_s == 0.0


def test_what_never_left_is_given_back(tmp_path: Path) -> None:
    """A call that nobody listened to does not make the next one wait."""
    shared = at_rest(tmp_path)
    reservation = shared.acquire(TICKLE, 0.0)
    assert reservation.wait_s == 0.0
    with pytest.raises(RateLimited):
        shared.acquire(TICKLE, 0.0)
    shared.release(reservation)
    assert shared.acquire(TICKLE, 0.0).wait_s == 0.0


# The penalty.


class Machine:
    """Clocks of a machine that can be booted, with a state directory that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.uptime_s, self.wall_s = 1000.0, 1_800_000_000.0
        self.boots = 1
        self.folder = folder

    def process(self, *, keeps: bool = True) -> SharedRateLimiter:
        """Returns the budget of a process that starts now."""
        kept = self.folder / "penalty.json" if keeps else self.folder / "missing" / "penalty.json"
        path = self.folder / "run" / "pacing.json"
        return SharedRateLimiter(
            path, kept, clock=lambda: self.uptime_s, wall=lambda: self.wall_s, boot_id=lambda: str(self.boots)
        )

    def live(self, seconds: float) -> None:
        """Lets time pass."""
        self.uptime_s += seconds
        self.wall_s += seconds

    def boot(self, off_s: float = 60.0) -> None:
        """Boots, which empties /run."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self.uptime_s, self.wall_s = 10.0, self.wall_s + off_s
        self.boots += 1


@pytest.mark.parametrize(("stated_s", "lasts_s"), [(None, 900.0), (60.0, 900.0), (1800.0, 1800.0), (1e9, 3600.0)])
def test_a_penalty_lasts_as_long_as_ibkr_says(tmp_path: Path, stated_s: float | None, lasts_s: float) -> None:
    """A shorter one than documented is not tried out, an absurd one not believed."""
    machine = Machine(tmp_path)
    machine.process().record_429(stated_s)
    assert machine.process().penalty_s() == lasts_s
    machine.live(lasts_s + 1.0)
    assert machine.process().penalty_s() == 0.0
    assert machine.process().acquire(TICKLE, 0.0).wait_s == 0.0


@given(
    st.floats(0, 1000),
    st.lists(st.tuples(st.sampled_from(["restart", "boot", "live"]), st.floats(0, 400)), max_size=6),
)
def test_a_penalty_outlives_restarts_and_boots(
    tmp_path_factory: pytest.TempPathFactory, met_after_s: float, events: list[tuple[str, float]]
) -> None:
    """Whatever is restarted when: nobody sends before its end, and nobody waits after it."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    process = machine.process()
    machine.live(met_after_s)
    process.record_429()
    end_s = machine.wall_s + PENALTY_S
    for event, seconds in events:
        if event == "boot":
            machine.boot(seconds)
        else:
            machine.live(seconds)
        process = process if event == "live" else machine.process()
        left_s = max(0.0, end_s - machine.wall_s)
        assert process.penalty_s() == pytest.approx(left_s, abs=0.01)
        if left_s > 1.0:
            with pytest.raises(RateLimited, match="too many requests"):
                process.acquire(TICKLE, 0.0)


def test_a_penalty_that_a_person_met_outlives_a_boot_too(tmp_path: Path) -> None:
    """They cannot write the state directory; the watchdog can, and looks."""
    machine = Machine(tmp_path)
    watchdog = machine.process()
    machine.process(keeps=False).record_429()
    assert watchdog.penalty_s() == PENALTY_S
    machine.boot()
    assert machine.process().penalty_s() == pytest.approx(PENALTY_S - 60.0)


@pytest.mark.parametrize("moved_s", [-1e9, -3600.0, 3600.0])
def test_a_clock_that_stands_wrong_makes_no_penalty_longer(tmp_path: Path, moved_s: float) -> None:
    """A machine without a battery boots in another year."""
    machine = Machine(tmp_path)
    machine.process().record_429()
    machine.boot(moved_s)
    assert machine.process().penalty_s() == (PENALTY_S if moved_s < 0 else 0.0)
    machine.live(PENALTY_S + 1.0)
    assert machine.process().penalty_s() == 0.0


def test_a_clock_that_is_set_ends_no_penalty(tmp_path: Path) -> None:
    """A clock that jumps is no boot."""
    machine = Machine(tmp_path)
    watchdog = machine.process()
    watchdog.record_429()
    machine.wall_s += 86_400.0
    for process in (watchdog, machine.process()):
        assert process.penalty_s() == PENALTY_S
        with pytest.raises(RateLimited):
            process.acquire(TICKLE, 0.0)


def test_who_clears_the_file_ends_the_penalty(tmp_path: Path) -> None:
    """A person knows better: the file is what counts, where it is to be believed."""
    machine = Machine(tmp_path)
    watchdog = machine.process()
    watchdog.record_429()
    path = tmp_path / "run" / "pacing.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "penalty_until": 0.0}))
    assert watchdog.acquire(TICKLE, 0.0).wait_s == 0.0
    assert not (tmp_path / "penalty.json").exists()


def test_the_file_of_a_penalty_goes_with_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    process = machine.process()
    process.record_429()
    assert (tmp_path / "penalty.json").stat().st_mode & 0o777 == 0o640
    machine.live(PENALTY_S + 1.0)
    process.acquire(SUMMARY, 0.0)
    assert not (tmp_path / "penalty.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"until": "soon"}', b'{"until": 1e999}', b"\xff"])
def test_a_damaged_file_of_a_penalty_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "penalty.json").write_bytes(content)
    assert Machine(tmp_path).process().penalty_s() == 0.0


def test_a_penalty_of_another_version_counts_as_one_that_has_just_begun(tmp_path: Path) -> None:
    """What its end means there nobody knows here."""
    (tmp_path / "penalty.json").write_text('{"until": 1.0, "schema": 2}')
    assert Machine(tmp_path).process().penalty_s() == pytest.approx(PENALTY_S, abs=1.0)
