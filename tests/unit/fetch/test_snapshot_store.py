"""Saved snapshots: whatever happens when, the last complete one is there, and no copy is lost."""

import gzip
import os
import stat
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ibkr_tools.errors import ConfigError, DataError, OutputError, SnapshotMissing, UsageError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata
from tests.support.stored_snapshots import DAY, NOON, document, names, said


def test_latest_and_a_copy_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "snapshots"
    path = snapshot_store.save(folder, document("Jörg"), 30, NOON)
    assert path == folder / "latest.json"
    assert names(folder) == ["2026-11-22T120000Z.json.gz", "latest.json"]
    assert path.read_bytes() == document("Jörg").encode() + b"\n"
    assert gzip.decompress((folder / "2026-11-22T120000Z.json.gz").read_bytes()) == path.read_bytes()
    assert said(snapshot_store.read_latest(folder)) == "Jörg"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_group_can_read_all_of_it_and_others_none(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        snapshot_store.save(tmp_path / "snapshots", document(), 30, NOON)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "snapshots").stat().st_mode) == 0o750
    for name in names(tmp_path / "snapshots"):
        assert stat.S_IMODE((tmp_path / "snapshots" / name).stat().st_mode) == 0o640


def test_copies_go_when_they_are_old(tmp_path: Path) -> None:
    for number in range(10):
        snapshot_store.save(tmp_path, document(str(number)), 3, NOON + number * DAY)
    assert [copy.saved_at for copy in snapshot_store.list_copies(tmp_path)] == [
        NOON + number * DAY for number in (6, 7, 8, 9)
    ]
    assert said(snapshot_store.read_latest(tmp_path)) == "9"


def test_without_copies_the_old_ones_stay(tmp_path: Path) -> None:
    """Whoever wants no more copies has not said that the old ones are to be thrown away."""
    snapshot_store.save(tmp_path, document("1"), 3, NOON)
    snapshot_store.save(tmp_path, document("2"), 0, NOON + 100 * DAY)
    assert names(tmp_path) == ["2026-11-22T120000Z.json.gz", "latest.json"]
    assert said(snapshot_store.read_latest(tmp_path)) == "2"


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    others = [
        "2020-01-01T000000Z.json",
        "notes.txt",
        "2020-99-01T000000Z.json.gz",
        ".hidden",
        "x2020-01-01T000000Z.json.gz",
    ]
    for name in others:
        (tmp_path / name).write_text("x")
    snapshot_store.save(tmp_path, document(), 1, NOON)
    assert set(others) < set(names(tmp_path))
    assert [copy.saved_at for copy in snapshot_store.list_copies(tmp_path)] == [NOON]


def test_a_clock_in_another_zone_names_the_same_moment(tmp_path: Path) -> None:
    from zoneinfo import ZoneInfo

    snapshot_store.save(tmp_path, document(), 30, NOON.astimezone(ZoneInfo("America/New_York")))
    assert snapshot_store.list_copies(tmp_path)[0].saved_at == NOON


def test_a_large_snapshot_needs_little_memory(tmp_path: Path) -> None:
    parts = b'"user":["' + os.urandom(5_000_000).hex().encode() + b'"]'
    large = SnapshotDocument(
        as_of=NOON, account="U1234567", covers=SnapshotMetadata(accounts=(), resources=("user",)), parts=parts
    )
    tracemalloc.start()
    try:
        snapshot_store.save(tmp_path, large, 30, NOON)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "latest.json").stat().st_size > 10_000_000


@pytest.mark.parametrize("where", ["file/snapshots", "file"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        snapshot_store.save(tmp_path / where, document(), 30, NOON)
    assert caught.value.exit_code == 73


def test_a_directory_in_the_way_is_told_and_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "latest.json").mkdir()
    with pytest.raises(OutputError, match=r"latest\.json"):
        snapshot_store.save(tmp_path, document(), 0, NOON)
    assert names(tmp_path) == ["latest.json"]


# Reading.


def test_nothing_saved_yet(tmp_path: Path) -> None:
    with pytest.raises(SnapshotMissing, match="nothing has been saved") as caught:
        snapshot_store.read_latest(tmp_path / "snapshots")
    assert caught.value.hint
    assert "fetch --save" in caught.value.hint
    assert caught.value.exit_code == 75
    assert snapshot_store.list_copies(tmp_path / "snapshots") == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: data[:5], lambda data: data[:30] + b"\0" * 30]
)
def test_a_damaged_copy_is_told(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    snapshot_store.save(tmp_path, document(times=1000), 30, NOON)
    path = snapshot_store.list_copies(tmp_path)[0].path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="damaged"):
        snapshot_store.read_snapshot(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        snapshot_store.read_snapshot(tmp_path / "x.json")
    with pytest.raises(UsageError, match="directory"):
        snapshot_store.read_snapshot(tmp_path)
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigError, match="Not a directory"):
        snapshot_store.list_copies(tmp_path / "x")


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("2026-11-22", "23:59:59"),
        ("20261122", "23:59:59"),
        ("2026-11-22T12:00", "12:00:00"),
        ("2026-11-22T11:59:59", "07:00:00"),
        ("2026-11-22T12:30+01:00", "07:00:00"),
        ("2026-11-22 13:00Z", "12:00:00"),
        ("2026-11-22T23:59", "23:59:59"),
        ("2026-11-22T23:59:58", "12:00:00"),
        ("2030-01-01T00:00", "23:59:59"),
    ],
)
def test_a_copy_by_its_date(tmp_path: Path, when: str, found: str) -> None:
    for time in ("07:00:00", "12:00:00", "23:59:59"):
        snapshot_store.save(tmp_path, document(time), 30, datetime.fromisoformat(f"2026-11-22T{time}Z"))
    assert said(snapshot_store.read_snapshot(snapshot_store.find_copy(tmp_path, when))) == found


@pytest.mark.parametrize("when", ["2026-11-21", "2026-11-23", "2026-11-22T06:59", "0001-01-01", "9999-12-31"])
def test_no_copy_of_that_date_says_which_there_are(tmp_path: Path, when: str) -> None:
    with pytest.raises(UsageError) as none:
        snapshot_store.find_copy(tmp_path, when)
    assert none.value.hint == f"There is none in {tmp_path}; `ibkr-tools fetch --save` saves one."
    snapshot_store.save(tmp_path, document(), 30, datetime(2026, 11, 22, 7, tzinfo=UTC))
    with pytest.raises(UsageError, match="no saved copy") as caught:
        snapshot_store.find_copy(tmp_path, when)
    assert caught.value.hint == (
        f"1 dated copy, 2026-11-22 07:00 UTC, in {tmp_path}; `ibkr-tools show --list` lists them."
    )


@pytest.mark.parametrize("when", ["", "yesterday", "2026-13-01", "2026-11-22T25:00", "22.11.2026"])
def test_what_is_no_date_is_refused(tmp_path: Path, when: str) -> None:
    with pytest.raises(UsageError, match="no day such as 2026-11-22, and no time such as 2026-11-22T12:00") as caught:
        snapshot_store.find_copy(tmp_path, when)
    assert "ibkr-tools show --list" in str(caught.value.hint)
