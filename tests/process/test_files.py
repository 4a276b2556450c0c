"""Files that several processes write, and that a killed one leaves."""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ibkr_tools import files


@pytest.mark.parametrize("name", ["x" * 200, "x" * 201, "x" * 241, "x" * 242, "x" * 255, "ü" * 127, "\udcff" * 255])
def test_a_name_may_be_as_long_as_the_kernel_takes(tmp_path: Path, environment: dict[str, str], name: str) -> None:
    """And the next writer still knows what a killed one has left."""
    path = tmp_path / name
    files.write_atomically(path, b"1", mode=0o600)
    _kill_while_writing(path, environment)
    assert len(list(tmp_path.iterdir())) == 2
    files.write_atomically(path, b"2", mode=0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b"2"
    path.unlink()
    path.mkdir()
    assert files.remove(path)
    assert not path.exists()


def _kill_while_writing(path: Path, environment: dict[str, str]) -> None:
    program = (
        "import os, signal; from pathlib import Path; from ibkr_tools import files\n"
        f"with files.atomic_writer(Path({str(path)!r}), mode=0o600): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == -9


def test_the_next_writer_removes_what_a_killed_one_has_left(tmp_path: Path, environment: dict[str, str]) -> None:
    """Of the same file: what another one is called beside it is not known here."""
    _kill_while_writing(tmp_path / "file", environment)
    _kill_while_writing(tmp_path / "other", environment)
    assert len(list(tmp_path.iterdir())) == 2
    files.write_atomically(tmp_path / "file", b"data", mode=0o600)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[0].startswith(".other.")
    assert left[1:] == ["file"]
    files.remove_stale_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _in_three_processes(work: Callable[[Path, int], None], folder: Path, times: int) -> list[int | None]:
    """Has the same work done side by side; returns the exit codes."""
    workers = [multiprocessing.get_context("spawn").Process(target=work, args=(folder, times)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [worker.exitcode for worker in workers]


def _write(folder: Path, times: int) -> None:
    for _ in range(times):
        files.write_atomically(folder / "file", b"data", mode=0o600, fsync=False)


def test_writers_of_one_file_do_not_sweep_each_other(tmp_path: Path) -> None:
    """Not even between the making of a file and its lock."""
    assert _in_three_processes(_write, tmp_path, 2000) == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _count(folder: Path, times: int) -> None:
    for _ in range(times):
        with files.locked(folder / "lock"):
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def test_the_lock_excludes_other_processes(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    assert _in_three_processes(_count, tmp_path, 50) == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "150"


def test_the_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path, environment: dict[str, str]) -> None:
    program = (
        "import os, signal; from pathlib import Path; from ibkr_tools import files\n"
        f"with files.locked(Path({str(tmp_path / 'lock')!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == -9
    with files.locked(tmp_path / "lock"):
        pass
