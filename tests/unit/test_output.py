"""Files that are replaced whole."""

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
