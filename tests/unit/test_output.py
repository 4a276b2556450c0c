"""Files that are replaced whole."""

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.errors import OutputError, UsageError
from ibkr_tools.fetch.output import write_file


def test_what_a_person_writes_is_hers_alone(tmp_path: Path) -> None:
    write_file(tmp_path / "out.json", [b"new", b"er"])
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600
    assert (tmp_path / "out.json").read_bytes() == b"newer"


@pytest.mark.parametrize("where", ["missing/out.json", "file/out.json", "."])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_file(tmp_path / where, [b"text"])
    assert caught.value.exit_code == 73


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk; the file is written piece by piece."""
    path = tmp_path / "out"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match="File too large"):
            write_file(path, (b"x" * 100 for _ in range(1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise UsageError("no")

    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(UsageError):
        write_file(path, pieces())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As root, a file would take the place of /dev/null."""
    before = os.stat("/dev/null")  # noqa: PTH116
    write_file(Path("/dev/null"), [b"text"])
    assert os.stat("/dev/null").st_ino == before.st_ino  # noqa: PTH116
    with pytest.raises(OutputError, match="No space left"):
        write_file(Path("/dev/full"), [b"text"])


def test_a_pipe_gets_what_a_file_would(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_file(tmp_path / "pipe", [b"some ", b"text"])
    assert os.read(reader, 100) == b"some text"
    os.close(reader)
