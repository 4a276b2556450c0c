"""What members of the group may write: it holds up nothing that keeps the session alive, and is not believed."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ibkr_tools import files, session_hint
from ibkr_tools.boot_id import read_boot_id
from ibkr_tools.directories import Directories
from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import ACCOUNTS, PERFORMANCE, SUMMARY, TICKLE, VALIDATE
from ibkr_tools.portal.rate_limit_state import RATE_WINDOW_S
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS, ReadSemaphore
from ibkr_tools.portal.response_cache import ApiRequest, ResponseCache
from tests.support.slots import TINY

ANSWER = b'[{"id":"U1234567"}]'


@pytest.fixture
def place(tmp_path: Path) -> Directories:
    """The directories, with one that the group may write."""
    directories = Directories(configuration=tmp_path / "etc", runtime=tmp_path / "run", state=tmp_path / "state")
    for directory in (directories.runtime, directories.shared):
        directory.mkdir(parents=True)
    return directories


def budget(place: Directories) -> SharedRateLimiter:
    return SharedRateLimiter(place.pacing_file, place.penalty_file, shared=place.shared_pacing_file)


@contextmanager
def as_a_member(place: Directories) -> Iterator[None]:
    """Lets objects that are made meanwhile be those of somebody who may not write what is the units'."""
    ours, theirs = (place.runtime, place.cache), files.is_writable
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "is_writable", lambda path: path not in ours and theirs(path))
        yield


def forge(path: Path, **what: object) -> None:
    """Writes a budget that no process of ours would."""
    path.write_text(json.dumps({"boot_id": read_boot_id(), **what}))


def forgeries(now_s: float) -> dict[str, dict[str, object]]:
    later = [now_s + number / 10 for number in range(20_000)]
    return {
        "penalty": {"penalty_until": now_s + 3000.0},
        "slots": {"slots": later},
        "full for an hour": {"slots": [now_s + number / 10 for number in range(36_000)]},
        "endpoints": {"next_at": {one.name: now_s + 3000.0 for one in (TICKLE, VALIDATE, SUMMARY, ACCOUNTS)}},
        "handshake": {"handshake_until": now_s + 3000.0},
        "far away": {"slots": [1e308, -1e308], "penalty_until": 1e308},
    }


@pytest.mark.parametrize("name", list(forgeries(0.0)))
def test_no_member_holds_up_what_keeps_the_session_alive(place: Directories, name: str) -> None:
    forge(place.shared_pacing_file, **forgeries(time.monotonic())[name])
    shared = budget(place)
    for endpoint in (TICKLE, VALIDATE):
        assert shared.acquire(endpoint, 60.0).wait_s <= RATE_WINDOW_S + TINY
    assert shared.acquire(ACCOUNTS, 60.0, urgent=True).wait_s <= 2 * RATE_WINDOW_S + TINY


def test_a_penalty_is_believed_of_a_unit_alone(place: Directories) -> None:
    """Whoever else says so may be wrong; the next request finds out, and then it is a unit's."""
    forge(place.shared_pacing_file, penalty_until=time.monotonic() + 900.0)
    assert budget(place).penalty_s() == 0.0
    assert budget(place).acquire(SUMMARY, 0.0).wait_s == 0.0
    assert not place.penalty_file.exists()
    budget(place).record_429()
    with as_a_member(place):
        assert budget(place).penalty_s() > 800.0


def test_a_member_obeys_what_units_and_members_have_reserved(place: Directories) -> None:
    with as_a_member(place):
        member, other = budget(place), budget(place)
    unit = budget(place)
    unit.acquire(PERFORMANCE, 0.0)
    with pytest.raises(RateLimited):
        member.acquire(PERFORMANCE, 60.0)
    member.acquire(ACCOUNTS, 0.0)
    for somebody in (other, unit):
        assert somebody.acquire(ACCOUNTS, 60.0).wait_s > 4.0
    other.record_429()
    with pytest.raises(RateLimited, match="IBKR said"):
        member.acquire(SUMMARY, 60.0)
    assert unit.acquire(SUMMARY, 60.0).wait_s <= RATE_WINDOW_S + TINY


@pytest.mark.parametrize("what", ["lock", "budget"])
@pytest.mark.parametrize("trap", ["fifo", "link", "directory", "endless"])
def test_whatever_lies_in_the_budgets_place_a_unit_goes_on(place: Directories, what: str, trap: str) -> None:
    path = place.shared_pacing_file if what == "budget" else place.shared_pacing_file.with_suffix(".lock")
    precious = place.runtime / "precious"
    precious.write_text("ours")
    match trap:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(precious)
        case "directory":
            path.mkdir()
        case _:
            path.write_bytes(b" " * (files.MAX_SMALL_FILE_BYTES + 1))
    assert budget(place).acquire(TICKLE, 60.0).wait_s <= RATE_WINDOW_S + TINY
    assert budget(place).acquire(SUMMARY, 60.0).wait_s <= RATE_WINDOW_S + TINY
    assert precious.read_text() == "ours"


def test_members_cannot_hold_all_reads(place: Directories) -> None:
    """Neither by reading for ever nor by holding the locks of others."""
    with ExitStack() as held:
        for number in range(1, MAX_CONCURRENT_READS + 2):
            fd = os.open(place.shared / f"read-{number}.lock", os.O_RDWR | os.O_CREAT, 0o660)
            held.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX)
        with ReadSemaphore(place.runtime, place.shared).acquire(0.0, lambda _: None):
            pass
    # Whoever can open a file can lock it.
    assert (place.runtime / "read-1.lock").stat().st_mode & 0o077 == 0


def response_cache(place: Directories) -> ResponseCache:
    return ResponseCache(place.cache, "reader", fallback=place.configuration / "answers")


def test_a_unit_believes_no_answer_of_a_member(place: Directories) -> None:
    call = ApiRequest(PERFORMANCE, "/pa/performance")
    with as_a_member(place):
        member = response_cache(place)
        member.put(call, ANSWER)
        assert (known := member.get(call)) is not None
        assert known[0] == ANSWER
    assert response_cache(place).get(call) is None
    assert not response_cache(place).is_pending(call)


def test_a_member_reads_what_a_unit_remembers(place: Directories) -> None:
    call = ApiRequest(ACCOUNTS, "/portfolio/accounts")
    response_cache(place).put(call, ANSWER)
    assert place.cache.stat().st_mode & 0o007 == 0
    with as_a_member(place):
        known = response_cache(place).get(call)
    assert known is not None
    assert known[0] == ANSWER


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a directory of somebody else")
def test_a_member_believes_no_answer_of_another_one(place: Directories) -> None:
    """Whoever made his directory first, such as in a home that others may write."""
    call = ApiRequest(ACCOUNTS, "/portfolio/accounts")
    with as_a_member(place):
        member = response_cache(place)
        member.put(call, ANSWER)
        os.chown(place.configuration / "answers", 65534, 65534)
        assert member.get(call) is None
        member.put(call, ANSWER)
        member.delete(call)
        assert member.get(call) is None


def test_a_hint_is_left_whatever_stood_there(place: Directories) -> None:
    before = session_hint.modified_ns(place.session_hint)
    place.session_hint.symlink_to(place.runtime / "missing")
    session_hint.touch(place.session_hint)
    assert session_hint.modified_ns(place.session_hint) > before
    assert place.session_hint.is_file()
    assert not place.session_hint.is_symlink()


def test_a_hint_that_cannot_be_left_is_none(place: Directories) -> None:
    place.session_hint.mkdir()
    session_hint.touch(place.session_hint)
    session_hint.touch(place.runtime / "no" / "such" / "place")
