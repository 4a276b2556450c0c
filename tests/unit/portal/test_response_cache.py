"""An answer that may not be asked for again yet is cached, for no longer than that, and for nobody else."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.portal.endpoints import ACCOUNTS, PERFORMANCE, SUMMARY, Endpoint
from ibkr_tools.portal.response_cache import ApiRequest, ResponseCache

ANSWER = b'[{"id":"U1234567", "balance": 1.50}]\n'
PATH = "/portfolio/accounts"


class Clocks:
    """A machine's monotonic clock, moved by hand."""

    def __init__(self) -> None:
        self.uptime_s, self.boots = 1000.0, 1

    def response_cache(self, folder: Path, user: str = "reader", *, paper: bool = False) -> ResponseCache:
        """Returns the cache of a process of that user."""
        return ResponseCache(folder, user, paper=paper, clock=lambda: self.uptime_s, boot_id=lambda: str(self.boots))

    def live(self, seconds: float) -> None:
        """Lets time pass."""
        self.uptime_s += seconds


def test_bytes_are_cached_between_processes(tmp_path: Path) -> None:
    """What one process was told, another may use, as it came; nobody outside the group reads it."""
    ResponseCache(tmp_path, "reader").put(ApiRequest(ACCOUNTS, PATH), ANSWER)
    known = ResponseCache(tmp_path, "reader").get(ApiRequest(ACCOUNTS, PATH))
    assert known is not None
    assert known[0] == ANSWER
    assert 0.0 <= known[1] < 1.0
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o640
    assert "reader" not in file.name


@pytest.mark.parametrize(
    ("endpoint", "age_s", "found"),
    [
        (ACCOUNTS, 0.0, True),
        (ACCOUNTS, 4.9, True),
        (ACCOUNTS, 5.1, False),
        (ACCOUNTS, -1.0, False),
        (PERFORMANCE, 899.0, True),
        (PERFORMANCE, 901.0, False),
        (SUMMARY, 0.0, False),
    ],
)
def test_an_entry_expires_when_ibkr_may_be_asked_again(
    tmp_path: Path, endpoint: Endpoint, age_s: float, found: bool
) -> None:
    """An answer from the future is from another clock; where there is no interval, nothing is cached."""
    clocks = Clocks()
    clocks.response_cache(tmp_path).put(ApiRequest(endpoint, PATH), ANSWER)
    clocks.live(age_s)
    known = clocks.response_cache(tmp_path).get(ApiRequest(endpoint, PATH))
    assert (known is not None) is found
    assert known is None or known[1] == pytest.approx(age_s)


CALLS = st.builds(
    ApiRequest,
    st.sampled_from([ACCOUNTS, PERFORMANCE]),
    st.sampled_from([PATH, "/portfolio/subaccounts"]),
    st.none() | st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), min_size=1),
    st.none() | st.dictionaries(st.sampled_from(["period", "acctIds"]), st.sampled_from(["1M", ["U1"], ["U2", "U1"]])),
)


@given(st.lists(st.tuples(CALLS, st.sampled_from(["one", "other"]), st.booleans()), min_size=2, max_size=8))
def test_each_call_has_its_own_answer(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[ApiRequest, str, bool]]
) -> None:
    """Whatever differs, the path, a parameter or the user, another answer is none."""
    folder, clocks = tmp_path_factory.mktemp("response_cache"), Clocks()
    for number, (call, user, paper) in enumerate(calls):
        clocks.response_cache(folder, user, paper=paper).put(call, b"%d" % number)
    for call, user, paper in calls:
        known = clocks.response_cache(folder, user, paper=paper).get(call)
        assert known is not None
        assert known[0] == b"%d" % max(number for number, one in enumerate(calls) if one == (call, user, paper))


def test_who_makes_a_call_says_so_until_it_is_over(tmp_path: Path) -> None:
    """Or for a minute, if it dies on the way."""
    clocks, call = Clocks(), ApiRequest(PERFORMANCE, PATH)
    one, other = clocks.response_cache(tmp_path), clocks.response_cache(tmp_path)
    for end in ("answer", "failure", "death"):
        assert not other.is_pending(call)
        one.mark_pending(call)
        assert other.is_pending(call)
        assert other.get(call) is None
        assert not other.is_pending(ApiRequest(PERFORMANCE, PATH, None, {"period": "1M"}))
        if end == "answer":
            one.put(call, ANSWER)
        elif end == "failure":
            one.delete(call)
        else:
            clocks.live(61.0)
        assert not other.is_pending(call)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b'{"boot_id": "", "at_s": 0}\n[]', b'{"boot_id": 1, "at_s": 0}\n[]']
)
def test_damage_or_another_boot_is_no_answer(tmp_path: Path, data: bytes) -> None:
    one = ResponseCache(tmp_path, "reader")
    one.put(ApiRequest(ACCOUNTS, PATH), ANSWER)
    (file,) = tmp_path.iterdir()
    file.write_bytes(data)
    assert one.get(ApiRequest(ACCOUNTS, PATH)) is None


def test_entries_do_not_outlive_a_boot(tmp_path: Path) -> None:
    """A runtime directory that outlives it (one below a home) says nothing of this one."""
    clocks = Clocks()
    clocks.response_cache(tmp_path).put(ApiRequest(PERFORMANCE, PATH), ANSWER)
    clocks.boots += 1
    assert clocks.response_cache(tmp_path).get(ApiRequest(PERFORMANCE, PATH)) is None


def test_old_files_are_removed(tmp_path: Path) -> None:
    """Those of answers only, half-written ones of a process that was killed among them."""
    one = ResponseCache(tmp_path, "reader")
    for number in range(20):
        one.put(ApiRequest(PERFORMANCE, f"/{number}"), ANSWER)
    (tmp_path / ".answer-summary-0.0123456789ab").touch()
    (tmp_path / "pacing.json").touch()
    hour_ago = time.time() - 3600.0
    for file in tmp_path.iterdir():
        os.utime(file, (hour_ago, hour_ago))
    one.put(ApiRequest(ACCOUNTS, PATH), ANSWER)
    assert sorted(file.name.partition("-")[0] for file in tmp_path.iterdir()) == ["answer", "pacing.json"]


def test_a_directory_that_takes_nothing_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = ResponseCache(tmp_path / "file" / "cache", "reader")
    one.put(ApiRequest(ACCOUNTS, PATH), ANSWER)
    assert one.get(ApiRequest(ACCOUNTS, PATH)) is None
