"""Is there room on the disk?"""

import resource
from pathlib import Path

import pytest

from ibkr_tools.errors import OutputError
from ibkr_tools.login.disk_space import require_disk_space


def test_a_directory_with_room(tmp_path: Path) -> None:
    require_disk_space(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_takes_nothing_is_named(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for a disk that is full for us alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match=f"{tmp_path}: File too large, so Chromium cannot start"):
            require_disk_space(Path("/proc"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_no_matter_of_room_is_left_to_others(tmp_path: Path) -> None:
    require_disk_space(tmp_path / "none")
