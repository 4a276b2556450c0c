"""Small files are replaced whole or not at all."""

import os
import resource
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ibkr_tools import files

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of another owner")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_is_what_was_asked_for_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write_atomically(tmp_path / "file", b"data", mode=0o664)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o664
    assert (tmp_path / "file").read_bytes() == b"data"


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        files.write_atomically(tmp_path / ("x" * 256), b"1", mode=0o600)


@pytest.mark.parametrize("fsync", [True, False])
def test_no_temporary_is_left(tmp_path: Path, fsync: bool) -> None:
    files.write_atomically(tmp_path / "file", b"1", mode=0o600, fsync=fsync)
    files.write_atomically(tmp_path / "file", b"2", mode=0o600, fsync=fsync)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file_and_no_scrap(tmp_path: Path) -> None:
    """The kernel refuses to let files grow past RLIMIT_FSIZE, as it does on a full disk."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            files.write_atomically(path, b"x" * 100_000, mode=0o600)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_in_the_way_is_an_error_without_scrap(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write_atomically(tmp_path / "file", b"data", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_being_written_is_not_swept(tmp_path: Path) -> None:
    """Two processes may write at once, as when one gave up waiting for the other's lock; the last one is right."""
    path = tmp_path / "file"
    with files.atomic_writer(path, mode=0o600) as one:
        one.write(b"1")
        files.write_atomically(path, b"2", mode=0o600)
        files.remove_stale_temporaries(tmp_path)
        assert path.read_bytes() == b"2"
    assert path.read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [path]


@AS_ROOT
def test_nothing_that_exists_changes_owner_or_mode(tmp_path: Path) -> None:
    """Whose directory it is may have put there what should change."""
    os.chown(tmp_path, 65534, 65534)
    lock, directory = tmp_path / "lock", tmp_path / "directory"
    lock.touch(mode=0o640)
    directory.mkdir(mode=0o751)
    with files.locked(lock, mode=0o666):
        files.make_directory(directory, mode=0o700)
        files.write_atomically(tmp_path / "new", b"data", mode=0o600)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o640
    assert stat.S_IMODE(directory.stat().st_mode) == 0o751
    assert (tmp_path / "new").stat().st_uid == 0


def test_what_is_new_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    """Whatever the umask is: that of a unit is 0077."""
    before = os.umask(0o077)
    try:
        with files.locked(tmp_path / "lock", mode=0o660):
            files.make_directory(tmp_path / "a" / "b", mode=0o750)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o660
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")} == {0o750}


def _link(path: Path, other: Path) -> None:
    path.symlink_to(other)


def _dangling(path: Path, other: Path) -> None:
    path.symlink_to(other.with_name("missing"))


def _second_name(path: Path, other: Path) -> None:
    path.hardlink_to(other)


def _fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path, _: Path) -> None:
    path.mkdir()


def _socket(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


TRAPS = (_link, _dangling, _second_name, _fifo, _directory, _socket)


@pytest.mark.parametrize("trap", TRAPS)
def test_what_only_seems_to_be_a_file_is_neither_read_nor_locked(
    tmp_path: Path, trap: Callable[[Path, Path], None]
) -> None:
    """Nor waited for, nor made where a link leads."""
    target, path = tmp_path / "target", tmp_path / "file"
    target.write_bytes(b"secret")
    target.chmod(0o600)
    trap(path, target)
    with pytest.raises(OSError, match=str(path)):
        files.read_regular(path)
    with pytest.raises(OSError, match=str(path)), files.locked(path, mode=0o666, timeout_s=0.1):
        pytest.fail("it was locked")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "target"]


@pytest.mark.parametrize("trap", [_link, _dangling, _second_name, _fifo, _socket])
def test_a_writer_replaces_it_and_writes_nowhere_else(tmp_path: Path, trap: Callable[[Path, Path], None]) -> None:
    target, path = tmp_path / "target", tmp_path / "file"
    target.write_bytes(b"theirs")
    trap(path, target)
    files.write_atomically(path, b"ours", mode=0o600)
    assert (files.read_regular(path), target.read_bytes()) == (b"ours", b"theirs")


def test_no_more_is_read_than_a_file_may_have(tmp_path: Path) -> None:
    """A file that grows without end would fill the memory of whoever looks."""
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert len(files.read_regular(tmp_path / "file", 100)) == 100
    with pytest.raises(OSError, match="larger than 99 bytes"):
        files.read_regular(tmp_path / "file", 99)


@pytest.mark.parametrize("trap", [*TRAPS, None])
def test_whatever_stands_for_a_request_can_be_removed(
    tmp_path: Path, trap: Callable[[Path, Path], None] | None
) -> None:
    """A request that stays would be served for ever, or make systemd deaf."""
    target, path = tmp_path / "target", tmp_path / "request"
    target.touch()
    if trap is None:
        path.mkdir()
        (path / "inside").touch()
    else:
        trap(path, target)
    assert files.remove(path)
    assert not files.remove(path)
    assert target.exists()


def test_who_has_a_limited_patience_gets_no_lock_that_is_held(tmp_path: Path) -> None:
    """Whoever holds it may have been stopped."""
    lock = tmp_path / "lock"
    with (
        files.locked(lock),
        pytest.raises(TimeoutError, match="timed out"),
        files.locked(lock, timeout_s=0.05),
    ):
        pytest.fail("it was held")
    with files.locked(lock, timeout_s=0.0):
        assert lock.exists()


def test_an_existing_directory_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    files.make_directory(tmp_path, mode=0o775)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
