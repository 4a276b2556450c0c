"""Changes of files that other processes replace: each is told, and nothing else is."""

import select
import threading
from pathlib import Path

import pytest

from ibkr_tools import files
from ibkr_tools.file_watcher import FileWatcher


def replace(path: Path, content: bytes = b"new") -> None:
    """Replaces a file as every writer of the product does."""
    files.write_atomically(path, content, mode=0o600, fsync=False)


def test_the_files_that_changed_are_told(tmp_path: Path) -> None:
    """Whether they are created, replaced or removed, in one directory or in several."""
    first, second, third = tmp_path / "a" / "first", tmp_path / "a" / "second", tmp_path / "b" / "third"
    with FileWatcher([first, second, third]) as watcher:
        assert watcher.wait(0) == set()
        replace(first)
        replace(third)
        assert watcher.wait(5) == {first, third}
        replace(first)
        second.touch()
        assert watcher.wait(5) == {first}
        second.unlink()
        assert watcher.wait(5) == {second}


def test_other_files_are_not_told(tmp_path: Path) -> None:
    with FileWatcher([tmp_path / "watched"]) as watcher:
        replace(tmp_path / "other")
        assert watcher.wait(0.1) == set()


def test_a_new_file_is_told_as_its_directory(tmp_path: Path) -> None:
    with FileWatcher(directories=[tmp_path]) as watcher:
        (tmp_path / "created").touch()
        assert watcher.wait(5) == {tmp_path}
        replace(tmp_path / "created")
        assert watcher.wait(5) == {tmp_path}
        (tmp_path / "created").unlink()
        assert watcher.wait(0) == set()


def test_a_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileWatcher(directories=[tmp_path / "missing"])


def test_a_selector_can_wait_for_it(tmp_path: Path) -> None:
    path = tmp_path / "watched"
    with FileWatcher([path]) as watcher:
        assert select.select([watcher], [], [], 0)[0] == []
        replace(path)
        assert select.select([watcher], [], [], 5)[0] == [watcher]
        assert watcher.wait(0) == {path}
        assert select.select([watcher], [], [], 0)[0] == []


def test_a_wait_without_a_timeout_ends_with_a_change(tmp_path: Path) -> None:
    path = tmp_path / "watched"
    with FileWatcher([path]) as watcher:
        timer = threading.Timer(0.05, replace, [path])
        timer.start()
        assert watcher.wait() == {path}
        timer.join()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        FileWatcher([tmp_path / "file" / "watched"])
