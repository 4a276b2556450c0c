"""One id for one boot of the machine, in the units and outside."""

import re
from pathlib import Path

import pytest

from ibkr_tools import boot_id
from ibkr_tools.boot_id import BOOT_ID_VARIABLE, read_boot_id


def test_a_unit_and_a_person_read_the_same_id() -> None:
    """systemd writes the kernel's id without its dashes."""
    outside = read_boot_id({})
    assert re.fullmatch("[0-9a-f]{32}", outside)
    assert read_boot_id({BOOT_ID_VARIABLE: outside}) == outside
    assert read_boot_id({BOOT_ID_VARIABLE: Path("/proc/sys/kernel/random/boot_id").read_text()}) == outside


def test_an_id_that_nobody_tells_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sandbox of somebody else's, without the variable."""
    monkeypatch.setattr(boot_id, "_KERNEL_FILE", tmp_path / "hidden")
    assert read_boot_id({}) == ""
