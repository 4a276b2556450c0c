"""Files that are replaced whole."""

import os
import pty
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.errors import OutputError, UsageError
from ibkr_tools.fetch.output_file import write_output_file


def test_what_a_person_writes_is_hers_alone(tmp_path: Path) -> None:
    write_output_file(tmp_path / "out.json", [b"new", b"er"])
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600
    assert (tmp_path / "out.json").read_bytes() == b"newer"


@pytest.mark.parametrize("where", ["missing/out.json", "file/out.json", "."])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_output_file(tmp_path / where, [b"text"])
    assert caught.value.exit_code == 73


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk; the file is written piece by piece."""
    path = tmp_path / "out"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match="File too large"):
            write_output_file(path, (b"x" * 100 for _ in range(1000)))
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
        write_output_file(path, pieces())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_output_file(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As root, a file would take the place of /dev/null."""
    before = os.stat("/dev/null")  # noqa: PTH116
    write_output_file(Path("/dev/null"), [b"text"])
    assert os.stat("/dev/null").st_ino == before.st_ino  # noqa: PTH116
    with pytest.raises(OutputError, match="No space left"):
        write_output_file(Path("/dev/full"), [b"text"])


def test_a_pipe_gets_what_a_file_would(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_output_file(tmp_path / "pipe", [b"some ", b"text"])
    assert os.read(reader, 100) == b"some text"
    os.close(reader)


NOBODY = 65534


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory as /tmp is."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    return path


def planted(path: Path, target: Path) -> Path:
    """Makes a link that belongs to somebody else."""
    path.symlink_to(target)
    os.lchown(path, NOBODY, NOBODY)
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
@pytest.mark.parametrize("target", ["victim", "not-there-yet", "/dev/null"])
def test_a_strangers_link_is_not_followed(tmp_path: Path, shared: Path, target: str) -> None:
    """In a directory like /tmp anybody can have prepared where our result goes."""
    (tmp_path / "victim").write_bytes(b"precious")
    planted(shared / "out", tmp_path / target)
    with pytest.raises(OutputError, match="a link that another user has put there") as caught:
        write_output_file(shared / "out", [b"new"])
    assert caught.value.exit_code == 73
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "not-there-yet").exists()
    assert (shared / "out").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
def test_a_strangers_link_on_the_way_is_not_followed(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "folder").mkdir()
    planted(shared / "way", tmp_path / "folder")
    (tmp_path / "mine").symlink_to(shared / "way")
    for path in (shared / "way" / "out", tmp_path / "mine" / "out"):
        with pytest.raises(OutputError, match="another user"):
            write_output_file(path, [b"new"])
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
def test_a_strangers_pipe_gets_nothing(shared: Path) -> None:
    os.mkfifo(shared / "out")
    os.chown(shared / "out", NOBODY, NOBODY)
    reader = os.open(shared / "out", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OutputError, match="a pipe that another user has put there"):
        write_output_file(shared / "out", [b"new"])
    os.close(reader)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
def test_the_link_of_a_directorys_owner_is_followed(tmp_path: Path, shared: Path) -> None:
    """Who owns the directory could do as he likes anyway; and outside of such directories links are nobody's trap."""
    os.chown(shared, NOBODY, NOBODY)
    planted(shared / "out", tmp_path / "real")
    write_output_file(shared / "out", [b"one"])
    planted(tmp_path / "plain", tmp_path / "other")
    write_output_file(tmp_path / "plain", [b"two"])
    assert (tmp_path / "real").read_bytes() + (tmp_path / "other").read_bytes() == b"onetwo"


def test_our_own_links_are_followed_wherever_they_are(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "folder").mkdir()
    (shared / "way").symlink_to("../folder")
    (tmp_path / "folder" / "out").symlink_to("../folder/./real")
    write_output_file(shared / "way" / "out", [b"new"])
    assert (tmp_path / "folder" / "real").read_bytes() == b"new"


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match="Too many levels"):
        write_output_file(tmp_path / "a", [b"new"])


def test_a_second_name_keeps_the_old_file(tmp_path: Path) -> None:
    """Somebody who made it in a directory of theirs gets neither the result nor its permissions."""
    old = tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o644)
    (tmp_path / "out").hardlink_to(old)
    write_output_file(tmp_path / "out", [b"new"])
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (b"old", 0o644)
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 300, "x" * 256, "é" * 150])
def test_a_name_that_is_too_long_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="name too long"):
        write_output_file(tmp_path / name, [b"text"])


def test_a_directory_that_vanishes_is_told(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"new"
        shutil.rmtree(tmp_path / "folder")

    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="No such file"):
        write_output_file(tmp_path / "folder" / "out", pieces())


def test_what_is_open_already_is_written_on(tmp_path: Path) -> None:
    """As `-o /dev/fd/3 3>>log` means: after what is there, and not in its place."""
    path = tmp_path / "log"
    path.write_bytes(b"first ")
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for name in (f"/dev/fd/{fd}", f"/proc/self/fd/{fd}"):
        write_output_file(Path(name), [b"new ", b"text "])
    os.close(fd)
    assert path.read_bytes() == b"first new text new text "
    with pytest.raises(OutputError):
        write_output_file(Path(f"/dev/fd/{fd}"), [b"text"])


def test_a_terminal_is_not_told_what_to_do(tmp_path: Path) -> None:
    leader, terminal = pty.openpty()
    (tmp_path / "screen").symlink_to(os.ttyname(terminal))
    write_output_file(tmp_path / "screen", [b"a\x1b[2J\xc2", b"\x9b\r\nb"])
    assert os.read(leader, 100) == b"a\\u001b[2J\\u009b\r\nb"
    os.close(terminal)
    os.close(leader)
