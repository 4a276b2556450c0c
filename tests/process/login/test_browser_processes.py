"""The browser as a set of processes, all of which end."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.login import browser_processes
from tests.support.patience import wait_until


def test_one_whose_parent_ends_during_a_scan_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent is not in the list any more, and it is not yet in there as a child of ours."""
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / "chromium")
    parent = subprocess.Popen(["sh", "-c", f"{program} 60; true"])
    try:
        wait_until(lambda: len(browser_processes.find_browser_processes()) == 1)
        (browser,) = browser_processes.find_browser_processes()
        scans, every_process = [], browser_processes._parent_pids

        def without_the_parent_at_first() -> dict[int, int]:
            scans.append(every_process())
            if len(scans) == 1:
                del scans[0][parent.pid]
            return scans[-1]

        monkeypatch.setattr(browser_processes, "_parent_pids", without_the_parent_at_first)
        assert browser_processes.kill_all(set())
        assert parent.wait(10) == 0
        assert not Path(f"/proc/{browser}").exists()
    finally:
        parent.kill()
        parent.wait()
