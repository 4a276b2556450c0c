"""An answer that may not be asked for again yet is remembered, for no longer than that."""

import time
from pathlib import Path

import msgspec
import pytest

from ibkr_tools.portal import recall
from ibkr_tools.portal.endpoints import ACCOUNTS
from ibkr_tools.portal.recall import Recall

ROWS = [{"id": "U1234567", "accountAlias": None}]


def test_remembers_between_processes(tmp_path: Path) -> None:
    """What one process was told, another may use; nobody outside the group reads it."""
    Recall(tmp_path).store(ACCOUNTS, ROWS)
    assert Recall(tmp_path).load(ACCOUNTS) == ROWS
    assert (tmp_path / "accounts.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("age_s", "found"), [(0.0, True), (4.9, True), (5.1, False), (-1.0, False)])
def test_forgets_when_ibkr_may_be_asked_again(tmp_path: Path, age_s: float, found: bool) -> None:
    """IBKR's interval is 5 s; an answer from the future is from another clock."""
    one = Recall(tmp_path)
    now_s = time.monotonic()
    remembered = recall._Remembered(time.time() - now_s, now_s - age_s, ROWS)
    (tmp_path / "accounts.json").write_bytes(msgspec.json.encode(remembered))
    assert (one.load(ACCOUNTS) is not None) is found


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"booted_at": 0, "at_s": 0, "payload": []}'])
def test_damage_or_another_boot_is_no_answer(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "accounts.json").write_bytes(data)
    assert Recall(tmp_path).load(ACCOUNTS) is None


def test_a_directory_that_takes_nothing_does_no_harm(tmp_path: Path) -> None:
    one = Recall(tmp_path / "missing")
    one.store(ACCOUNTS, ROWS)
    assert one.load(ACCOUNTS) is None
